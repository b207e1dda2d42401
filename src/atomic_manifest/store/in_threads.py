"""Any driver as an asynchronous one: its calls run in threads of their own.

A task that is cancelled leaves its call running to its end in the thread: a write may still land.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from itertools import islice
from typing import Any, TypeVar

from atomic_manifest.errors import StoreError
from atomic_manifest.forks import lock
from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import (
    Data,
    DeleteOutcome,
    Driver,
    DriverUpload,
    Object,
    ObjectMeta,
    WriteOutcome,
)
from atomic_manifest.store.keys import keeps_metadata, lists_in_order
from atomic_manifest.threads import ThreadPool

_T = TypeVar("_T")

THREADS = 32
"""Calls under way at the same time, unless told otherwise."""

_PAGE = 1000


class InThreads:
    """An `AsyncDriver` over a `Driver`.

    Args:
        driver: Does the work.
        threads: Calls under way at the same time, at most.
    """

    def __init__(self, driver: Driver, *, threads: int = THREADS) -> None:
        self.driver = driver
        self._threads = ThreadPool("store", threads)

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self.driver.url

    @property
    def keeps_metadata(self) -> bool:
        """As of the driver."""
        return keeps_metadata(self.driver)

    @property
    def lists_in_order(self) -> bool | None:
        """As of the driver."""
        return lists_in_order(self.driver)

    def __repr__(self) -> str:
        return f"InThreads({self.driver!r})"

    async def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        return await self._call(self.driver.get, path, range=range, if_none_match=if_none_match)

    async def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        return await self._call(self.driver.head, path, if_none_match=if_none_match)

    async def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        return await self._call(self.driver.put, path, data, when=when, metadata=metadata)

    async def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> "UploadInThreads":
        """See `Driver.start_upload`."""
        upload = await self._call(
            self.driver.start_upload,
            path,
            part_size=part_size,
            max_in_flight=max_in_flight,
            when=when,
            metadata=metadata,
        )
        return UploadInThreads(upload, self._call)

    async def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        return await self._call(self.driver.copy, source, path, when=when, source_when=source_when)

    async def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        return await self._call(self.driver.delete, path, when=when, version=version)

    async def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        await self._call(self.driver.delete_many, [*paths])

    async def list(
        self, prefix: str = "", *, start_after: str | None = None
    ) -> AsyncIterator[ObjectMeta]:
        """See `Driver.list`."""
        listing = await self._call(self.driver.list, prefix, start_after=start_after)
        while True:
            page, error = await self._call(_page, listing)
            for meta in page:
                yield meta
            if error is not None:
                raise error
            if not page:
                return

    async def close(self) -> None:
        """See `AsyncDriver.close`. The driver itself has nothing to close."""
        self._threads.stop(wait=False)

    async def _call(self, function: Callable[..., _T], *args: Any, **options: Any) -> _T:
        import asyncio  # noqa: PLC0415 - it costs as much as the store floor

        return await asyncio.wrap_future(self._threads.submit(function, *args, **options))


class UploadInThreads:
    """An `AsyncDriverUpload` over a `DriverUpload`.

    Its calls follow each other, even when the task that made one is cancelled and another aborts.

    Args:
        upload: Does the work.
        call: Calls in a thread.
    """

    def __init__(self, upload: DriverUpload, call: Callable[..., Any]) -> None:
        self._upload = upload
        self._call = call
        self._lock = lock()

    async def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        await self._call(self._one_by_one, self._upload.write, data)

    async def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`."""
        outcome: WriteOutcome = await self._call(self._one_by_one, self._upload.finish)
        return outcome

    async def abort(self) -> None:
        """See `DriverUpload.abort`."""
        await self._call(self._one_by_one, self._upload.abort)

    def _one_by_one(self, function: Callable[..., Any], *args: Any) -> Any:
        with self._lock:
            return function(*args)


def _page(listing: Any) -> tuple[list[ObjectMeta], StoreError | None]:
    """The next objects of a listing, and what broke it off behind them."""
    page: list[ObjectMeta] = []
    try:
        page.extend(islice(listing, _PAGE))
    except StoreError as error:
        return page, error
    return page, None
