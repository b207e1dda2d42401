"""Retries, their bounds, and how unanswered writes are settled, under a virtual clock."""

import pytest

from atomic_manifest import errors
from atomic_manifest.store import IfAbsent, IfMatch, ObjectStore, Retry
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import CountingDriver, FakeEnv, Fault, FaultyDriver, Request

RETRYABLE = [fault for fault in Fault if fault is not Fault.DUPLICATED]


def make(faults, driver=None, retry=None):
    counting = CountingDriver(FaultyDriver(driver or MemoryDriver(), faults))
    return ObjectStore(counting, env=FakeEnv(), retry=retry)


def always(fault):
    return lambda _number, request: fault if request.method == "put" else None


def methods(store):
    return [request.method for request in store.driver.requests]


@pytest.mark.parametrize("fault", RETRYABLE)
@pytest.mark.parametrize("when", [None, IfAbsent()])
def test_write_that_fails_once_succeeds(fault, when):
    store = make({0: fault})
    meta = store.put("k", b"x", when=when)
    assert store.get("k").data == b"x"
    assert meta.etag == store.head("k").etag
    assert len(store.env.slept) == 1


@pytest.mark.parametrize("fault", RETRYABLE)
def test_swap_that_fails_once_succeeds(fault):
    store = make({1: fault})
    etag = store.put("k", b"1").etag
    meta = store.put("k", b"2", when=IfMatch(etag))
    assert store.get("k").data == b"2"
    assert meta.etag == store.head("k").etag


def test_lost_answer_of_a_create_is_settled_by_one_look():
    store = make({0: Fault.LOST_AFTER})
    store.put("k", b"x", when=IfAbsent())
    assert methods(store) == ["put", "put", "head"]


def test_create_is_one_request_when_nothing_fails():
    store = make({})
    store.put("k", b"x", when=IfAbsent())
    with pytest.raises(errors.AlreadyExists):
        store.put("k", b"y", when=IfAbsent())
    assert methods(store) == ["put", "put"]


def test_refusal_tells_condition_and_current_etag():
    store = make({})
    etag = store.put("k", b"1").etag
    with pytest.raises(errors.AlreadyExists) as exists:
        store.put("k", b"x", when=IfAbsent())
    assert (exists.value.path, exists.value.condition) == ("k", IfAbsent())
    assert exists.value.current_etag == etag
    assert isinstance(exists.value, FileExistsError)
    with pytest.raises(errors.PreconditionFailed) as failed:
        store.put("k", b"x", when=IfMatch("old"))
    assert (failed.value.condition, failed.value.current_etag) == (IfMatch("old"), etag)
    with pytest.raises(errors.PreconditionFailed) as missing:
        store.put("none", b"x", when=IfMatch("old"))
    assert missing.value.current_etag is None


class Intruder(FaultyDriver):
    """Loses one write, before or after it lands; then somebody else writes the key."""

    def __init__(self, fault, data=b"other", metadata=None):
        super().__init__(MemoryDriver(), {})
        self.fault, self.data, self.metadata = fault, data, metadata

    def put(self, path, data, *, when=None, metadata=None):
        fault, self.fault = self.fault, None
        if fault is None:
            return self.inner.put(path, data, when=when, metadata=metadata)
        outcome = FaultyDriver(self.inner, {0: fault}).put(path, data, when=when, metadata=metadata)
        if fault is Fault.LOST_BEFORE or not isinstance(when, IfAbsent):
            self.inner.put(path, self.data, metadata=self.metadata)
        return outcome


@pytest.mark.parametrize("metadata", [None, {"atomic-manifest-write": "f" * 32}])
def test_create_that_was_lost_to_another_raises_already_exists(metadata):
    store = ObjectStore(Intruder(Fault.LOST_BEFORE, metadata=metadata), env=FakeEnv())
    with pytest.raises(errors.AlreadyExists):
        store.put("k", b"mine", when=IfAbsent())
    assert store.get("k").data == b"other"


