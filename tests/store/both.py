"""One test, two stores: the blocking one, and the asynchronous one called as if it blocked."""

import asyncio
from contextlib import contextmanager

from atomic_manifest.store import AsyncObjectStore, InThreads, ObjectStore

KINDS = ["blocking", "async"]


class Blocking:
    """An `AsyncObjectStore` whose coroutines are run to their end."""

    def __init__(self, store, runner):
        self.store = store
        self.runner = runner
        self.env = store.env
        self.driver = getattr(store.driver, "driver", store.driver)

    def __getattr__(self, name):
        method = getattr(self.store, name)

        def call(*args, **options):
            result = method(*args, **options)
            if hasattr(result, "__aiter__"):
                return iter(self.runner.run(collect(result)))
            if hasattr(result, "__await__"):
                return self.runner.run(result)
            return BlockingUpload(result, self.runner)

        return call


class BlockingUpload:
    def __init__(self, upload, runner):
        self.upload = upload
        self.runner = runner

    def __getattr__(self, name):
        value = getattr(self.upload, name)
        if name in ("write", "close", "abort"):
            return lambda *args: self.runner.run(value(*args))
        return value


async def collect(items):
    return [item async for item in items]


@contextmanager
def opened(kind, driver, **options):
    """The store of one kind over a blocking driver."""
    if kind == "blocking":
        yield ObjectStore(driver, **options)
        return
    with asyncio.Runner() as runner:
        store = Blocking(AsyncObjectStore(InThreads(driver, threads=4), **options), runner)
        try:
            yield store
        finally:
            runner.run(store.store.close())
