"""All schedules of few writers and few faults, on the real machine."""

from collections import Counter
from dataclasses import replace

import pytest

from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Committed,
    Conflicted,
    GaveUp,
    OutOfOrder,
    Rejected,
    Unknown,
)
from atomic_manifest.testing.model import table
from atomic_manifest.testing.model.cases import DEEP, RACING, USUAL
from atomic_manifest.testing.model.pool import explore_all, processors, repeat
from atomic_manifest.testing.model.schedules import Case, Schedule
from atomic_manifest.testing.model.tree import explore, follow

BY_NAME = {case.name: case for case in (*USUAL, *DEEP)}
IMPOSSIBLE = Case(
    "a delete of what was gone before it began",
    (replace(table.delete("A"), base_version=1), table.append("B")),
    prologue=(table.drop_file("before"),),
)
"""No protocol can commit it rightly: what its writer says it saw was not there."""


def run(cases):
    """How many schedules of each case were run; none of them may break an invariant."""
    schedules = Counter()
    for explored in explore_all(cases, processors()):
        assert explored.found is None, explored.found
        schedules[explored.case] += explored.schedules
    return schedules


@pytest.mark.timeout(1200)
def test_none_of_200_000_schedules_breaks_an_invariant():
    schedules = run(USUAL)
    assert schedules.total() >= 200_000
    assert schedules.keys() == {case.name for case in USUAL}
    assert min(schedules.values()) > 100


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_none_of_half_a_million_deeper_schedules_breaks_an_invariant():
    assert run(DEEP).total() >= 500_000


def test_no_two_cases_have_a_schedule_in_common():
    assert len(BY_NAME) == len(USUAL) + len(DEEP)
    known = [replace(case, name="", faults=0, limit=None) for case in USUAL]
    assert all(case not in known[:number] for number, case in enumerate(known))


def test_a_broken_invariant_comes_back_from_another_process_with_what_repeats_it():
    found = [e.found for e in explore_all([IMPOSSIBLE], 2) if e.found is not None]
    assert found
    trace, message = repeat(IMPOSSIBLE, found[0].script)
    assert "A at 2 removed {'a'}, which were gone" in message
    assert found[0].message == message
    assert any("A: CreateEntry" in line for line in trace)


def test_the_schedules_do_not_depend_on_the_number_of_processes():
    case = BY_NAME["two appends, both met others"]
    assert sum(e.schedules for e in explore_all([case], 1)) == case.explore()


@pytest.mark.parametrize(
    "name",
    [
        "two appends, both met others",
        "two overwrites that are planned again, the first met others",
        "two deletes of one file, soon expired",
    ],
)
def test_branching_off_leads_where_running_from_the_beginning_does(name):
    """What branches share is never changed by one of them."""
    case = BY_NAME[name]
    ends = []

    class Recorded(Schedule):
        def __init__(self, case):
            super().__init__(case)
            self.script = ()

        def take(self, option):
            super().take(option)
            self.script += (option,)

        def finish(self):
            finished = super().finish()
            ends.append((self.script, end_of(self)))
            return finished

    def end_of(schedule):
        world = schedule.world
        outcomes = [repr(writer.machine.outcome) for writer in world.writers]
        return dict(world.objects), dict(world.posted), outcomes

    with case.rules():
        explore(lambda: Recorded(case), limit=1000)
        assert len(ends) > 100
        for script, end in [*ends]:
            assert end_of(follow(case.start, script)) == end


def test_the_schedules_reach_every_outcome():
    seen = Counter()

    class Counted(Schedule):
        def finish(self):
            finished = super().finish()
            seen.update(type(writer.machine.outcome) for writer in self.world.writers)
            return finished

    for pair, attempts in [
        ("two appends of one transaction", 2),
        ("two transactions of one application", 2),
        ("two deletes of one file", 2),
        ("two appends", 1),
    ]:
        case = Case(pair, RACING[pair], attempts=attempts)
        explore(lambda case=case: Counted(case))
    outcomes = {Committed, AlreadyCommitted, OutOfOrder, Conflicted, GaveUp, Rejected, Unknown}
    crashed = {type(None)}
    assert seen.keys() == outcomes | crashed


def test_a_commit_that_was_planned_again_is_in_the_log_as_it_was_planned_last():
    case = BY_NAME["two overwrites that are planned again, nobody met others"]
    world = follow(case.start, ()).world
    first, other, again = world.writers[:3]
    assert first.machine.outcome == Committed(1)
    assert other.replaced
    assert again.machine.outcome == Committed(2)
    assert {remove.path for remove in world.log()[2].removes} == {"from-A"}
