"""A commit with a fault injected into each of its requests in turn, and into each pair of them."""

import itertools

import pytest

from atomic_manifest.commit.driver import run
from atomic_manifest.commit.messages import Budget, Committed, Unknown
from atomic_manifest.log.entry import decode, entry_path
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import CountingDriver, FakeEnv, Fault, FaultyDriver
from tests.commit.actions import add, intent

pytestmark = pytest.mark.faults

WINNERS = 3


def table():
    """A log in which others are three versions ahead of the intent's base."""
    memory = MemoryDriver()
    for number in range(WINNERS):
        run(intent(add(f"f{number}"), commit_id=f"other-{number}"), memory, FakeEnv(), Budget())
    return memory


def versions_of(memory, commit_id):
    paths = [meta.path for meta in memory.list("_delta_log")]
    log = [decode(memory.get(path).data, version) for version, path in enumerate(paths, start=5)]
    assert paths == [entry_path(entry.version) for entry in log], "the log has a gap"
    return [entry.version for entry in log if entry.holds(commit_id)]


def requests_of_a_commit():
    counting = CountingDriver(table())
    run(intent(add()), counting, FakeEnv(), Budget())
    return len(counting.requests)


def test_a_commit_behind_three_winners_makes_reads_and_writes():
    assert requests_of_a_commit() > WINNERS


@pytest.mark.parametrize("fault", Fault)
def test_any_single_fault_is_overcome(fault):
    """Request after request, until the fault comes later than the commit needs."""
    for number in range(requests_of_a_commit() + 1):
        memory = table()
        report = run(intent(add()), FaultyDriver(memory, {number: fault}), FakeEnv(), Budget())
        assert report.outcome == Committed(5 + WINNERS), f"{fault} at request {number}"
        assert versions_of(memory, "mine") == [5 + WINNERS]


@pytest.mark.parametrize("pair", [*itertools.product(Fault, repeat=2)], ids=str)
def test_any_two_faults_are_overcome(pair):
    count = requests_of_a_commit() + 3
    for first, second in itertools.combinations(range(count), 2):
        memory = table()
        faults = dict(zip((first, second), pair, strict=True))
        report = run(intent(add()), FaultyDriver(memory, faults), FakeEnv(), Budget())
        assert report.outcome == Committed(5 + WINNERS), f"{faults}"
        assert versions_of(memory, "mine") == [5 + WINNERS]


@pytest.mark.parametrize("fault", Fault)
def test_a_store_that_fails_from_some_request_on_never_gets_a_wrong_answer(fault):
    """The answer is unknown or right, and the commit is in the log at most once."""
    for healthy in range(requests_of_a_commit() + 1):
        memory = table()
        faulty = FaultyDriver(
            memory, lambda number, _request, n=healthy: fault if number >= n else None
        )
        outcome = run(intent(add()), faulty, FakeEnv(), Budget(attempts=5, seconds=30)).outcome
        places = versions_of(memory, "mine")
        if isinstance(outcome, Committed):
            assert places == [outcome.version]
        elif isinstance(outcome, Unknown):
            assert places == [] or (len(places) == 1 and places[0] in outcome.versions)
        else:
            assert places == [], f"{outcome} after {healthy} requests"
