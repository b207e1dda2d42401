"""S3, Google Cloud Storage and Azure Blob Storage, through obstore.

Invariants:

* One call, one request (a listing: one request a page): retries belong to `ObjectStore` and to the
  commit machine. Only multipart uploads are retried inside; their parts are idempotent.
* No type, and no text, of the SDK gets out: see `failures`.
* The GIL is free while a request is under way.
* What obstore cannot ask (conditional uploads, copies and deletions, deletions of one version) goes
  through a second client, of fsspec's filesystem for the service. It is opened when first needed.
* A process that is forked after the first request has that client for everything (see `forks`).
* Objects under a customer's key (SSE-C) take no condition: it is refused, and nothing is sent.

See `remote.terms` for what is sent.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import obstore
from obstore.store import AzureStore, GCSStore, S3Store

from atomic_manifest.errors import NotFound, StoreUnavailable
from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import (
    Data,
    Deleted,
    DeleteOutcome,
    DriverUpload,
    Object,
    ObjectMeta,
    Refused,
    Unanswered,
    WriteOutcome,
    Written,
    check_path,
    refuse_pickling,
)
from atomic_manifest.store.failures import (
    NO_BATCHES,
    Failure,
    Service,
    failed_request,
    write_outcome,
)
from atomic_manifest.store.remote.forks import THREADS
from atomic_manifest.store.remote.sdk import tried
from atomic_manifest.store.remote.second_client import SecondClient
from atomic_manifest.store.remote.second_upload import SecondUpload
from atomic_manifest.store.remote.terms import Dialect, Keys, Terms, never_matches
from atomic_manifest.store.remote.upload import RemoteUpload

if TYPE_CHECKING:
    from obstore import Bytes, GetResult

    from atomic_manifest.store.filesystem.calls import Calls
    from atomic_manifest.store.remote.async_driver import AsyncRemoteDriver
    from atomic_manifest.store.remote.raw import Raw

Backend: TypeAlias = S3Store | GCSStore | AzureStore

PAGE = 1000
"""Objects of one page of a listing, and of one request that deletes many."""


class RemoteDriver:
    """A bucket, or a folder of one.

    Args:
        dialect: How the service wants its conditions.
        requests: The bucket, with an SDK that makes one attempt.
        uploads: Gives the bucket with an SDK that tries again, for multipart uploads; called once,
            when first needed.
        second: Opens the client of the same bucket for what obstore cannot ask; called once, when
            first needed.
        url: For messages; holds no secret.
        prefix: The folder; empty for the whole bucket.
    """

    _url = ""  # for the `repr` of one that was refused

    def __init__(
        self,
        dialect: Dialect,
        requests: Backend,
        uploads: Callable[[], Backend],
        second: Callable[[], "Calls"],
        *,
        url: str,
        prefix: str = "",
    ) -> None:
        self.terms = Terms(dialect, prefix)
        self._requests = requests
        self.second = SecondClient(dialect, second, prefix)
        self._open_uploads = uploads
        self._uploads: Backend | None = None
        self._singly: Backend | None = None
        self._takes_batches = dialect.service is Service.S3
        self._url = url

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self._url

    @property
    def lists_in_order(self) -> bool | None:
        """See `store.keys.lists_in_order`."""
        raw = self.raw()
        if raw.is_directory_bucket:
            return False
        known = raw.endpoint is None and raw.service is not Service.AZURE  # it has folders in some
        return True if known else None

    @property
    def requests(self) -> Backend:
        """The bucket, with an SDK that makes one attempt."""
        THREADS.need()
        return self._requests

    @property
    def uploads(self) -> Backend:
        """The bucket, with an SDK that tries again."""
        THREADS.need()
        if self._uploads is None:
            self._uploads = self._open_uploads()
        return self._uploads

    __reduce__ = refuse_pickling

    def __repr__(self) -> str:
        return f"RemoteDriver({self._url!r})"

    def as_async(self) -> "AsyncRemoteDriver":
        """The same bucket as an `AsyncDriver`, over the same connections."""
        from atomic_manifest.store.remote.async_driver import AsyncRemoteDriver  # noqa: PLC0415 - a cycle

        return AsyncRemoteDriver(self)

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        if THREADS.lost:
            return self._second(path).run(
                lambda bucket: bucket.get(path, range=range, if_none_match=if_none_match)
            )
        if if_none_match is not None and self.terms.service is Service.GCS:
            self.head(path, if_none_match=if_none_match)
        options = self.terms.get_options(path, range, if_none_match, head=False)
        key = self.terms.key(path)
        result, body = self.terms.asked(path, partial(_read, self.requests, key, options))
        return self.terms.object(path, result, body)

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        if THREADS.lost:
            return self._second(path).run(
                lambda bucket: bucket.head(path, if_none_match=if_none_match)
            )
        options = self.terms.get_options(path, None, if_none_match, head=True)
        key = self.terms.key(path)
        ask = partial(obstore.get, self.requests, key, options=options)
        result = self.terms.asked(path, ask)
        return self.terms.unlike(if_none_match, self.terms.meta(path, result))

    def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        key, attributes = self.terms.key(path), self.terms.attributes(path, metadata)
        if self.terms.needs_verbs(when) or THREADS.lost:
            return self._second(path, when).run(
                lambda bucket: bucket.put(path, data, when=when, metadata=metadata)
            )
        mode = self.terms.mode(path, when)
        if never_matches(when):
            return Refused()
        ask = partial(
            obstore.put,
            self.requests,
            key,
            memoryview(data).cast("B"),  # obstore reads other formats item by item
            mode=mode,
            attributes=attributes,
            use_multipart=False,
        )
        result = tried(ask)
        if isinstance(result, Failure):
            return write_outcome(self.terms.service, path, when, result)
        return Written(self.terms.written(path, data, metadata, result))

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> DriverUpload:
        """See `Driver.start_upload`."""
        key, attributes = self.terms.key(path), self.terms.attributes(path, metadata)
        if when is not None or self.terms.dialect.second_writes or THREADS.lost:
            return SecondUpload(
                self._second(path, when),
                path,
                when=when,
                metadata=metadata,
                part_size=part_size,
                max_in_flight=max_in_flight,
            )
        open_writer = partial(
            obstore.open_writer,
            self.uploads,
            key,
            attributes=attributes,
            buffer_size=part_size,
            max_concurrency=max_in_flight,
        )
        writer = self.terms.asked(path, open_writer)
        return RemoteUpload(path, writer, self.terms)

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
        check_path(path)
        return self._second(path, when, source_when).run(
            lambda bucket: bucket.copy(source, path, when=when, source_when=source_when)
        )

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        key = self.terms.key(path)
        self.terms.dialect.check_deletion(path, when, version)
        special = when is not None or version is not None
        if special or self.terms.dialect.second_writes or THREADS.lost:
            return self._second(path, when).run(
                lambda bucket: bucket.delete(path, when=when, version=version)
            )
        try:
            self._delete(path, key)
        except StoreUnavailable as error:
            return Unanswered(error)
        return Deleted()

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`. S3 takes a thousand in one request; see `needs_each`."""
        if self.terms.dialect.second_writes or THREADS.lost:
            self._second("").run(lambda bucket: bucket.delete_many(paths))
            return
        given = iter(paths)
        while batch := list(islice(given, PAGE)):
            keys = [self.terms.key(path) for path in batch]
            ask = partial(obstore.delete, self.for_deletions(len(batch)), keys)
            if self.needs_each(batch[0], tried(ask)):
                self._delete_each(batch, keys)

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`. The order is the service's own, which is by code point."""
        below, offset = self.terms.folder_of(prefix), self.terms.offset(start_after)
        if THREADS.lost:
            return self._listed_by_second(prefix, start_after)
        return self._listed(prefix, below, offset)

    def raw(self) -> "Raw":
        """The bucket for requests that a driver does not make; see `remote.raw`."""
        from atomic_manifest.store.remote.raw import Raw  # noqa: PLC0415 - for the probe alone

        return Raw(self.terms.service, self._requests, self.terms.root)

    def _second(self, path: str, *conditions: Condition | None) -> SecondClient:
        self.second.check(path, *conditions)
        return self.second

    def _listed(self, prefix: str, below: str, offset: str | None) -> Iterator[ObjectMeta]:
        ask = partial(obstore.list, self.requests, below or None, offset=offset, chunk_size=PAGE)
        pages = self.terms.asked(prefix, ask)
        ask_page = partial(next, pages, None)
        while (page := self.terms.asked(prefix, ask_page)) is not None:
            yield from self.terms.listed(page, below, offset)

    def _listed_by_second(self, prefix: str, start_after: str | None) -> Iterator[ObjectMeta]:
        second = self._second(prefix)
        token: str | None = ""
        while token is not None:
            asked = token
            page, token = second.run(
                lambda bucket, at=asked: bucket.page(prefix, start_after, at)  # type: ignore[misc]
            )
            yield from page

    def for_deletions(self, number: int) -> Backend:
        """The bucket, with an SDK that makes one attempt at the deletion of so many objects."""
        if number > 1 and self._takes_batches:
            return self.requests
        THREADS.need()
        if self._singly is None:
            self._singly = self.raw().single_deletes()
        return self._singly

    def needs_each(self, path: str, failure: Failure | None) -> bool:
        """Whether a batch of deletions failed so that each is to be made by itself.

        Some were carried out, or none, where the service has no such request; that is remembered.
        Whichever it is, the deletion that cannot be made is found by making each.

        Raises:
            StoreUnavailable: If the service did not answer.
        """
        if failure is None:
            return False
        error = failed_request(self.terms.service, path, failure)
        if isinstance(error, StoreUnavailable):
            raise error
        if failure.status in NO_BATCHES:
            self._takes_batches = False
        return True

    def _delete_each(self, paths: Sequence[str], keys: Keys) -> None:
        if tried(partial(obstore.delete, self.for_deletions(1), keys)) is not None:
            for path, key in zip(paths, keys, strict=True):
                self._delete(path, key)

    def _delete(self, path: str, key: str) -> None:
        with suppress(NotFound):
            self.terms.asked(path, partial(obstore.delete, self.for_deletions(1), key))


def _read(backend: Backend, key: str, options: Any) -> "tuple[GetResult, Bytes]":
    result = obstore.get(backend, key, options=options)
    return result, result.bytes()
