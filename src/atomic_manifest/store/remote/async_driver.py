"""The asynchronous twin of `RemoteDriver`: the same words, sent by obstore's coroutines.

Everything `remote.driver` promises holds here. What goes through the second client runs on its own event
loop, and is waited for.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import obstore

from atomic_manifest.errors import NotFound, StoreUnavailable
from atomic_manifest.store.async_driver import AsyncDriverUpload
from atomic_manifest.store.conditions import Condition, ETag, IfMatch
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
    refuse_pickling,
)
from atomic_manifest.store.failures import Failure, Service, write_outcome
from atomic_manifest.store.remote.driver import PAGE, Backend, RemoteDriver
from atomic_manifest.store.remote.forks import THREADS
from atomic_manifest.store.remote.sdk import tried_async
from atomic_manifest.store.remote.second_client import SecondClient
from atomic_manifest.store.remote.second_upload import AsyncSecondUpload
from atomic_manifest.store.remote.terms import Keys, Terms, never_matches
from atomic_manifest.threads import from_loop

if TYPE_CHECKING:
    from obstore import AsyncWritableFile, Bytes, GetResult


class AsyncRemoteDriver:
    """A bucket, or a folder of one, for tasks of an event loop.

    Args:
        remote: The same bucket for threads; its connections are used.
    """

    def __init__(self, remote: RemoteDriver) -> None:
        self._terms = remote.terms
        self._remote = remote
        self._client = remote.second

    @property
    def lists_in_order(self) -> bool | None:
        """As of the driver for threads."""
        return self._remote.lists_in_order

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self._remote.url

    __reduce__ = refuse_pickling

    def __repr__(self) -> str:
        return f"AsyncRemoteDriver({self.url!r})"

    async def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        if THREADS.lost:
            return await (await self._second(path)).run_async(
                lambda bucket: bucket.get(path, range=range, if_none_match=if_none_match)
            )
        if if_none_match is not None and self._terms.service is Service.GCS:
            await self.head(path, if_none_match=if_none_match)
        options = self._terms.get_options(path, range, if_none_match, head=False)
        key = self._terms.key(path)
        ask = partial(_read, self._remote.requests, key, options)
        result, body = await self._terms.asked_async(path, ask)
        return self._terms.object(path, result, body)

    async def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        if THREADS.lost:
            return await (await self._second(path)).run_async(
                lambda bucket: bucket.head(path, if_none_match=if_none_match)
            )
        options = self._terms.get_options(path, None, if_none_match, head=True)
        key = self._terms.key(path)
        ask = partial(obstore.get_async, self._remote.requests, key, options=options)
        result = await self._terms.asked_async(path, ask)
        return self._terms.unlike(if_none_match, self._terms.meta(path, result))

    async def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        key, attributes = self._terms.key(path), self._terms.attributes(path, metadata)
        if self._terms.needs_verbs(when) or THREADS.lost:
            return await (await self._second(path, when)).run_async(
                lambda bucket: bucket.put(path, data, when=when, metadata=metadata)
            )
        mode = self._terms.mode(path, when)
        if never_matches(when):
            return Refused()
        ask = partial(
            obstore.put_async,
            self._remote.requests,
            key,
            memoryview(data).cast("B"),
            mode=mode,
            attributes=attributes,
            use_multipart=False,
        )
        result = await tried_async(ask)
        if isinstance(result, Failure):
            return write_outcome(self._terms.service, path, when, result)
        return Written(self._terms.written(path, data, metadata, result))

    async def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> AsyncDriverUpload:
        """See `Driver.start_upload`."""
        key, attributes = self._terms.key(path), self._terms.attributes(path, metadata)
        if when is not None or self._terms.dialect.second_writes or THREADS.lost:
            return AsyncSecondUpload(
                await self._second(path, when),
                path,
                when=when,
                metadata=metadata,
                part_size=part_size,
                max_in_flight=max_in_flight,
            )
        open_writer = partial(
            obstore.open_writer_async,
            self._remote.uploads,
            key,
            attributes=attributes,
            buffer_size=part_size,
            max_concurrency=max_in_flight,
        )
        writer = self._terms.asked(path, open_writer)
        return AsyncRemoteUpload(path, writer, self._terms)

    async def copy(
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
        return await (await self._second(path, when, source_when)).run_async(
            lambda bucket: bucket.copy(source, path, when=when, source_when=source_when)
        )

    async def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        key = self._terms.key(path)
        self._terms.dialect.check_deletion(path, when, version)
        special = when is not None or version is not None
        if special or self._terms.dialect.second_writes or THREADS.lost:
            return await (await self._second(path, when)).run_async(
                lambda bucket: bucket.delete(path, when=when, version=version)
            )
        try:
            await self._delete(path, key)
        except StoreUnavailable as error:
            return Unanswered(error)
        return Deleted()

    async def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        if self._terms.dialect.second_writes or THREADS.lost:
            await (await self._second("")).run_async(lambda bucket: bucket.delete_many(paths))
            return
        given = iter(paths)
        while batch := list(islice(given, PAGE)):
            keys = [self._terms.key(path) for path in batch]
            backend = self._remote.for_deletions(len(batch))
            failure = await tried_async(partial(obstore.delete_async, backend, keys))
            if self._remote.needs_each(batch[0], failure):
                await self._delete_each(batch, keys)

    def list(
        self, prefix: str = "", *, start_after: str | None = None
    ) -> AsyncIterator[ObjectMeta]:
        """See `Driver.list`."""
        below, offset = self._terms.folder_of(prefix), self._terms.offset(start_after)
        if THREADS.lost:
            return self._listed_by_second(prefix, start_after)
        return self._listed(prefix, below, offset)

    async def close(self) -> None:
        """See `AsyncDriver.close`. The connections are the blocking driver's, and stay open."""

    async def _second(self, path: str, *conditions: Condition | None) -> SecondClient:
        await from_loop(self._client.check, path, *conditions)
        return self._client

    async def _listed(
        self, prefix: str, below: str, offset: str | None
    ) -> AsyncIterator[ObjectMeta]:
        backend = self._remote.requests
        ask = partial(obstore.list, backend, below or None, offset=offset, chunk_size=PAGE)
        pages = self._terms.asked(prefix, ask)
        ask_page = partial(anext, pages, None)
        while (page := await self._terms.asked_async(prefix, ask_page)) is not None:
            for meta in self._terms.listed(page, below, offset):
                yield meta

    async def _listed_by_second(
        self, prefix: str, start_after: str | None
    ) -> AsyncIterator[ObjectMeta]:
        second = await self._second(prefix)
        token: str | None = ""
        while token is not None:
            asked = token
            page, token = await second.run_async(
                lambda bucket, at=asked: bucket.page(prefix, start_after, at)  # type: ignore[misc]
            )
            for meta in page:
                yield meta

    async def _delete_each(self, paths: Sequence[str], keys: Keys) -> None:
        backend = self._remote.for_deletions(1)
        if await tried_async(partial(obstore.delete_async, backend, keys)) is not None:
            for path, key in zip(paths, keys, strict=True):
                await self._delete(path, key)

    async def _delete(self, path: str, key: str) -> None:
        with suppress(NotFound):
            ask = partial(obstore.delete_async, self._remote.for_deletions(1), key)
            await self._terms.asked_async(path, ask)


