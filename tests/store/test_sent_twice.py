"""A request that something on the way sends twice: the refusal that comes back is of our own write."""

import itertools

import pytest

from atomic_manifest import errors
from atomic_manifest.store import IfAbsent, IfMatch
from atomic_manifest.store.driver import Contended, ContendedCause, Refused
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.passing import PassingDriver
from atomic_manifest.store.policy import writing
from atomic_manifest.testing import CountingDriver, FakeEnv, Fault, FaultyDriver
from tests.store.both import KINDS, opened


class Twice(PassingDriver):
    """Carries out every put, and every completion of an upload, twice; the second answer comes back.

    Args:
        tells: Whether a refusal tells the current ETag.
        second: What comes back instead of the second answer.
    """

    def __init__(self, inner, *, tells=False, second=None):
        super().__init__(inner)
        self.tells = tells
        self.second = second

    def around(self, method, path, act):
        if method != "put":
            return act()
        act()
        return self.answer(act())

    def answer(self, outcome):
        if self.second is not None:
            return self.second
        return outcome if self.tells or not isinstance(outcome, Refused) else Refused()

    def start_upload(self, path, **options):
        return TwiceCompleted(self, super().start_upload(path, **options))


class TwiceCompleted:
    def __init__(self, driver, inner):
        self.driver = driver
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def finish(self):
        self.inner.finish()
        return self.driver.answer(self.inner.finish())


@pytest.fixture(params=KINDS)
def made(request):
    contexts = []

    def make(driver, faults=(), **options):
        counting = CountingDriver(FaultyDriver(driver, dict(faults)))
        context = opened(request.param, counting, env=FakeEnv(), **options)
        contexts.append(context)
        return context.__enter__()

    yield make
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.fixture(params=[False, True], ids=["hushed", "told"])
def twice(request):
    return Twice(MemoryDriver(), tells=request.param)


def test_a_create_that_was_sent_twice_has_succeeded(made, twice):
    store = made(twice)
    meta = store.put("k", b"mine", when=IfAbsent())
    assert store.get("k").data == b"mine"
    assert store.head("k").etag == meta.etag


@pytest.mark.parametrize("etags", ["one", "two", "any"])
def test_a_swap_that_was_sent_twice_has_succeeded(made, twice, etags):
    old = twice.inner.put("k", b"old").meta.etag
    when = {"one": IfMatch(old), "two": IfMatch(old, "other"), "any": IfMatch.ANY}[etags]
    store = made(twice)
    meta = store.put("k", b"mine", when=when)
    assert store.get("k").data == b"mine"
    assert store.head("k").etag == meta.etag


@pytest.mark.parametrize("when", [IfAbsent(), IfMatch.ANY, None], ids=repr)
def test_a_write_with_a_key_that_was_sent_twice_has_succeeded(made, twice, when):
    if when == IfMatch.ANY:
        twice.inner.put("k", b"old")
    store = made(twice)
    store.put("k", b"mine", when=when, idempotency_key="a")
    assert store.get("k").data == b"mine"


def test_a_body_in_parts_that_was_completed_twice_has_succeeded(made, twice):
    store = made(twice, multipart_threshold=4)
    store.put("k", b"longer than that", when=IfAbsent())
    assert store.get("k").data == b"longer than that"


@pytest.mark.parametrize("size", [1, 40])
def test_an_upload_that_was_completed_twice_has_succeeded(made, twice, size):
    store = made(twice)
    upload = store.upload("k", when=IfAbsent(), part_size=8)
    upload.write(b"x" * size)
    upload.close()
    assert store.get("k").data == b"x" * size


def test_an_update_is_applied_once(made, twice):
    twice.inner.put("n", b"1")
    store = made(twice)
    applied = []

    def increment(data):
        applied.append(data)
        return b"%d" % (int(data or b"0") + 1)

    assert store.update("n", increment).data == b"2"
    assert store.update("new", increment).data == b"1"
    assert applied == [b"1", None]
    assert store.get("n").data == b"2"