def test_create_of_the_same_bytes_by_another_with_an_id_is_still_lost():
    metadata = {"atomic-manifest-write": "f" * 32}
    intruder = Intruder(Fault.LOST_BEFORE, data=b"same", metadata=metadata)
    with pytest.raises(errors.AlreadyExists):
        ObjectStore(intruder, env=FakeEnv()).put("k", b"same", when=IfAbsent())


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
def test_unanswered_swap_behind_which_another_wrote_is_unknown(fault):
    intruder = Intruder(fault)
    etag = intruder.inner.put("k", b"0").meta.etag
    with pytest.raises(errors.WriteOutcomeUnknown) as raised:
        ObjectStore(intruder, env=FakeEnv()).put("k", b"mine", when=IfMatch(etag))
    assert raised.value.path == "k"
    assert isinstance(raised.value.__cause__, errors.StoreUnavailable)


def test_store_without_metadata_says_unknown_rather_than_guess(tmp_path):
    store = make({0: Fault.LOST_AFTER}, LocalDriver(tmp_path))
    with pytest.raises(errors.WriteOutcomeUnknown):
        store.put("k", b"x", when=IfAbsent())
    assert store.get("k").data == b"x"


def test_store_without_metadata_still_knows_other_bytes_as_anothers(tmp_path):
    inner = LocalDriver(tmp_path)
    inner.put("k", b"other!")
    store = make({0: Fault.LOST_BEFORE}, inner)
    for data in (b"mine", b"mine!!"):
        with pytest.raises(errors.AlreadyExists):
            store.put("k", data, when=IfAbsent())


@pytest.mark.parametrize(
    ("fault", "when", "error"),
    [
        (Fault.LOST_BEFORE, None, errors.StoreUnavailable),
        (Fault.LOST_BEFORE, IfAbsent(), errors.WriteOutcomeUnknown),
        (Fault.ERROR_500, IfAbsent(), errors.WriteOutcomeUnknown),
        (Fault.CONFLICT_409, None, errors.Conflict409),
        (Fault.CONFLICT_409, IfAbsent(), errors.Conflict409),
        (Fault.THROTTLED_429, None, errors.StoreUnavailable),
        (Fault.THROTTLED_429, IfAbsent(), errors.StoreUnavailable),
    ],
)
def test_write_that_always_fails_raises_after_the_attempts(fault, when, error):
    store = make(always(fault), retry=Retry(attempts=3))
    with pytest.raises(errors.StoreError) as raised:
        store.put("k", b"x", when=when)
    assert type(raised.value) is error
    assert str(raised.value).startswith("k")
    assert store.driver.count("put") == 3
    assert len(store.env.slept) == 2


def test_create_whose_every_answer_is_lost_is_found_to_have_succeeded():
    store = make(always(Fault.LOST_AFTER))
    assert store.put("k", b"x", when=IfAbsent()).size == 1


def test_pauses_have_full_jitter_and_double_up_to_the_cap():
    retry = Retry(attempts=60, base_seconds=1.0, cap_seconds=4.0, budget_seconds=1e9)
    store = make(always(Fault.ERROR_500), retry=retry)
    with pytest.raises(errors.StoreUnavailable):
        store.put("k", b"x")
    bounds = [1.0, 2.0, *[4.0] * 57]
    assert len(store.env.slept) == 59
    assert all(0 <= s < bound for s, bound in zip(store.env.slept, bounds, strict=True))
    assert max(store.env.slept) > 3.5
    assert min(store.env.slept[2:]) < 0.5


def test_time_budget_ends_the_attempts_before_their_number_does():
    retry = Retry(attempts=1000, base_seconds=1.0, cap_seconds=8.0, budget_seconds=60.0)
    store = make(always(Fault.ERROR_500), retry=retry)
    with pytest.raises(errors.StoreUnavailable):
        store.put("k", b"x")
    assert store.env.monotonic() <= 60
    assert store.driver.count("put") < 100


