"""An asynchronous driver for tests that block: every coroutine runs on an event loop in a thread."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from atomic_manifest.store import InThreads
from atomic_manifest.store.driver import Driver


class BlockingDriver:
    """A `Driver` over an `AsyncDriver`."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._async = inner
        self._loop = loop
        self.url = inner.url

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._async, name)

        def call(*args: Any, **options: Any) -> Any:
            result = asyncio.run_coroutine_threadsafe(method(*args, **options), self._loop).result()
            return BlockingUpload(result, self._loop) if name == "start_upload" else result

        return call

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[Any]:
        async def collect() -> list[Any]:
            return [meta async for meta in self._async.list(prefix, start_after=start_after)]

        return iter(asyncio.run_coroutine_threadsafe(collect(), self._loop).result())


class BlockingUpload:
    """A `DriverUpload` over an `AsyncDriverUpload`."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._async = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._async, name)
        return lambda *args: asyncio.run_coroutine_threadsafe(method(*args), self._loop).result()


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread for the length of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def in_threads(driver: Driver, threads: int = 16) -> Iterator[BlockingDriver]:
    """A driver as `AsyncObjectStore.of` makes it one of tasks where it has no coroutines itself."""
    with event_loop() as loop:
        inner = InThreads(driver, threads=threads)
        try:
            yield BlockingDriver(inner, loop)
        finally:
            asyncio.run_coroutine_threadsafe(inner.close(), loop).result()
