"""How the second client of an S3 bucket is opened: `s3fs`, with the settings that obstore has.

Credentials, endpoint, region, time-outs, proxy, certificates and encryption come from the same options
object. Checksums are added only where S3 demands them, since services that merely speak its language
refuse them. What only obstore understands is refused by name when the second client is needed.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from aiobotocore.credentials import (
    AioAssumeRoleWithWebIdentityProvider,
    AioCredentialResolver,
    AioCredentials,
)
from aiobotocore.session import AioSession
from botocore.credentials import ReadOnlyCredentials
from botocore.loaders import Loader, create_loader
from s3fs import S3FileSystem

from atomic_manifest.store.conditions import IfMatch
from atomic_manifest.store.filesystem.s3_calls import S3Calls
from atomic_manifest.store.options.values import RemoteOptions
from atomic_manifest.store.remote.second_client import check_followed, seconds, timeouts
from atomic_manifest.store.remote.terms import Dialect
from atomic_manifest.threads import from_loop

_ONLY_FIRST = (
    "proxy_excludes",
    "container_credentials_full_uri",
    "container_credentials_relative_uri",
)
_ENCRYPTION = {
    "server_side_encryption": "ServerSideEncryption",
    "sse_kms_key_id": "SSEKMSKeyId",
    "sse_bucket_key_enabled": "BucketKeyEnabled",
    "checksum_algorithm": "ChecksumAlgorithm",
}


class S3Verbs(S3Calls):
    """The requests to a bucket, with ETags in the form that the service wants.

    Args:
        fs: Whose settings and credentials to use.
        bucket: Its name.
        dialect: Of the service.
    """

    def __init__(self, fs: S3FileSystem, bucket: str, dialect: Dialect) -> None:
        super().__init__(fs, bucket)
        self._dialect = dialect

    def if_match(self, when: IfMatch) -> str:
        """See `S3Calls.if_match`."""
        return self._dialect.if_match("", when)


def open_s3_verbs(bucket: str, options: RemoteOptions, dialect: Dialect) -> S3Verbs:
    """Open the second client of a bucket.

    Raises:
        UnsupportedByStore: If an option means nothing to it.
    """
    check_followed(options, _ONLY_FIRST)
    if options.ca_bundle is None:
        check_followed(options, ("root_certificate",))
    fs = S3FileSystem(
        anon=bool(options.config.get("skip_signature")),
        endpoint_url=_endpoint(bucket, options.config),
        client_kwargs={
            "region_name": options.config.get("region", "us-east-1"),
            "verify": not options.client.get("allow_invalid_certificates", False)
            and (options.ca_bundle or True),
        },
        config_kwargs=client_config(options),
        s3_additional_kwargs={
            name: options.config[option]
            for option, name in _ENCRYPTION.items()
            if option in options.config
        },
        requester_pays=bool(options.config.get("request_payer")),
        session=_session(options),
        skip_instance_cache=True,
    )
    return S3Verbs(fs, bucket, dialect)


def client_config(options: RemoteOptions) -> dict[str, Any]:
    """The client's settings, under botocore's names."""
    client = options.client
    connect, read = timeouts(client)
    config: dict[str, Any] = {
        "read_timeout": read,
        "connect_timeout": connect,
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "s3": {"addressing_style": "virtual" if _is_hosted(options.config) else "path"},
        "max_pool_connections": 64,
        "retries": {"total_max_attempts": 6, "mode": "standard"},
    }
    if options.config.get("unsigned_payload"):
        config["s3"]["payload_signing_enabled"] = False
    if "user_agent" in client:
        config["user_agent"] = client["user_agent"]
    if "proxy_url" in client:
        config["proxies"] = {"http": client["proxy_url"], "https": client["proxy_url"]}
    if "pool_idle_timeout" in client:
        idle = seconds(client["pool_idle_timeout"], read)
        config["connector_args"] = {"keepalive_timeout": idle}
    return config


def _is_hosted(config: Mapping[str, Any]) -> bool:
    return bool(config.get("virtual_hosted_style_request"))


def _endpoint(bucket: str, config: Mapping[str, Any]) -> str | None:
    """The endpoint without the bucket, which obstore wants in it and botocore adds itself."""
    endpoint: str | None = config.get("endpoint")
    if endpoint is None or not _is_hosted(config):
        return endpoint
    scheme, _, host = endpoint.rpartition("://")
    return f"{scheme}://{host.removeprefix(f'{bucket}.')}"


def _session(options: RemoteOptions) -> AioSession:
    """A session that has the first client's credentials, or looks for them where it does."""
    session = AioSession()
    session.register_component("data_loader", _loader())
    if "metadata_endpoint" in options.config:
        address = options.config["metadata_endpoint"]
        session.set_config_variable("ec2_metadata_service_endpoint", address)
    if options.credentials is not None:
        session.register_component("credential_provider", _Given(options.credentials))
    elif "web_identity_token_file" in options.config:
        names = ("role_arn", "web_identity_token_file", "role_session_name")
        profile = {name: options.config[name] for name in names if name in options.config}
        provider = AioAssumeRoleWithWebIdentityProvider(
            load_config=lambda: {"profiles": {"given": profile}},
            client_creator=partial(
                session.create_client, endpoint_url=options.config.get("endpoint_url_sts")
            ),
            profile_name="given",
            disable_env_vars=True,
        )
        session.register_component("credential_provider", AioCredentialResolver([provider]))
    return session


@cache
def _loader() -> Loader:
    """Reads botocore's model of S3, which takes longer than all else; once for all sessions."""
    return create_loader()


class _Given:
    """Finds the first client's credentials."""

    def __init__(self, credentials: Callable[[], Any]) -> None:
        self._credentials = credentials

    async def load_credentials(self) -> AioCredentials:
        return _Shared(self._credentials)


class _Shared(AioCredentials):  # type: ignore[misc, unused-ignore]
    """Credentials that are asked for at every request; whoever gives them renews them."""

    def __init__(self, credentials: Callable[[], Any]) -> None:
        super().__init__("", "")
        self._credentials = credentials

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        given = await from_loop(self._credentials)
        return ReadOnlyCredentials(
            given["access_key_id"], given["secret_access_key"], given["token"]
        )
