"""Where an S3 service is and how to sign for it, in the words of each library that talks to it."""

from dataclasses import dataclass, field

from obstore.store import S3Store


@dataclass(frozen=True)
class S3Endpoint:
    """An S3 service on this machine.

    Attributes:
        name: What to call it in reports.
        endpoint_url: With scheme and port, without a trailing slash.
        key: Access key id.
        secret: Secret access key.
        region: Region to sign for.
    """

    name: str
    endpoint_url: str
    key: str
    secret: str = field(repr=False)
    region: str = "us-east-1"

    @property
    def storage_options(self) -> dict[str, str]:
        """The names fsspec's users know, which are also ours."""
        return {
            "key": self.key,
            "secret": self.secret,
            "endpoint_url": self.endpoint_url,
            "region": self.region,
        }

    @property
    def deltalake_options(self) -> dict[str, str]:
        """The names of `deltalake`; commits by `If-None-Match`."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_ALLOW_HTTP": "true",
            "aws_conditional_put": "etag",
        }

    @property
    def lance_options(self) -> dict[str, str]:
        """The names of `lance`."""
        return {
            "aws_access_key_id": self.key,
            "aws_secret_access_key": self.secret,
            "aws_endpoint": self.endpoint_url,
            "aws_region": self.region,
            "allow_http": "true",
        }

    def bucket_store(self, bucket: str) -> S3Store:
        """A plain client of one bucket, with no table library above it."""
        return S3Store(
            bucket,
            endpoint=self.endpoint_url,
            access_key_id=self.key,
            secret_access_key=self.secret,
            region=self.region,
            client_options={"allow_http": True},
        )