@pytest.mark.parametrize("fault", RETRYABLE)
def test_reads_and_deletions_are_tried_again(fault):
    store = make({1: fault, 3: fault, 5: fault, 7: fault})
    store.put("k", b"x")
    assert store.get("k").data == b"x"
    assert store.head("k").size == 1
    store.delete("k")
    store.delete_many(iter(["k", "l"]))
    assert methods(store) == ["put", *["get"] * 2, *["head"] * 2, *["delete"] * 2] + (
        ["delete_many"] * 2
    )


def test_reads_that_always_fail_raise_unavailable():
    store = make(lambda _n, _r: Fault.ERROR_500, retry=Retry(attempts=3))
    for act in (
        lambda: store.get("k"),
        lambda: store.head("k"),
        lambda: store.delete("k"),
        lambda: list(store.list()),
    ):
        store.driver.clear()
        with pytest.raises(errors.StoreUnavailable):
            act()
        assert len(store.driver.requests) == 3


def test_errors_that_no_retry_mends_are_raised_at_once():
    store = make({})
    with pytest.raises(errors.NotFound):
        store.get("none")
    with pytest.raises(errors.InvalidPath):
        store.put("../x", b"", when=IfAbsent())
    assert methods(store) == ["get"]
    assert store.env.slept == []


class BreakingList(MemoryDriver):
    """Breaks off each listing after three objects."""

    def list(self, prefix="", *, start_after=None):
        for number, meta in enumerate(super().list(prefix, start_after=start_after)):
            if number == 3:
                raise errors.StoreUnavailable("broke off", path=prefix)
            yield meta


def test_listing_goes_on_behind_the_last_object():
    store = ObjectStore(BreakingList(), env=FakeEnv(), retry=Retry(attempts=2))
    for number in range(20):
        store.put(f"l/{number:02}", b"")
    assert [meta.path for meta in store.list("l")] == [f"l/{i:02}" for i in range(20)]
    assert len(store.env.slept) == 6


def test_swaps_under_faults_lose_no_acknowledged_increment():
    env = FakeEnv(seed=7)

    def fault(_number, request):
        return Fault.LOST_AFTER if request.method == "put" and env.random() < 0.3 else None

    store = ObjectStore(FaultyDriver(MemoryDriver(), fault), env=env)
    store.driver.inner.put("counter", b"0")
    for _ in range(50):
        seen = store.get("counter")
        store.put("counter", b"%d" % (int(seen.data) + 1), when=IfMatch(seen.meta.etag))
    assert store.get("counter").data == b"50"


# --- the wrappers themselves


def test_counting_driver_names_every_request():
    driver = CountingDriver(MemoryDriver())
    driver.put("k", b"")
    driver.get("k")
    driver.start_upload("u", part_size=1, max_in_flight=1).finish()
    list(driver.list("p"))
    driver.delete_many(["a", "b"])
    assert driver.requests == (
        Request("put", "k"),
        Request("get", "k"),
        Request("start_upload", "u"),
        Request("list", "p"),
        Request("delete_many", "a"),
    )
    driver.clear()
    assert driver.requests == ()


def test_fault_before_leaves_nothing_and_fault_after_leaves_the_write():
    for fault, landed in ((Fault.LOST_BEFORE, False), (Fault.LOST_AFTER, True)):
        inner = MemoryDriver()
        FaultyDriver(inner, {0: fault}).put("k", b"x")
        assert bool(list(inner.list())) == landed


def test_same_seed_gives_the_same_trace():
    def trace(seed):
        env = FakeEnv(seed)
        store = ObjectStore(FaultyDriver(MemoryDriver(), always(Fault.ERROR_500)), env=env)
        with pytest.raises(errors.StoreUnavailable):
            store.put("k", b"x")
        return env.slept, env.new_id(), env.now()

    assert trace(1) == trace(1)
    assert trace(1)[0] != trace(2)[0]