class AsyncRemoteUpload:
    """The asynchronous twin of `RemoteUpload`.

    Args:
        path: The object's path.
        writer: obstore's writer of it.
        terms: Turn the SDK's failures into errors.
    """

    def __init__(
        self,
        path: str,
        writer: "AsyncWritableFile",
        terms: Terms,
    ) -> None:
        self._path = path
        self._writer: AsyncWritableFile | None = writer
        self._terms = terms
        self._size = 0

    async def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        assert self._writer is not None, "the upload is over"  # noqa: S101 - misuse, not input
        self._size += await self._terms.asked_async(self._path, partial(self._writer.write, data))

    async def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`. The result tells neither ETag nor time."""
        writer, self._writer = self._writer, None
        assert writer is not None, "the upload is over"  # noqa: S101 - misuse, not input
        try:
            await self._terms.asked_async(self._path, writer.close)
        except StoreUnavailable as error:
            return Unanswered(error)
        return Written(ObjectMeta(self._path, self._size))

    async def abort(self) -> None:
        """See `DriverUpload.abort`."""
        writer, self._writer = self._writer, None
        if writer is not None:
            leave = partial(writer.__aexit__, Exception, None, None)
            await self._terms.asked_async(self._path, leave)


async def _read(backend: Backend, key: str, options: Any) -> "tuple[GetResult, Bytes]":
    result = await obstore.get_async(backend, key, options=options)
    return result, await result.bytes_async()
