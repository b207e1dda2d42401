"""Many writers under random faults: the invariants hold for every seed, and a seed is a trace."""

from collections import Counter

import pytest

from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Budget,
    Committed,
    Conflicted,
    CreateEntry,
    GaveUp,
    ListIntents,
    PostIntent,
    ReadEntries,
    ReadIntents,
    Rejected,
    Unknown,
)
from atomic_manifest.commit.progress import Progress
from tests.model.simulation import Plan, Simulation


def simulate(**fields):
    """Run one plan; a failure says how to repeat it."""
    plan = Plan(**fields)
    simulation = Simulation(plan)
    try:
        return simulation.run()
    except AssertionError as error:
        tail = "\n".join(simulation.trace[-30:])
        raise AssertionError(f"{error}\n{tail}\nrepeat with {plan}") from error


def outcomes(simulation):
    return Counter(type(writer.machine.outcome) for writer in simulation.world.writers)


@pytest.mark.parametrize("seed", range(20))
def test_sixteen_writers_under_faults_keep_every_invariant(seed):
    simulation = simulate(seed=seed)
    assert outcomes(simulation)[Committed] > 10


@pytest.mark.parametrize("seed", range(10))
def test_small_budgets_and_a_bad_network_keep_every_invariant(seed):
    simulate(seed=seed, writers=8, commits=8, fault_rate=0.4, budget=Budget(attempts=3, seconds=12))


def test_the_seeds_reach_every_outcome():
    seen = Counter()
    for seed in range(6):
        budget = Budget(attempts=4, seconds=20)
        seen += outcomes(simulate(seed=seed, fault_rate=0.4, budget=budget))
    crashed = type(None)
    assert seen.keys() == {
        Committed, AlreadyCommitted, Conflicted, GaveUp, Rejected, Unknown, crashed,
    }  # fmt: skip


def test_without_faults_every_writer_gets_a_certain_answer():
    seen = outcomes(simulate(seed=1, fault_rate=0.0))
    assert seen.keys() <= {Committed, AlreadyCommitted, Conflicted}


def test_the_same_seed_gives_the_same_trace():
    assert simulate(seed=5).trace == simulate(seed=5).trace


def test_another_seed_gives_another_trace():
    assert simulate(seed=5).trace != simulate(seed=6).trace


def test_a_failure_names_the_seed_that_repeats_it(monkeypatch):
    monkeypatch.setattr(Progress, "uncertain", property(lambda _progress: False))

    def search():
        for seed in range(50):
            simulate(seed=seed, fault_rate=0.4, budget=Budget(attempts=1, seconds=12))

    with pytest.raises(AssertionError, match=r"repeat with Plan\(seed=\d+, writers=16"):
        search()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("hundred", range(10))
@pytest.mark.parametrize("fault_rate", [0.05, 0.2, 0.5])
def test_a_thousand_seeds_keep_every_invariant(hundred, fault_rate):
    for seed in range(100 * hundred, 100 * (hundred + 1)):
        simulate(seed=seed, fault_rate=fault_rate)


def test_many_writers_that_combine_commit_many_times_as_often_as_they_could_one_by_one():
    exact = {CreateEntry: (0.03, 0.03), PostIntent: (0.03, 0.03), ListIntents: (0.03, 0.03)}
    reads = {ReadEntries: (0.015, 0.015), ReadIntents: (0.015, 0.015)}
    run = simulate(
        seed=1, writers=32, commits=20, fault_rate=0.0, latency=exact | reads, appends=True
    )
    assert outcomes(run) == {Committed: 32 * 20}
    assert 32 * 20 / run.now > 100
    assert max(run.seconds) < 2
