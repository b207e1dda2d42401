"""All schedules of few writers and few faults, on the real machine."""

from collections import Counter

import pytest

from atomic_manifest.commit.intent import Isolation
from atomic_manifest.commit.protocol import (
    AlreadyCommitted,
    Committed,
    Conflicted,
    GaveUp,
    Rejected,
    Unknown,
)
from tests.model import table
from tests.model.choices import explore
from tests.model.exhaustive import schedule

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


@pytest.mark.parametrize("intents", PAIRS.values(), ids=PAIRS)
def test_no_schedule_of_two_writers_with_two_faults_breaks_an_invariant(intents):
    assert explore(schedule(intents, faults=2, attempts=2)) > 2000


def test_no_schedule_of_three_writers_with_one_fault_breaks_an_invariant():
    assert explore(schedule(THREE, faults=1)) > 5000


def test_the_schedules_reach_every_outcome():
    seen = Counter()
    for pair, attempts in [
        ("two appends of one transaction", 2),
        ("two deletes of one file", 2),
        ("two appends", 1),
    ]:
        run = schedule(PAIRS[pair], faults=1, attempts=attempts)

        def count(choices, run=run):
            seen.update(type(writer.machine.outcome) for writer in run(choices).writers)

        explore(count)
    outcomes = {Committed, AlreadyCommitted, Conflicted, GaveUp, Rejected, Unknown}
    crashed = {type(None)}
    assert seen.keys() == outcomes | crashed


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("intents", PAIRS.values(), ids=PAIRS)
def test_no_schedule_of_two_writers_with_three_faults_breaks_an_invariant(intents):
    assert explore(schedule(intents, faults=3, attempts=2)) > 50_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_schedule_of_three_writers_with_two_faults_breaks_an_invariant():
    assert explore(schedule(THREE, faults=2, attempts=2)) > 50_000
