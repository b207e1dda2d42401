"""The blocking driver: what a store returns or raises, and what the machine makes of it."""

import threading

import pytest

from atomic_manifest.commit.combine import Candidate, render
from atomic_manifest.commit.driver import run
from atomic_manifest.commit.intent import ReadTable
from atomic_manifest.commit.messages import Budget, Committed, Conflicted, GaveUp, Rejected, Unknown
from atomic_manifest.errors import (
    CorruptLog,
    InvalidPath,
    NotFound,
    StorePermissionDenied,
    StoreUnavailable,
    UnsupportedByStore,
)
from atomic_manifest.log.entry import decode, entry_path
from atomic_manifest.store.conditions import IfAbsent
from atomic_manifest.store.driver import Contended, ContendedCause, Refused, Unanswered, Written
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import CountingDriver, FakeEnv
from tests.commit.actions import add, intent, remove

TIMEOUT = StoreUnavailable("no answer", path="entry")


class Scripted:
    """A store that answers the first requests of a method from a script, and the rest for real.

    An answer is a value to return, an exception to raise, or a function of the real method's result.
    """

    def __init__(self, inner, *, put=(), get=()):
        self.inner = inner
        self.url = inner.url
        self.puts = []
        self._answers = {"put": list(put), "get": list(get)}

    def put(self, path, data, *, when=None, metadata=None):
        self.puts.append((path, bytes(data), when, metadata))
        return self._answer("put", lambda: self.inner.put(path, data, when=when))

    def get(self, path, **options):
        return self._answer("get", lambda: self.inner.get(path, **options))

    def _answer(self, method, really):
        answers = self._answers[method]
        answer = answers.pop(0) if answers else None
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            return answer(really())
        return really() if answer is None else answer


def landed(answer):
    """An answer given after the request was carried out."""
    return lambda _result: answer


@pytest.fixture
def memory():
    return MemoryDriver()


@pytest.fixture
def env():
    return FakeEnv()


def others(memory, first, *entries):
    """Entries of somebody else, from version `first` on."""
    for version, actions in enumerate(entries, start=first):
        wanted = intent(*actions, commit_id=f"other-{version}")
        memory.put(entry_path(version), render([Candidate.of(wanted)], version, 0))


def log(memory):
    return [
        decode(memory.get(meta.path).data, version)
        for version, meta in enumerate(memory.list("_delta_log"), start=5)
    ]


# --- puts -----------------------------------------------------------------------------------------


def test_the_fast_path_is_one_conditional_put_and_nothing_else(memory, env):
    counting = CountingDriver(memory)
    report = run(intent(add()), counting, env, Budget())
    assert report.outcome == Committed(5)
    assert (report.winners, report.attempts) == ((), 1)
    assert [(r.method, r.path) for r in counting.requests] == [("put", entry_path(5))]
    assert env.slept == []


def test_every_put_of_an_entry_asks_for_absence(memory, env):
    others(memory, 5, [add("x")])
    store = Scripted(memory, put=[Unanswered(TIMEOUT)])
    run(intent(add()), store, env, Budget())
    assert [when for _, _, when, _ in store.puts] == [IfAbsent()] * len(store.puts)


def test_a_refused_put_reads_who_won_and_goes_to_the_next_version(memory, env):
    others(memory, 5, [add("x")], [add("y")])
    counting = CountingDriver(memory)
    report = run(intent(add()), counting, env, Budget())
    assert report.outcome == Committed(7)
    assert [winner.version for winner in report.winners] == [5, 6]
    assert report.attempts == 2
    assert counting.count("put") == 2
    assert [entry.holds("mine") for entry in log(memory)] == [False, False, True]


@pytest.mark.parametrize(
    "answer",
    [
        Contended(ContendedCause.CONFLICT),
        Contended(ContendedCause.THROTTLED),
        Unanswered(TIMEOUT),
        TIMEOUT,
    ],
)
def test_an_attempt_that_wrote_nothing_is_sent_again_with_the_same_bytes(memory, env, answer):
    store = Scripted(memory, put=[answer])
    report = run(intent(add()), store, env, Budget())
    assert report.outcome == Committed(5)
    assert report.attempts == 2
    first, second = store.puts
    assert first == second


@pytest.mark.parametrize(
    "answer",
    [
        landed(Unanswered(TIMEOUT)),
        landed(Refused()),
        landed(Contended(ContendedCause.CONFLICT)),
        landed(Contended(ContendedCause.THROTTLED)),
    ],
)
def test_an_attempt_that_landed_is_recognised_whatever_was_answered(memory, env, answer):
    report = run(intent(add()), Scripted(memory, put=[answer]), env, Budget())
    assert report.outcome == Committed(5)
    assert report.winners == ()
    assert len(log(memory)) == 1


