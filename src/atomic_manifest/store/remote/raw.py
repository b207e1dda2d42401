"""What is asked of a bucket beside a driver's methods: by the probe, and to create by other headers.

SDKs have no argument for two conditional headers at once, or for a header of another provider. Here
requests go through further clients of the SDK, whose every request carries given headers; they sign,
pool and go through proxies as the driver's own client does.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import obstore

from atomic_manifest.errors import StoreUnavailable, UnsupportedByStore
from atomic_manifest.store.conditions import ETag, IfAbsent
from atomic_manifest.store.driver import (
    Data,
    ObjectMeta,
    Refused,
    WriteOutcome,
    Written,
    check_path,
)
from atomic_manifest.store.failures import NO_BATCHES, Failure, Service, write_outcome
from atomic_manifest.store.keys import check_metadata, is_directory_bucket
from atomic_manifest.store.remote.driver import Backend
from atomic_manifest.store.remote.forks import THREADS
from atomic_manifest.store.remote.sdk import tried

if TYPE_CHECKING:
    from obstore import PutResult

Creator: TypeAlias = Callable[[str, Data, Mapping[str, str] | None], WriteOutcome]
"""Puts data with metadata at a path, if the path is absent; one attempt."""

_EXISTS = frozenset({"FileAlreadyExists", "ObjectAlreadyExists"})
_OK = 200
_OWN_HOSTS = {
    Service.S3: (".amazonaws.com", ".amazonaws.com.cn"),
    Service.GCS: (".googleapis.com",),
    Service.AZURE: (
        ".core.windows.net",
        ".core.chinacloudapi.cn",
        ".core.usgovcloudapi.net",
        ".fabric.microsoft.com",
    ),
}


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came of a request.

    Attributes:
        status: The HTTP status; 200 for any success.
        etag: The `ETag` header's text as sent, None if there is none.
    """

    status: int
    etag: str | None


class Raw:
    """A folder of a bucket, without a driver's meaning.

    Args:
        service: Whose rules the bucket follows.
        backend: The bucket, with an SDK that makes one attempt.
        root: What every path is below; empty, or with a trailing slash.
    """

    def __init__(self, service: Service, backend: Backend, root: str) -> None:
        self._service = service
        self._backend = backend
        self._root = root

    @property
    def service(self) -> Service:
        """Whose rules the bucket follows."""
        return self._service

    @property
    def _is_s3(self) -> bool:
        return self._service is Service.S3

    @property
    def is_directory_bucket(self) -> bool:
        """Whether it is one of Amazon's directory buckets."""
        name = str(dict(self._backend.config).get("bucket", ""))
        return self._is_s3 and is_directory_bucket(name)

    @property
    def endpoint(self) -> str | None:
        """Scheme, host and port that were asked for; None for the provider's own service."""
        config: Mapping[str, object] = dict(self._backend.config)
        if config.get("use_emulator") == "true":
            return "an emulator on this machine"
        told = next((config[name] for name in ("endpoint", "base_url") if config.get(name)), None)
        if told is None:
            return None
        address = urlsplit(str(told))
        host = address.hostname or ""
        if f".{host}".endswith(_OWN_HOSTS[self._service]):
            return None
        return f"{address.scheme}://{host}" + (f":{address.port}" if address.port else "")

    def put(self, path: str, data: bytes, headers: Mapping[str, str]) -> RawAnswer:
        """Send a PUT with these headers.

        Raises:
            StoreUnavailable: If it goes unanswered.
            UnsupportedByStore: In a process that was forked.
        """
        THREADS.need()
        result = tried(lambda: self._put(self._client(headers), path, data, {}))
        if not isinstance(result, Failure):
            return RawAnswer(_OK, result["e_tag"])
        if result.status is None:
            raise StoreUnavailable(f"{path}: {result.summary}", path=path)
        return RawAnswer(result.status, None)

    def single_deletes(self) -> Backend:
        """The bucket, with an SDK that sends one `DELETE` for each object."""
        return self._client({}, disable_bulk_delete="true") if self._is_s3 else self._backend

    def batch_refusal(self, paths: Iterable[str]) -> str | None:
        """Delete objects in one request; what the service says if it has no such request.

        Raises:
            StoreUnavailable: If it goes unanswered.
        """
        keys = [self._root + check_path(path) for path in paths]
        failure = tried(partial(obstore.delete, self._backend, keys))
        if failure is None:
            return None
        if failure.status not in NO_BATCHES:
            raise StoreUnavailable(f"the deletion of a batch gave {failure.summary}", path="")
        return failure.summary

    def creator(self, headers: Mapping[str, str]) -> Creator:
        """A function that puts with these headers, which must make the service refuse to overwrite.

        Its outcomes are those of a put on condition of `IfAbsent`; a 409 that says that the object
        exists is `Refused`.

        Raises:
            UnsupportedByStore: If the bucket is not one of S3's language.
        """
        if self._service is not Service.S3:
            raise UnsupportedByStore("creating by a header is for S3's language alone", path="")
        client = self._client(headers)

        def create(path: str, data: Data, metadata: Mapping[str, str] | None) -> WriteOutcome:
            check_metadata(path, metadata or {})
            view = memoryview(data).cast("B")
            THREADS.need()
            result = tried(lambda: self._put(client, path, view, metadata or {}))
            if not isinstance(result, Failure):
                etag = ETag.parse(result["e_tag"]) if result["e_tag"] else None
                return Written(ObjectMeta(path, view.nbytes, etag, None, metadata or {}))
            if result.code in _EXISTS:
                return Refused()
            return write_outcome(self._service, path, IfAbsent(), result)

        return create

    def _put(
        self, client: Backend, path: str, data: Data, metadata: Mapping[str, str]
    ) -> "PutResult":
        return obstore.put(
            client,
            self._root + check_path(path),
            data,
            attributes=dict(metadata),
            use_multipart=False,
        )

    def _client(self, headers: Mapping[str, str], **config: str) -> Backend:
        known: Any = self._backend
        options = known.client_options or {}
        kept = options.get("default_headers") or {}
        opened: Backend = type(known)(
            config={**known.config, **config},
            client_options={**options, "default_headers": {**kept, **headers}},
            retry_config=known.retry_config,
            credential_provider=known.credential_provider,
        )
        return opened
