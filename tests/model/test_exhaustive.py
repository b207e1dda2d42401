"""All schedules of few writers and few faults, on the real machine."""

from collections import Counter

import pytest

from atomic_manifest.commit import progress
from atomic_manifest.commit.intent import Isolation
from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Committed,
    Conflicted,
    GaveUp,
    Rejected,
    Unknown,
)
from atomic_manifest.commit.posted import key_of
from atomic_manifest.commit.progress import Memory
from tests.model import table
from tests.model.choices import UNFINISHED, explore
from tests.model.exhaustive import ALONE, CONTENDED, schedule

TXN = ("loader", 7)
PAIRS = {
    "two appends": (table.append("A"), table.append("B")),
    "two appends of one transaction": (
        table.append("A", txn=TXN),
        table.append("B", txn=TXN),
    ),
    "two deletes of one file": (table.delete("A"), table.delete("B")),
    "two deletes in one partition": (table.delete("A", "a"), table.delete("B", "b")),
    "delete and compaction": (table.drop_file("A"), table.compact("B")),
    "reader of a partition and compaction": (
        table.intent("A", table.add("sum", "2"), reads=table.partition()),
        table.compact("B"),
    ),
    "overwrite and append": (table.overwrite_partition("A"), table.append("B")),
    "overwrite and append elsewhere": (table.overwrite_partition("A"), table.append("B", "2")),
    "write-serializable overwrite and append": (
        table.overwrite_partition("A", Isolation.WRITE_SERIALIZABLE),
        table.append("B"),
    ),
    "overwrite of the table and append": (table.overwrite_table("A"), table.append("B", "2")),
    "new schema and append": (table.change_schema("A"), table.append("B")),
    "write-serializable new schema and append": (
        table.change_schema("A", Isolation.WRITE_SERIALIZABLE),
        table.append("B"),
    ),
    "two creations of the table": (table.create("A"), table.create("B")),
}
THREE = (table.append("A", txn=TXN), table.overwrite_partition("B"), table.append("C", txn=TXN))


SUSPECTING = Memory(
    contended=True, suspects=frozenset({key_of(table.append("A")), key_of(table.append("B"))})
)
MEMORIES = {
    "nobody met others": (ALONE, ALONE),
    "both met others": (CONTENDED, CONTENDED),
    "the first met others": (CONTENDED, ALONE),
    "the second met others": (ALONE, CONTENDED),
    "each suspects the other": (SUSPECTING, SUSPECTING),
}
COMBINABLE = [name for name in PAIRS if "new schema" not in name and "creations" not in name]


FEW = ["two deletes of one file", "overwrite and append"]
SOME = [*FEW, "two appends of one transaction", "two creations of the table"]


def few(pairs, chosen):
    """The chosen ones by default, the others with `-m slow`."""
    return [p if p in chosen else pytest.param(p, marks=pytest.mark.slow) for p in pairs]


@pytest.mark.parametrize("pair", PAIRS)
def test_no_schedule_of_two_racing_writers_with_a_fault_breaks_an_invariant(pair):
    assert explore(schedule(PAIRS[pair], faults=1, attempts=2)) > 100


@pytest.mark.parametrize("pair", few(PAIRS, SOME))
def test_no_schedule_of_two_racing_writers_with_two_faults_breaks_an_invariant(pair):
    assert explore(schedule(PAIRS[pair], faults=2, attempts=2)) > 1000


@pytest.mark.parametrize("memories", MEMORIES.values(), ids=MEMORIES)
@pytest.mark.parametrize("pair", few(COMBINABLE, FEW))
def test_no_schedule_of_two_combining_writers_with_a_fault_breaks_an_invariant(pair, memories):
    assert explore(schedule(PAIRS[pair], faults=1, attempts=2, memories=memories, seconds=3)) > 50


@pytest.mark.parametrize("pair", ["two appends", "two deletes of one file"])
def test_no_schedule_with_intents_that_soon_expire_breaks_an_invariant(monkeypatch, pair):
    monkeypatch.setattr(progress, "LIFETIME", 1)
    run = schedule(PAIRS[pair], faults=1, attempts=2, memories=(CONTENDED,) * 2, seconds=3)
    assert explore(run) > 500


@pytest.mark.parametrize("pair", ["two appends", "overwrite and append"])
def test_no_schedule_with_a_budget_that_ends_while_posted_breaks_an_invariant(pair):
    run = schedule(PAIRS[pair], faults=1, attempts=1, memories=(CONTENDED,) * 2, seconds=1)
    assert explore(run) > 500


@pytest.mark.parametrize("memories", [(ALONE,) * 3, (CONTENDED, CONTENDED, ALONE)])
def test_no_schedule_of_three_writers_without_faults_breaks_an_invariant(memories):
    assert explore(schedule(THREE, faults=0, memories=memories, seconds=2)) > 10


def test_the_schedules_reach_every_outcome():
    seen = Counter()
    for pair, attempts in [
        ("two appends of one transaction", 2),
        ("two deletes of one file", 2),
        ("two appends", 1),
    ]:
        run = schedule(PAIRS[pair], faults=1, attempts=attempts)

        def count(choices, run=run):
            world = run(choices)
            if world is not UNFINISHED:
                seen.update(type(writer.machine.outcome) for writer in world.writers)
            return world

        explore(count)
    outcomes = {Committed, AlreadyCommitted, Conflicted, GaveUp, Rejected, Unknown}
    crashed = {type(None)}
    assert seen.keys() == outcomes | crashed


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("intents", PAIRS.values(), ids=PAIRS)
def test_no_schedule_of_two_racing_writers_with_three_faults_breaks_an_invariant(intents):
    assert explore(schedule(intents, faults=3, attempts=2)) > 10_000


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("pair", COMBINABLE)
def test_no_schedule_of_two_combining_writers_with_two_faults_breaks_an_invariant(pair):
    memories = (CONTENDED, CONTENDED)
    run = schedule(PAIRS[pair], faults=2, attempts=1, memories=memories, seconds=2)
    assert explore(run) > 10_000


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("memories", [(ALONE,) * 3, (CONTENDED, CONTENDED, ALONE)])
def test_no_schedule_of_three_writers_with_a_fault_breaks_an_invariant(memories):
    run = schedule(THREE, faults=1, attempts=2, memories=memories, seconds=2)
    assert explore(run) > 3000