@pytest.mark.parametrize("when", [IfAbsent(), IfMatch("1")], ids=repr)
@pytest.mark.parametrize("data", [b"mine", b"theirs"])
def test_anothers_object_is_refused_even_if_its_bytes_are_the_same(made, twice, when, data):
    twice.inner.put("k", b"first")
    twice.inner.put("k", b"mine", metadata={"atomic-manifest-write": "of another"})
    store = made(twice)
    with pytest.raises(errors.PreconditionFailed) as raised:
        store.put("k", data, when=when)
    assert raised.value.current_etag == twice.inner.head("k").etag
    assert store.get("k").data == b"mine"


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.ERROR_503, Fault.ERROR_500])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_look_that_goes_unanswered_is_repeated(made, fault, lost):
    store = made(Twice(MemoryDriver()), dict.fromkeys(range(1, 1 + lost), fault))
    store.put("k", b"mine", when=IfAbsent())
    assert store.get("k").data == b"mine"


def test_what_no_look_could_tell_is_unknown(made):
    store = made(Twice(MemoryDriver()), dict.fromkeys(range(1, 100), Fault.LOST_BEFORE))
    with pytest.raises(errors.WriteOutcomeUnknown):
        store.put("k", b"mine", when=IfAbsent())


@pytest.mark.parametrize("cause", ContendedCause)
def test_a_store_that_declines_the_second_of_the_two_did_what_the_first_asked_for(made, cause):
    store = made(Twice(MemoryDriver(), second=Contended(cause)))
    store.put("k", b"mine", when=IfAbsent())
    assert store.get("k").data == b"mine"


def test_undisputed_writes_cost_what_they_did(made):
    store = made(MemoryDriver())
    etag = store.put("k", b"1", when=IfAbsent()).etag
    store.put("k", b"2", when=IfMatch(etag))
    store.put("k", b"3")
    assert [request.method for request in store.driver.requests] == ["put", "put", "put"]


def test_a_refusal_costs_one_look_where_the_service_does_not_tell(made):
    driver = MemoryDriver()
    driver.put("k", b"theirs")

    class Hushed(PassingDriver):
        def around(self, method, path, act):
            outcome = act()
            return Refused() if isinstance(outcome, Refused) else outcome

    store = made(Hushed(driver))
    with pytest.raises(errors.AlreadyExists):
        store.put("k", b"mine", when=IfAbsent())
    assert [request.method for request in store.driver.requests] == ["put", "head"]


class Forgetful(PassingDriver):
    """Keeps no user metadata."""

    keeps_metadata = False


def test_without_metadata_a_refusal_is_taken_at_its_word(made):
    """Nothing tells our bytes from the same bytes of another, and both wrote them."""
    store = made(Forgetful(Twice(MemoryDriver(), tells=True)))
    with pytest.raises(errors.AlreadyExists):
        store.put("k", b"mine", when=IfAbsent())


def test_counters_under_many_updates_sent_twice_miss_and_double_nothing(made):
    driver = Twice(MemoryDriver())
    stores = [made(driver) for _ in range(3)]
    for number, store in zip(range(30), itertools.cycle(stores), strict=False):
        assert store.update("n", lambda data: b"%d" % (int(data or b"0") + 1)).data == b"%d" % (
            number + 1
        )


def test_taking_the_refusal_for_anothers_would_be_found(made, monkeypatch):
    """What the tests above are worth: the rule they are about, broken on purpose."""
    monkeypatch.setattr(writing, "own_or", lambda attempts, *_: attempts)
    store = made(Twice(MemoryDriver()))
    with pytest.raises(errors.AlreadyExists):
        store.put("k", b"mine", when=IfAbsent())
    applied = []
    store.update(
        "k", lambda data: None if applied.append(data) or len(applied) > 5 else data + b"+"
    )
    assert len(applied) > 1
