"""What is the asynchronous store's own: its drivers, cancellation, uploads and listings."""

import asyncio
import threading

import pytest

from atomic_manifest import errors
from atomic_manifest.env import SystemEnv
from atomic_manifest.store import AsyncObjectStore, IfAbsent, InThreads, ObjectStore, Retry
from atomic_manifest.store.capabilities import all_safe
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.safety.remembered import forget
from atomic_manifest.testing import CountingDriver, FakeEnv, Fault, FaultyDriver
from tests.store.foreign import Foreign

PART = 1000


def using(act, driver=None, **options):
    """Run a coroutine function on a store over a driver."""

    async def run():
        async with AsyncObjectStore(InThreads(driver or MemoryDriver()), **options) as store:
            return await act(store)

    return asyncio.run(run())


async def collect(items):
    return [item async for item in items]


def test_every_operation_works():
    async def act(store):
        meta = await store.put("a/k", b"data", metadata={"mine": "1"})
        assert await store.head("a/k") == meta
        assert (await store.get("a/k", range=(1, 3))).data == b"at"
        with pytest.raises(errors.NotModified):
            await store.get("a/k", if_none_match=str(meta.etag))
        with pytest.raises(errors.NotModified):
            await store.head("a/k", if_none_match=meta.etag)
        await store.copy("a/k", "b/c/k", when=IfAbsent())
        assert [m.path for m in await collect(store.list())] == ["a/k", "b/c/k"]
        assert [m.path for m in await collect(store.list(start_after="a/k"))] == ["b/c/k"]
        assert await collect(store.list_dirs()) == ["a", "b"]
        assert await collect(store.list_dirs("b")) == ["b/c"]
        await store.delete("a/k")
        await store.delete_many(iter(["b/c/k"]))
        assert await collect(store.list()) == []
        assert store.url == "memory://memory"
        assert repr(store) == "AsyncObjectStore('memory://memory')"

    using(act)


class Native(InThreads):
    closed = False

    async def close(self):
        self.closed = True
        await super().close()


class WithNative(MemoryDriver):
    def as_async(self):
        self.native = Native(self)
        return self.native


def test_twin_takes_the_drivers_own_asynchronous_one_if_there_is_one():
    async def act():
        blocking = ObjectStore(WithNative(), retry=Retry(attempts=2), multipart_threshold=7)
        async with AsyncObjectStore.of(blocking) as store:
            assert store.driver is blocking.driver.native
            assert (store.env, store.retry) == (blocking.env, blocking.retry)
            assert store.multipart_threshold == 7
            await store.put("k", b"x")
        assert store.driver.closed
        assert blocking.get("k").data == b"x"
        async with AsyncObjectStore.of(ObjectStore(MemoryDriver())) as store:
            assert isinstance(store.driver, InThreads)

    asyncio.run(act())


def test_twin_needs_pauses_that_do_not_block():
    class BlockingEnv:
        def __getattribute__(self, name):
            if name == "sleep_async":
                raise AttributeError(name)
            return getattr(SystemEnv(), name)

    with pytest.raises(errors.InvalidRequest, match="sleep_async"):
        AsyncObjectStore.of(ObjectStore(MemoryDriver(), env=BlockingEnv()))


def test_closed_driver_has_no_threads_left():
    async def act():
        before = set(threading.enumerate())
        async with AsyncObjectStore(InThreads(MemoryDriver(), threads=2)) as store:
            await asyncio.gather(*(store.put(f"k{i}", b"") for i in range(9)))
            own = set(threading.enumerate()) - before
            assert 1 <= len(own) <= 2
        await store.close()
        for thread in own:
            thread.join(10)
        assert not own & set(threading.enumerate())

    asyncio.run(act())