@pytest.mark.parametrize("error_type", [StorePermissionDenied, UnsupportedByStore, InvalidPath])
def test_an_error_that_no_retry_mends_is_rejected_after_one_put(memory, env, error_type):
    error = error_type("no", path=entry_path(5))
    store = Scripted(memory, put=[error])
    report = run(intent(add()), store, env, Budget())
    assert report.outcome == Rejected(error)
    assert len(store.puts) == 1
    assert log(memory) == []


def test_an_error_that_is_not_the_stores_is_not_swallowed(memory, env):
    store = Scripted(memory, put=[KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        run(intent(add()), store, env, Budget())


def test_the_budget_ends_with_an_unanswered_put_as_unknown(memory, env):
    store = Scripted(memory, put=[Unanswered(TIMEOUT)] * 3)
    report = run(intent(add()), store, env, Budget(attempts=3))
    assert report.outcome == Unknown((5,), TIMEOUT)
    assert report.attempts == len(store.puts) == 3


def test_the_budget_ends_between_races_as_given_up(memory, env):
    others(memory, 5, [add("x")], [add("y")])
    assert run(intent(add()), memory, env, Budget(attempts=1)).outcome == GaveUp()


# --- reads ----------------------------------------------------------------------------------------


def test_a_conflicting_winner_ends_it_without_another_put(memory, env):
    others(memory, 5, [add("x")], [remove("a")], [add("z")])
    counting = CountingDriver(memory)
    report = run(intent(remove("a")), counting, env, Budget())
    assert isinstance(report.outcome, Conflicted)
    assert report.outcome.version == 6
    assert counting.count("put") == 1


def test_far_behind_it_reads_in_ever_longer_parallel_runs(memory, env):
    others(memory, 5, *[[add(f"f{n}")] for n in range(40)])
    counting = CountingDriver(memory)
    report = run(intent(add()), counting, env, Budget())
    assert report.outcome == Committed(45)
    assert [winner.version for winner in report.winners] == [*range(5, 45)]
    assert counting.count("get") == 2 + 2 + 4 + 8 + 16 + 32


def test_entries_behind_a_gap_are_not_taken(memory, env):
    """A parallel read may miss an entry and see its successor, which was created between the two."""
    others(memory, 5, [add("x")])
    missing = NotFound("missing", path=entry_path(5))
    store = Scripted(memory, get=[missing])
    report = run(intent(add(), reads=ReadTable()), store, env, Budget())
    assert isinstance(report.outcome, Conflicted)
    assert {path for path, *_ in store.puts} == {entry_path(5)}


def test_a_read_that_goes_unanswered_is_repeated_after_a_pause(memory, env):
    others(memory, 5, [add("x")])
    missing = NotFound("missing", path=entry_path(6))
    store = Scripted(memory, get=[TIMEOUT, missing])
    report = run(intent(add()), store, env, Budget())
    assert report.outcome == Committed(6)
    assert len(env.slept) == 1


def test_a_read_that_is_denied_leaves_an_open_attempt_unknown(memory, env):
    denied = StorePermissionDenied("denied", path=entry_path(5))
    store = Scripted(memory, put=[Unanswered(TIMEOUT)], get=[denied, denied])
    assert run(intent(add()), store, env, Budget()).outcome == Unknown((5,), denied)


def test_an_object_that_is_no_entry_rejects_the_commit_and_names_the_file(memory, env):
    memory.put(entry_path(5), b"<html>not an entry</html>")
    outcome = run(intent(add()), memory, env, Budget()).outcome
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.cause, CorruptLog)
    assert outcome.cause.path == entry_path(5)


def test_a_corrupt_entry_behind_a_good_one_is_reached_in_its_turn(memory, env):
    others(memory, 5, [add("x")])
    memory.put(entry_path(6), b"{")
    report = run(intent(add()), memory, env, Budget())
    assert isinstance(report.outcome, Rejected)
    assert report.outcome.cause.version == 6


# --- together -------------------------------------------------------------------------------------


def test_time_is_asked_of_the_environment_alone(memory):
    env = FakeEnv(start=1_700_000_000.0)
    run(intent(add()), memory, env, Budget())
    assert log(memory)[0].commit_info["timestamp"] == 1_700_000_000_000


def test_sixteen_threads_are_each_in_the_log_once_where_they_were_told(memory):
    barrier, reports, lock = threading.Barrier(16), [], threading.Lock()

    def commit(number):
        wanted = intent(add(f"f{number}"), commit_id=f"c{number}")
        barrier.wait()
        report = run(wanted, memory, FakeEnv(number), Budget())
        with lock:
            reports.append((number, report))

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = log(memory)
    assert sorted(record.id for entry in found for record in entry.commits) == sorted(
        f"c{number}" for number in range(16)
    )
    for number, report in reports:
        assert found[report.outcome.version - 5].holds(f"c{number}")


def test_the_scripted_store_is_a_real_one_otherwise(memory):
    assert isinstance(Scripted(memory).put("k", b"x", when=IfAbsent()), Written)
