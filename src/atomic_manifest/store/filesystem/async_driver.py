"""The asynchronous twin of `FsspecDriver`."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import (
    Data,
    DeleteOutcome,
    Object,
    ObjectMeta,
    WriteOutcome,
    refuse_pickling,
)
from atomic_manifest.store.filesystem.driver import FsspecDriver
from atomic_manifest.store.keys import folder
from atomic_manifest.threads import outlive_main

if TYPE_CHECKING:
    from atomic_manifest.store.filesystem.upload import FilesystemUpload

_T = TypeVar("_T")


class AsyncFsspecDriver:
    """A folder of a bucket, through `s3fs`, `gcsfs` or `adlfs`, for any event loop. See `AsyncDriver`.

    Requests run on fsspec's event loop in the background; the caller's own is never held up.

    Args:
        driver: The same bucket for threads.
    """

    def __init__(self, driver: FsspecDriver) -> None:
        self._driver = driver

    @property
    def lists_in_order(self) -> bool | None:
        """As of the driver for threads."""
        return self._driver.lists_in_order

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self._driver.url

    __reduce__ = refuse_pickling

    def __repr__(self) -> str:
        return f"AsyncFsspecDriver({self.url!r})"

    async def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        return await self._run(
            self._driver.bucket.get(path, range=range, if_none_match=if_none_match)
        )

    async def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        return await self._run(self._driver.bucket.head(path, if_none_match=if_none_match))

    async def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        return await self._run(self._driver.bucket.put(path, data, when=when, metadata=metadata))

    async def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> "AsyncFsspecUpload":
        """See `Driver.start_upload`."""
        started = self._driver.bucket.start_upload(
            path, part_size=part_size, max_in_flight=max_in_flight, when=when, metadata=metadata
        )
        return AsyncFsspecUpload(self._driver.loop, started)

    async def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        return await self._run(
            self._driver.bucket.copy(source, path, when=when, source_when=source_when)
        )

    async def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        return await self._run(self._driver.bucket.delete(path, when=when, version=version))

    async def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        await self._run(self._driver.bucket.delete_many(paths))

    def list(
        self, prefix: str = "", *, start_after: str | None = None
    ) -> AsyncIterator[ObjectMeta]:
        """See `Driver.list`."""
        folder(prefix)
        return self._listed(prefix, start_after)

    async def close(self) -> None:
        """See `AsyncDriver.close`. Connections end with the filesystem's."""

    async def _listed(self, prefix: str, start_after: str | None) -> AsyncIterator[ObjectMeta]:
        token: str | None = ""
        while token is not None:
            page, token = await self._run(self._driver.bucket.page(prefix, start_after, token))
            for meta in page:
                yield meta

    async def _run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return await _on(self._driver.loop, coroutine)


class AsyncFsspecUpload:
    """A multipart upload in progress. See `AsyncDriverUpload`.

    Args:
        loop: The filesystem's.
        upload: Lives there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, upload: "FilesystemUpload") -> None:
        self._loop = loop
        self._upload = upload

    async def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        await _on(self._loop, self._upload.write(data))

    async def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`."""
        return await _on(self._loop, self._upload.finish())

    async def abort(self) -> None:
        """See `DriverUpload.abort`."""
        await _on(self._loop, self._upload.abort())


async def _on(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, _T]) -> _T:
    if asyncio.get_running_loop() is loop:
        return await coroutine
    outlive_main(loop)
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))
