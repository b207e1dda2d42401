"""Many writers under random faults: the invariants hold for every seed, and a seed is a trace."""

from collections import Counter

import pytest

from atomic_manifest.commit.messages import Budget
from atomic_manifest.testing.model.pool import each, processors
from atomic_manifest.testing.model.simulation import Plan, Simulation
from atomic_manifest.testing.simulate import simulate


def run(**fields):
    return Simulation(Plan(**fields)).run()


@pytest.mark.parametrize("seed", range(20))
def test_sixteen_writers_under_faults_keep_every_invariant(seed):
    assert run(seed=seed).outcomes["Committed"] > 10


@pytest.mark.parametrize("seed", range(10))
def test_small_budgets_and_a_bad_network_keep_every_invariant(seed):
    run(seed=seed, writers=8, commits=8, fault_rate=0.4, budget=Budget(attempts=3, seconds=12))


def test_the_seeds_reach_every_outcome():
    seen = Counter()
    for seed in range(6):
        seen += run(seed=seed, fault_rate=0.4, budget=Budget(attempts=4, seconds=20)).outcomes
    assert seen.keys() == {
        "Committed", "AlreadyCommitted", "OutOfOrder", "Conflicted", "GaveUp", "Rejected", "Unknown",
        "crashed",
    }  # fmt: skip


def test_without_faults_every_writer_gets_a_certain_answer():
    simulation = run(seed=1, fault_rate=0.0)
    assert not simulation.faults
    assert simulation.outcomes.keys() <= {
        "Committed",
        "AlreadyCommitted",
        "OutOfOrder",
        "Conflicted",
    }


def test_overwrites_that_met_a_conflict_are_planned_again_and_commit():
    writers = [writer for seed in range(3) for writer in run(seed=seed).world.writers]
    again = [writer for writer in writers if writer.plan > 1]
    assert any(type(writer.machine.outcome).__name__ == "Committed" for writer in again)


def test_the_same_seed_gives_the_same_trace():
    assert run(seed=5).trace == run(seed=5).trace


def test_another_seed_gives_another_trace():
    assert run(seed=5).trace != run(seed=6).trace


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousands_of_seeds_keep_every_invariant():
    batches = [
        [Plan(seed, fault_rate=rate) for seed in range(at, at + 100)]
        for at in range(0, 2000, 100)
        for rate in (0.05, 0.2, 0.5)
    ]
    done = list(each(simulate, batches, processors()))
    assert [(d.failed, d.why) for d in done if d.failed is not None] == []
    assert sum(d.seeds for d in done) == 6000
