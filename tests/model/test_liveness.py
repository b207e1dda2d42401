"""Nobody starves, and many writers get more done than one: without faults, in virtual time."""

from statistics import mean

import pytest

from atomic_manifest.commit.messages import (
    CreateEntry,
    ListIntents,
    PostIntent,
    ReadEntries,
    ReadIntents,
)
from atomic_manifest.testing.model.simulation import Plan, Simulation

PUT, GET = 0.03, 0.015
COMMITS = 50
UPLOAD = (PUT, PUT)
"""One data file before each commit."""
NOTHING = (0.0, 0.0)


def latency(jitter=0.0):
    """Each kind of request takes its time, give or take that much of it."""

    def about(seconds):
        return (seconds * (1 - jitter), seconds * (1 + jitter))

    writes = dict.fromkeys((CreateEntry, PostIntent, ListIntents), about(PUT))
    return writes | dict.fromkeys((ReadEntries, ReadIntents), about(GET))


def runs(writers, *, jitter=0.0, staging=UPLOAD, commits=COMMITS, seeds=4):
    """Appending without rest, each seed by itself; all of it is committed."""
    finished = []
    for seed in range(seeds):
        kind = {"latency": latency(jitter), "appends": True, "staging": staging}
        simulation = Simulation(Plan(seed, writers, commits, 0.0, **kind)).run()
        assert simulation.outcomes == {"Committed": writers * commits}
        finished.append(simulation)
    return finished


def rate(simulations):
    """Commits per second."""
    return mean(len(s.seconds) / s.now for s in simulations)


def worst(simulations):
    """Seconds of the slowest commit."""
    return max(max(s.seconds) for s in simulations)


@pytest.mark.parametrize("jitter", [0.0, 0.4])
@pytest.mark.parametrize("writers", [2, 3, 4, 8])
def test_writers_that_upload_between_commits_are_no_slower_together_than_one(writers, jitter):
    together = runs(writers, jitter=jitter)
    alone = rate(runs(1, jitter=jitter))
    assert rate(together) > 0.85 * alone
    assert worst(together) < 1


@pytest.mark.parametrize("jitter", [0.0, 0.4])
@pytest.mark.parametrize("writers", [2, 3, 4, 8])
def test_nobody_starves_beside_writers_that_commit_without_any_rest(writers, jitter):
    together = runs(writers, jitter=jitter, staging=NOTHING)
    alone = rate(runs(1, jitter=jitter, staging=NOTHING))
    assert rate(together) > 0.7 * alone
    assert worst(together) < 1.5


def test_who_meets_a_writer_that_knows_of_nobody_gets_its_turn():
    """The other wins at exactly regular times; who always came equally late would never get a turn."""
    for simulation in runs(2, staging=NOTHING, commits=200):
        assert max(simulation.seconds) < 2


def test_eight_writers_commit_twice_as_often_as_one():
    assert rate(runs(8)) > 2 * rate(runs(1))


@pytest.mark.parametrize(("writers", "at_least"), [(16, 70), (32, 140), (64, 270)])
def test_many_writers_that_start_at_once_commit_many_times_as_often_as_one_by_one(
    writers, at_least
):
    storm = runs(writers, commits=20, seeds=2)
    assert rate(storm) > at_least
    assert worst(storm) < 0.6
