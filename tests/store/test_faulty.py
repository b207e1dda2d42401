"""Drivers and stores that fail on purpose do exactly what each fault says."""

import pytest

from atomic_manifest.errors import AlreadyExists, NotFound, StoreUnavailable
from atomic_manifest.store import IfAbsent, ObjectStore
from atomic_manifest.store.driver import Deleted, Refused, Unanswered, Written
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import (
    CountingDriver,
    CountingStore,
    FakeEnv,
    Fault,
    FaultyDriver,
    FaultyStore,
    Request,
    seeded_faults,
)


def paths(driver):
    return [meta.path for meta in driver.list()]


def test_delayed_write_lands_before_the_next_request():
    inner = MemoryDriver()
    faulty = FaultyDriver(inner, {0: Fault.DELAYED})
    assert isinstance(faulty.put("k", b"late"), Unanswered)
    assert paths(inner) == []
    assert faulty.get("k").data == b"late"


def test_delayed_write_is_overtaken_by_nobody_twice():
    """The repetition of a delayed create meets its own object, and knows it."""
    store = FaultyStore(ObjectStore(MemoryDriver(), env=FakeEnv()), {0: Fault.DELAYED})
    assert store.put("k", b"x", when=IfAbsent()).etag == store.head("k").etag


def test_duplicated_write_is_carried_out_twice_and_answered_once():
    counting = CountingDriver(MemoryDriver())
    faulty = FaultyDriver(counting, {0: Fault.DUPLICATED, 1: Fault.DUPLICATED})
    assert isinstance(faulty.put("k", b"x", when=IfAbsent()), Written)
    assert isinstance(faulty.delete("k"), Deleted)
    assert [request.method for request in counting.requests] == ["put", "put", "delete", "delete"]


def test_busy_store_does_nothing_and_does_not_say_so():
    inner = MemoryDriver()
    assert isinstance(FaultyDriver(inner, {0: Fault.ERROR_503}).put("k", b"x"), Unanswered)
    assert paths(inner) == []


@pytest.mark.parametrize(
    ("fault", "there"),
    [
        (Fault.LOST_BEFORE, False),
        (Fault.LOST_AFTER, True),
        (Fault.DELAYED, True),
        (Fault.DUPLICATED, True),
        (Fault.ERROR_503, False),
    ],
)
def test_end_of_an_upload_fails_as_a_put_does(fault, there):
    inner = MemoryDriver()
    faulty = FaultyDriver(inner, {1: fault})
    upload = faulty.start_upload("k", part_size=1, max_in_flight=1, when=IfAbsent())
    upload.write(b"x")
    outcome = upload.finish()
    assert isinstance(outcome, Written if fault is Fault.DUPLICATED else Unanswered)
    upload.abort()
    assert paths(inner) == (["k"] if there else [])


@pytest.mark.parametrize("fault", [Fault.DELAYED, Fault.LOST_AFTER, Fault.LOST_BEFORE])
def test_deletions_of_many_fail_and_land_or_not(fault):
    inner = MemoryDriver()
    inner.put("k", b"x")
    faulty = FaultyDriver(inner, {0: fault})
    with pytest.raises(StoreUnavailable):
        faulty.delete_many(["k"])
    faulty.land()
    assert paths(inner) == (["k"] if fault is Fault.LOST_BEFORE else [])


def test_reads_are_not_duplicated():
    faulty = FaultyDriver(MemoryDriver(), {0: Fault.DUPLICATED})
    with pytest.raises(NotFound):
        faulty.get("k")


def test_faults_of_a_seed_are_the_same_each_time_and_about_as_many_as_asked():
    request = Request("put", "k")
    first, same, other = seeded_faults(7, 0.25), seeded_faults(7, 0.25), seeded_faults(8, 0.25)
    drawn = [first(number, request) for number in range(2000)]
    assert drawn == [same(number, request) for number in range(2000)]
    assert drawn != [other(number, request) for number in range(2000)]
    assert 400 < sum(fault is not None for fault in drawn) < 600
    assert {*drawn} == {None, *Fault}
    few = seeded_faults(7, 1.0, [Fault.LOST_AFTER])
    assert {few(number, request) for number in range(20)} == {Fault.LOST_AFTER}


def test_counting_store_records_what_a_call_costs():
    counting = CountingStore(ObjectStore(MemoryDriver(), env=FakeEnv()))
    counting.put("k", b"x", when=IfAbsent())
    assert counting.requests == (Request("put", "k"),)
    with pytest.raises(AlreadyExists):
        counting.put("k", b"x", when=IfAbsent())
    assert counting.count("put") == 2
    counting.clear()
    assert counting.requests == ()


def test_refusal_of_a_duplicate_is_never_told():
    faulty = FaultyDriver(MemoryDriver(), {0: Fault.DUPLICATED})
    assert not isinstance(faulty.put("k", b"x", when=IfAbsent()), Refused)
