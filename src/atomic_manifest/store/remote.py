"""S3, Google Cloud Storage and Azure Blob Storage, through obstore.

Invariants:

* One call, one request (a listing: one request a page): retries belong to `ObjectStore` and to the
  commit machine. Only multipart uploads are retried inside; their parts are idempotent.
* No type, and no text, of the SDK gets out: see `failures`.
* The GIL is free while a request is under way.

ETags are the service's own, except on Google Cloud Storage, whose conditional writes compare
generations: there the tag is the generation. Azure's metadata names can hold no hyphen, so hyphens
are sent as underscores, and underscores read as hyphens.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from atomic_manifest.errors import NotFound, NotModified, StoreUnavailable, UnsupportedByStore
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Data,
    Deleted,
    DeleteOutcome,
    Object,
    ObjectMeta,
    Refused,
    Unanswered,
    WriteOutcome,
    Written,
    check_path,
)
from atomic_manifest.store.failures import Service, failed_request, read_failure, write_outcome
from atomic_manifest.store.keys import check_metadata, check_range, folder
from atomic_manifest.store.remote_upload import RemoteUpload

if TYPE_CHECKING:
    from obstore import GetResult

Backend: TypeAlias = S3Store | GCSStore | AzureStore
Keys: TypeAlias = list[str]

SDK_ERRORS = (BaseError, OSError, NotImplementedError, ValueError)
"""Everything that obstore raises."""

_PAGE = 1000
_HTTP_ATTRIBUTES = frozenset(
    {
        "Cache-Control",
        "Content-Disposition",
        "Content-Encoding",
        "Content-Language",
        "Content-Type",
        "Storage-Class",
    }
)


class RemoteDriver:
    """A bucket, or a folder of one.

    Args:
        service: Whose rules the bucket follows.
        requests: The bucket, with an SDK that makes one attempt.
        uploads: Gives the bucket with an SDK that tries again, for multipart uploads; called once,
            when first needed.
        url: For messages; holds no secret.
        prefix: The folder; empty for the whole bucket.
    """

    def __init__(
        self,
        service: Service,
        requests: Backend,
        uploads: Callable[[], Backend],
        *,
        url: str,
        prefix: str = "",
    ) -> None:
        self._service = service
        self._requests = requests
        self._open_uploads = uploads
        self._uploads: Backend | None = None
        self._url = url
        self._root = folder(prefix)

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self._url

    def __repr__(self) -> str:
        return f"RemoteDriver({self._url!r})"

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        options: dict[str, Any] = {}
        if range is not None:
            options["range"] = check_range(path, range)
        if if_none_match is not None:
            if self._service is Service.GCS:  # a generation cannot stand in If-None-Match
                self.head(path, if_none_match=if_none_match)
            else:
                options["if_none_match"] = if_none_match.quoted
        key = self._key(path)
        with self._reported(path):
            result = obstore.get(self._requests, key, options=options)  # type: ignore[arg-type]
            data, meta = result.bytes().to_bytes(), self._meta(path, result)
        first, end = result.range
        if len(data) != end - first:
            raise StoreUnavailable(f"{path}: the answer broke off", path=path)
        return Object(data, meta)

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        key = self._key(path)
        options: dict[str, Any] = {"head": True}
        if if_none_match is not None and self._service is not Service.GCS:
            options["if_none_match"] = if_none_match.quoted
        with self._reported(path):
            meta = self._meta(path, obstore.get(self._requests, key, options=options))  # type: ignore[arg-type]
        if if_none_match is not None and meta.etag == if_none_match:
            raise NotModified(f"{path} has not changed", path=path)
        return meta

    def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        key, mode = self._key(path), self._mode(path, when)
        if isinstance(when, IfMatch) and when.etags[0].weak:
            return Refused()  # a weak tag never matches, and not every service knows
        attributes = self._attributes(path, metadata) if metadata else None
        try:
            result = obstore.put(
                self._requests,
                key,
                memoryview(data).cast("B"),  # obstore reads other formats item by item
                mode=mode,
                attributes=attributes,
                use_multipart=False,
            )
        except SDK_ERRORS as error:
            failure = read_failure(error)
        else:
            etag = self._etag(result)
            return Written(ObjectMeta(path, memoryview(data).nbytes, etag, None, metadata or {}))
        return write_outcome(self._service, path, when, failure)

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> RemoteUpload:
        """See `Driver.start_upload`."""
        key = self._key(path)
        if when is not None:
            raise self._unsupported(path, "a conditional multipart upload")
        if self._uploads is None:
            self._uploads = self._open_uploads()
        attributes = self._attributes(path, metadata) if metadata else None
        writer = obstore.open_writer(
            self._uploads,
            key,
            attributes=attributes,
            buffer_size=part_size,
            max_concurrency=max_in_flight,
        )
        return RemoteUpload(path, writer, partial(self._reported, path))

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        check_path(source)
        self._key(path)
        del when, source_when
        raise self._unsupported(path, "a copy")

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        key = self._key(path)
        if when is not None or version is not None:
            raise self._unsupported(path, "a conditional deletion")
        try:
            self._delete(path, key)
        except StoreUnavailable as error:
            return Unanswered(error)
        return Deleted()

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`. S3 takes a thousand in one request."""
        given = iter(paths)
        while batch := list(islice(given, _PAGE)):
            self._delete(batch[0], [self._key(path) for path in batch])

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`. The order is the service's own, which is by code point."""
        below = (self._root + folder(prefix)).removesuffix("/")
        offset = self._root + start_after if start_after else None
        return self._listed(prefix, below, offset)

    def _listed(self, prefix: str, below: str, offset: str | None) -> Iterator[ObjectMeta]:
        with self._reported(prefix):
            pages = obstore.list(self._requests, below or None, offset=offset, chunk_size=_PAGE)
        while True:
            with self._reported(prefix):
                page = next(pages, None)
            if page is None:
                return
            for found in page:
                key = found["path"]
                # obstore drops a trailing slash: of the offset, and of objects that mark a folder
                if key > (offset or below):
                    yield ObjectMeta(
                        key[len(self._root) :],
                        found["size"],
                        self._etag(found),
                        found["last_modified"],
                    )

    def _delete(self, path: str, key: str | Keys) -> None:
        try:
            with self._reported(path):
                obstore.delete(self._requests, key)
        except NotFound:
            if isinstance(key, list):  # what follows the missing one was not deleted
                for single in key:
                    self._delete(path, single)

    def _unsupported(self, path: str, what: str) -> UnsupportedByStore:
        return UnsupportedByStore(
            f"{path}: {what} cannot be asked of {self._service.value}", path=path
        )

    def _key(self, path: str) -> str:
        return self._root + check_path(path)

    def _mode(self, path: str, when: Condition | None) -> Any:
        if when is None:
            return "overwrite"
        if isinstance(when, IfAbsent):
            return "create"
        if len(when.etags) != 1:
            raise UnsupportedByStore(
                f"{path}: {when!r} cannot be asked of {self._service.value}, only one ETag can",
                path=path,
            )
        if self._service is Service.GCS:
            return {"version": when.etags[0].opaque}
        return {"e_tag": when.etags[0].quoted}

    def _attributes(self, path: str, metadata: Mapping[str, str]) -> dict[str, str]:
        check_metadata(path, metadata)
        if self._service is Service.AZURE:
            return {key.replace("-", "_"): value for key, value in metadata.items()}
        return dict(metadata)

    def _meta(self, path: str, result: "GetResult") -> ObjectMeta:
        told = result.meta
        metadata = {
            key.replace("_", "-") if self._service is Service.AZURE else key.lower(): value
            for key, value in result.attributes.items()
            if key not in _HTTP_ATTRIBUTES
        }
        return ObjectMeta(path, told["size"], self._etag(told), told["last_modified"], metadata)

    def _etag(self, told: Mapping[str, Any]) -> ETag | None:
        text = told["version" if self._service is Service.GCS else "e_tag"]
        return ETag.parse(text) if text else None

    @contextmanager
    def _reported(self, path: str) -> Iterator[None]:
        """Turn the SDK's errors into this library's."""
        try:
            yield
        except SDK_ERRORS as error:
            failure = read_failure(error)
        else:
            return
        # Outside the handler, so that the SDK's text is no part of the traceback.
        raise failed_request(self._service, path, failure)