@pytest.mark.parametrize("size", [0, PART - 1, PART, 3 * PART + 7])
@pytest.mark.parametrize("step", [PART // 3, 4 * PART])
def test_upload_appears_when_it_is_closed(size, step):
    data = bytes(range(251)) * (size // 251 + 1)

    async def act(store):
        async with store.upload("k", part_size=PART, when=IfAbsent()) as upload:
            for start in range(0, size, step):
                await upload.write(data[start : min(start + step, size)])
            assert (upload.tell(), upload.closed, upload.meta) == (size, False, None)
            assert await collect(store.list()) == []
        assert upload.closed
        assert upload.meta == await store.head("k")
        assert (await store.get("k")).data == data[:size]
        assert repr(upload) == f"<AsyncUpload of 'k', {size} bytes>"

    using(act)


def test_upload_that_is_left_with_an_exception_is_aborted():
    async def fail(store):
        async with store.upload("k", part_size=PART) as upload:
            await upload.write(bytes(2 * PART))
            raise ZeroDivisionError

    async def act(store):
        with pytest.raises(ZeroDivisionError):
            await fail(store)
        assert await collect(store.list()) == []

    using(act)


class Stuck(MemoryDriver):
    """Its parts wait until they are let go."""

    def __init__(self):
        super().__init__()
        self.started = threading.Event()
        self.go = threading.Event()
        self.written = self.aborted = False

    def start_upload(self, *args, **options):
        driver, inner = self, super().start_upload(*args, **options)

        class Wrapped:
            def write(self, data):
                driver.started.set()
                driver.go.wait(10)
                assert not driver.aborted
                inner.write(data)
                driver.written = True

            def finish(self):
                return inner.finish()

            def abort(self):
                driver.aborted = driver.written
                inner.abort()

        return Wrapped()


def test_cancelled_put_aborts_what_it_had_begun_to_upload():
    driver = Stuck()

    async def act(store):
        task = asyncio.create_task(store.put("k", bytes(5 * PART)))
        await asyncio.to_thread(driver.started.wait, 10)
        task.cancel()
        await asyncio.sleep(0)  # the abort is under way before the part is
        driver.go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await collect(store.list()) == []

    using(act, driver, multipart_threshold=PART)
    assert driver.aborted


class BreakingList(MemoryDriver):
    """Breaks off each listing after three objects."""

    def list(self, prefix="", *, start_after=None):
        for number, meta in enumerate(super().list(prefix, start_after=start_after)):
            if number == 3:
                raise errors.StoreUnavailable("broke off", path=prefix)
            yield meta


def test_listing_goes_on_behind_the_last_object():
    env = FakeEnv()

    async def act(store):
        for number in range(20):
            await store.put(f"l/{number:02}", b"")
        found = await collect(store.list("l"))
        assert [meta.path for meta in found] == [f"l/{i:02}" for i in range(20)]
        assert len(env.slept) == 6

    using(act, BreakingList(), env=env, retry=Retry(attempts=2))


def test_listing_that_always_fails_is_unavailable():
    async def act(store):
        with pytest.raises(errors.StoreUnavailable):
            await collect(store.list())
        with pytest.raises(errors.StoreUnavailable):
            await collect(store.list_dirs())

    using(act, FaultyDriver(MemoryDriver(), lambda _n, _r: Fault.ERROR_500), env=FakeEnv())


def test_long_listing_comes_in_order():
    driver = MemoryDriver()
    paths = [f"l/{number:04}" for number in range(2500)]
    for path in paths:
        driver.put(path, b"")

    async def act(store):
        return [meta.path for meta in await collect(store.list("l"))]

    assert using(act, driver) == paths


@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_sub_folders_are_told_once_and_large_ones_skipped(kind):
    driver = CountingDriver(MemoryDriver())
    for path in ["top", "p-1/x", "p/file", "p/a/1", "p/a-b/1", "p/a/z/1", "p/c/d/e"]:
        driver.inner.put(path, b"")
    for number in range(3500):
        driver.inner.put(f"p/b/{number:05}", b"")
        driver.inner.put(f"q/{number:05}", b"")

    def names(prefix):
        if kind == "blocking":
            return [*ObjectStore(driver).list_dirs(prefix)]

        async def act(store):
            return await collect(store.list_dirs(prefix))

        return using(act, driver)

    assert names("p") == names("p/") == ["p/a-b", "p/a", "p/b", "p/c"]
    assert driver.count("list") == 4
    assert names("") == ["p-1", "p", "q"]
    assert names("none") == names("p/c/d") == []


def test_wrapped_driver_tells_whether_it_keeps_metadata():
    class Forgetful(MemoryDriver):
        keeps_metadata = False

    for driver in (Forgetful(), CountingDriver(Forgetful()), FaultyDriver(Forgetful(), {})):

        async def act(store):
            with pytest.raises(errors.UnsupportedByStore):
                await store.put("k", b"x", idempotency_key="a")

        using(act, driver)
        with pytest.raises(errors.UnsupportedByStore):
            ObjectStore(driver).put("k", b"x", idempotency_key="a")


# --- capabilities ---


@pytest.fixture
def _remembers_nothing():
    forget()
    yield
    forget()


@pytest.mark.usefixtures("_remembers_nothing")
def test_capabilities_are_probed_once_and_the_same_as_of_the_blocking_twin():
    driver = CountingDriver(MemoryDriver())
    store = ObjectStore(Foreign(driver, "https://async.example"))

    async def ask():
        async with AsyncObjectStore.of(store) as twin:
            return await asyncio.gather(twin.capabilities(), twin.capabilities())

    first, second = asyncio.run(ask())
    assert first.source == "probe"
    assert first is second is store.capabilities
    asked = len(driver.requests)
    assert asyncio.run(ask()) == [first, first]
    assert len(driver.requests) == asked


def test_capabilities_that_are_given_or_known_take_no_request():
    driver = CountingDriver(MemoryDriver())
    given = all_safe("mine", "known")

    async def of_twin():
        async with AsyncObjectStore.of(ObjectStore(driver, capabilities=given)) as store:
            return await store.capabilities()

    async def ask(store):
        return await store.capabilities()

    assert asyncio.run(of_twin()) is given
    assert using(ask, driver, capabilities=given) is given
    assert using(ask, driver).source == "known"
    assert not driver.requests


def test_capabilities_of_a_driver_that_only_asyncio_can_use_must_be_given():
    given = all_safe("mine", "known")
    async_only = NativeOnly()

    async def ask(**options):
        return await AsyncObjectStore(async_only, **options).capabilities()

    with pytest.raises(errors.UnsupportedByStore, match="native://here"):
        asyncio.run(ask())
    assert asyncio.run(ask(capabilities=given)) is given


class NativeOnly:
    url = "native://here"
