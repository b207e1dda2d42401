"""The read-modify-write loop and the client of one object, through both stores."""

import asyncio

import pytest

from atomic_manifest import errors, store
from atomic_manifest.store import (
    AsyncConditionalObject,
    AsyncObjectStore,
    ConditionalObject,
    ETag,
    InThreads,
    ObjectStore,
)
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import CountingDriver, FakeEnv, Fault, FaultyDriver
from tests.store.both import KINDS, opened


@pytest.fixture(params=KINDS)
def made(request):
    contexts = []

    def make(faults=(), driver=None):
        faults = faults if callable(faults) else dict(faults)
        counting = CountingDriver(FaultyDriver(driver or MemoryDriver(), faults))
        context = opened(request.param, counting, env=FakeEnv())
        contexts.append(context)
        return context.__enter__()

    yield make
    for context in contexts:
        context.__exit__(None, None, None)


def increment(data):
    return b"%d" % (int(data or 0) + 1)


class Rivals(MemoryDriver):
    """Somebody else increments before each of the first writes."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def put(self, path, data, **options):
        if self.times:
            self.times -= 1
            try:
                seen = self.get(path).data
            except errors.NotFound:
                seen = None
            super().put(path, increment(seen))
        return super().put(path, data, **options)


def test_update_creates_changes_and_leaves_alone(made):
    made_store = made()
    assert made_store.update("k", lambda _: None) is None
    first = made_store.update("k", increment)
    assert (first.data, first.meta) == (b"1", made_store.head("k"))
    assert made_store.update("k", lambda data: bytearray(increment(data))).data == b"2"
    assert made_store.update("k", lambda _: None) == made_store.get("k")
    assert made_store.driver.count("put") == 2


def test_update_that_loses_reads_again_and_applies_to_what_is_there(made):
    made_store = made(driver=Rivals(3))
    assert made_store.update("k", increment).data == b"4"
    assert len(made_store.env.slept) == 3


def test_update_ends_after_its_attempts_with_nothing_written(made):
    made_store = made(driver=Rivals(99))
    with pytest.raises(errors.Contended, match="k: ") as raised:
        made_store.update("k", lambda _: b"mine", attempts=4)
    assert raised.value.retryable
    assert made_store.driver.count("put") == 4
    assert made_store.get("k").data == b"4"


def test_update_ends_at_its_deadline(made):
    made_store = made(driver=Rivals(10**6))
    with pytest.raises(errors.Contended):
        made_store.update("k", increment, attempts=10**6, deadline=7.0)
    assert 3.0 < made_store.env.monotonic() <= 7.0
    made_store = made(lambda _n, _r: Fault.ERROR_500)
    with pytest.raises(errors.StoreUnavailable):
        made_store.update("k", increment, deadline=0.1)
    assert made_store.env.monotonic() <= 0.1
    made_store = made(lambda _n, r: Fault.CONFLICT_409 if r.method == "put" else None)
    with pytest.raises(errors.Contended):
        made_store.update("k", increment, deadline=0.5)
    assert made_store.env.monotonic() <= 0.5


def test_update_is_never_applied_twice(made):
    env = FakeEnv(seed=3)

    def fault(_number, request):
        return Fault.LOST_AFTER if request.method == "put" and env.random() < 0.4 else None

    made_store = made(fault)
    for _ in range(50):
        made_store.update("k", increment)
    assert made_store.driver.inner.inner.get("k").data == b"50"


def test_update_stops_when_its_outcome_cannot_be_told(made):
    made_store = made({1: Fault.LOST_BEFORE}, Rivals(1))
    with pytest.raises(errors.WriteOutcomeUnknown):
        made_store.update("k", increment)


def test_what_the_function_raises_ends_the_update(made):
    made_store = made()
    with pytest.raises(ZeroDivisionError):
        made_store.update("k", lambda _: 1 // 0)
    for wrong in ("text", 7, [b"x"]):
        with pytest.raises(errors.InvalidRequest, match="k: "):
            made_store.update("k", lambda _, wrong=wrong: wrong)
    assert made_store.driver.count("put") == 0


def test_asynchronous_update_takes_a_coroutine_function():
    async def slowly(data):
        await asyncio.sleep(0)
        return increment(data)

    with opened("async", MemoryDriver()) as made_store:
        made_store.update("k", slowly)
        assert made_store.update("k", slowly).data == b"2"


# --- one object


def test_conditional_object_is_created_swapped_and_deleted():
    one = ConditionalObject(ObjectStore(MemoryDriver()), "k")
    with pytest.raises(errors.NotFound) as missing:
        one.get()
    first = one.set(b"one")
    assert one.get() == (b"one", first)
    second = one.set(b"two", first)
    assert isinstance(second, ETag)
    for stale in (first, str(first), first.bare):
        with pytest.raises(errors.PreconditionFailed) as swapped:
            one.set(b"three", stale)
    with pytest.raises(errors.PreconditionFailed):
        one.set(b"three")
    with pytest.raises(errors.PreconditionFailed):
        one.delete(first)
    one.delete(str(second))
    with pytest.raises(errors.NotFound):
        one.get()
    assert repr(one) == "ConditionalObject(ObjectStore('memory://memory'), 'k')"
    assert store.is_not_found(missing.value)
    assert store.is_precondition_failed(swapped.value)
    assert not store.is_precondition_failed(missing.value)


def test_asynchronous_conditional_object_is_created_swapped_and_deleted():
    async def use():
        async with AsyncObjectStore(InThreads(MemoryDriver())) as opened_store:
            one = AsyncConditionalObject(opened_store, "k")
            first = await one.set(b"one")
            second = await one.set(b"two", first)
            assert await one.get() == (b"two", second)
            with pytest.raises(errors.PreconditionFailed):
                await one.set(b"three", first)
            await one.delete(second)
            with pytest.raises(errors.NotFound):
                await one.get()

    asyncio.run(use())


@pytest.mark.parametrize(
    ("error", "predicate"),
    [
        (errors.NotFound, store.is_not_found),
        (errors.PreconditionFailed, store.is_precondition_failed),
        (errors.AlreadyExists, store.is_precondition_failed),
        (errors.Conflict409, store.is_conflict),
        (errors.Contended, store.is_conflict),
        (errors.StoreUnavailable, store.is_unavailable),
        (errors.WriteOutcomeUnknown, store.is_unknown),
    ],
)
def test_each_error_has_one_predicate(error, predicate):
    predicates = [
        store.is_not_found,
        store.is_precondition_failed,
        store.is_conflict,
        store.is_unavailable,
        store.is_unknown,
    ]
    assert [check for check in predicates if check(error("x", path="k"))] == [predicate]
    assert not any(check(FileNotFoundError()) for check in predicates)


def test_store_without_etags_has_no_conditional_objects():
    from dataclasses import replace

    class NoTags(MemoryDriver):
        def get(self, path, **options):
            found = super().get(path, **options)
            return replace(found, meta=replace(found.meta, etag=None))

    made_store = ObjectStore(NoTags())
    made_store.put("k", b"1")
    with pytest.raises(errors.UnsupportedByStore):
        ConditionalObject(made_store, "k").get()
    with pytest.raises(errors.UnsupportedByStore):
        made_store.update("k", increment)
