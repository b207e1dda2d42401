"""All schedules of a few writers with a bounded number of faults.

At every step either one writer's request is executed, normally or with a fault, or something that was
held back arrives, or a writer that is done deletes its litter. Pauses are no request, so they take no step.
A clock moves only while its writer follows another, at each look by more than any patience: so a look in
vain is the last before it loses patience, and the budget bounds how often it waits. Waiting longer is the
same as being scheduled later.

What is pruned: of two neighbouring steps that do not touch the same things only one order is tried, since
the other leads to the same world. A schedule that could only go on in the other order is left unfinished,
and not counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias
from unittest.mock import patch

from atomic_manifest.commit import progress
from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.messages import (
    Budget,
    CreateEntry,
    Following,
    Moment,
    PostIntent,
    ReadEntries,
    ReadIntents,
    Request,
    Wait,
)
from atomic_manifest.commit.posted import LIFETIME
from atomic_manifest.commit.progress import Memory
from atomic_manifest.testing.model import table
from atomic_manifest.testing.model.faults import Fault, faults_of
from atomic_manifest.testing.model.invariants import check_world
from atomic_manifest.testing.model.tree import explore
from atomic_manifest.testing.model.violation import Violation
from atomic_manifest.testing.model.world import (
    Flying,
    FlyingDelete,
    FlyingEntry,
    FlyingIntent,
    Planner,
    World,
    Writer,
    copied,
)

_LOOK_SECONDS = 6.0
"""Between the looks of a follower: more than its patience."""

_STEPS = 300
"""No bounded schedule is longer; one that is has met a loop without end."""


@dataclass(frozen=True)
class Case:
    """Writers, what they know, and what may happen to them.

    Attributes:
        name: Says all that.
        intents: One writer each.
        faults: How many faults one schedule has at most.
        attempts: PUTs of one writer at most.
        memories: What the writers remember; nothing for those beyond the end.
        looks: As a follower, for which each writer's budget lasts.
        lifetime: Versions after its base that may hold a posted intent.
        prologue: Commits of the versions from 1 on, in the log from the beginning.
        planners: By commit id: how a commit that met a conflict is planned again, once.
        limit: How many schedules are run, spread over all there are; None for all.
    """

    name: str
    intents: Sequence[Intent]
    faults: int = 1
    attempts: int = 2
    memories: Sequence[Memory] = ()
    looks: int = 8
    lifetime: int = LIFETIME
    prologue: Sequence[Intent] = ()
    planners: Mapping[str, Planner] = field(default_factory=dict)
    limit: int | None = None

    def start(self) -> "Schedule":
        """A schedule at its beginning."""
        return Schedule(self)

    def explore(self, script: Sequence[int] = (), limit: int | None = None) -> int:
        """Run every schedule that begins with `script`, `limit` at most; how many came to an end.

        Raises:
            CounterexampleError: At the first that breaks an invariant.
        """
        with self.rules():
            return explore(self.start, script=script, limit=limit)

    @contextmanager
    def rules(self) -> Iterator[None]:
        """While its schedules run: the constants of the protocol that it asks for."""
        with patch.object(progress, "LIFETIME", self.lifetime):
            yield


_ENTRIES, _LISTING = "entries", "listing"
_NOTHING: frozenset[str] = frozenset()
_ONLY_ENTRIES = frozenset({_ENTRIES})
_ONLY_LISTING = frozenset({_LISTING})

_Actor: TypeAlias = tuple[int, int | str, str]
"""Who takes a step: a writer by its number, or what arrives by its kind and place. Gives the order."""


class _Footprint(NamedTuple):
    """What a step touches, so that it is known which neighbours may change places."""

    actor: _Actor
    reads: frozenset[str]
    writes: frozenset[str]

    def could_precede(self, last: "_Footprint") -> bool:
        """Whether the same would come of this step before the last one, which is the order tried."""
        if not self.actor < last.actor:
            return False
        return not (
            _meet(self.writes, last.writes)
            or _meet(self.writes, last.reads)
            or _meet(last.writes, self.reads)
        )


def _meet(written: frozenset[str], touched: frozenset[str]) -> bool:
    if not written.isdisjoint(touched):
        return True
    return _LISTING in touched and not written <= _ONLY_ENTRIES


class _Step(NamedTuple):
    """A writer's request, executed with a fault or none; or the arrival of something."""

    footprint: _Footprint
    fault: Fault | None
    flying: Flying | None

    @property
    def key(self) -> tuple[_Actor, Fault | None, Flying | None]:
        """What it has in common with the same step of a world in which the last one was not taken."""
        return self.footprint.actor, self.fault, self.flying


_NOBODY = _Footprint((-1, 0, ""), _NOTHING, _NOTHING)
"""Before the first step: every step comes after it."""


class Schedule:
    """One schedule on its way; `tree.explore` runs all of them.

    Args:
        case: What it is a schedule of.
        traced: Whether to write down what happens.

    Attributes:
        world: The store and the writers.
        trace: What happened, in order, if that is written down.
    """

    def __init__(self, case: Case, *, traced: bool = False) -> None:
        self.world = World(
            case.intents,
            Budget(attempts=case.attempts, seconds=case.looks * _LOOK_SECONDS),
            Moment(0.0, 0, 0.0),
            case.memories,
            prologue=case.prologue,
            planners=case.planners,
        )
        self.trace: list[str] = []
        self._traced = traced
        self._left = case.faults
        self._taken = 0
        self._clocks: dict[int, float] = {}
        self._last = _NOBODY
        self._before: AbstractSet[object] = frozenset()
        self._possible: list[_Step] = []
        self._steps: list[_Step] | None = None

    def copy(self) -> "Schedule":
        """See `tree.Explorable`."""
        new = copied(self)
        new.world = self.world.copy()
        return new

    def options(self) -> int:
        """See `tree.Explorable`."""
        if self._steps is None:
            self._possible = self._find_steps()
            self._steps = [step for step in self._possible if not self._is_covered(step)]
        return len(self._steps)

    def _is_covered(self, step: _Step) -> bool:
        """Whether the step right before the last one leads to the same world, and is tried elsewhere."""
        return step.footprint.could_precede(self._last) and step.key in self._before

    def take(self, option: int) -> None:
        """See `tree.Explorable`."""
        if option >= self.options() or self._steps is None:
            raise ValueError(f"there is no option {option}")
        step = self._steps[option]
        self._before = {possible.key for possible in self._possible}
        self._last = step.footprint
        self._steps = None
        self._taken += 1
        if self._taken > _STEPS:
            raise Violation("the schedule does not end")
        if step.flying is not None:
            self._write_down("the network", step.flying, None)
            self.world.land(step.flying)
        else:
            self._go_on(int(step.footprint.actor[1]), step.fault)

    def _go_on(self, number: int, fault: Fault | None) -> None:
        """One request of a writer and the pauses after it, or its cleaning up."""
        writer = self.world.own(number)
        if writer.litter:
            self._write_down(writer.intent.commit_id, f"deletes {writer.litter}", None)
            self.world.land(self.world.sweep(writer))
            return
        self._left -= fault is not None
        self._write_down(writer.intent.commit_id, writer.machine.request, fault)
        self._perform(number, writer, fault)

    def _perform(self, number: int, writer: Writer, fault: Fault | None) -> None:
        self.world.perform(writer, self._moment(number), fault)
        while isinstance(writer.machine.request, Wait) and not writer.crashed:
            if isinstance(writer.machine.state, Following):
                self._clocks[number] = self._clocks.get(number, 0.0) + _LOOK_SECONDS
            self.world.perform(writer, self._moment(number))

    def _moment(self, number: int) -> Moment:
        # Stamps differ, so that what is rendered again is told from what is sent again.
        return Moment(self._clocks.get(number, 0.0), self._taken, 0.0)

    def _write_down(self, who: str, what: object, fault: Fault | None) -> None:
        if self._traced:
            self.trace.append(f"{self._taken} {who}: {what}{f' {fault.name}' if fault else ''}")

    def finish(self) -> bool:
        """See `tree.Explorable`."""
        self.options()
        if self._possible:
            return False
        if self.world.posted:
            self._lead_what_is_left()
        check_world(self.world)
        return True

    def _find_steps(self) -> list[_Step]:
        world = self.world
        somebody_works = any(writer.active for writer in world.writers)
        steps = []
        for number, writer in enumerate(world.writers):
            if writer.active:
                footprint = _footprint(number, writer.machine.request)
                steps.append(_Step(footprint, None, None))
                if self._left:
                    faults = faults_of(writer.machine.request)
                    steps += [_Step(footprint, fault, None) for fault in faults]
            elif somebody_works and any(key in world.posted for key in writer.litter):
                deletes = _Footprint((0, number, ""), _NOTHING, frozenset(writer.litter))
                steps.append(_Step(deletes, None, None))
        # A copy whose version is taken can arrive whenever it likes: it changes nothing.
        arriving = [flying for flying in world.flying if world.matters(flying)]
        return steps + [_Step(_arrival(flying), None, flying) for flying in arriving]

    def _lead_what_is_left(self) -> None:
        """Intents that are still posted are picked up by whoever comes, having read the whole log."""
        log = self.world.log()
        last = len(log) - 1
        memory = Memory(contended=True, suspects=frozenset(self.world.posted), recent=tuple(log))
        late = table.intent("late", table.add("from-late", "9"), base=last)
        for entry in log[1:]:
            if entry.metadata is not None:
                late = replace(late, base_metadata=entry.metadata)
            elif entry.table is not None:
                late = table.of_table(late, entry.table)
        number = len(self.world.writers)
        writer = self.world.start(late, self._moment(number), memory)
        while writer.active:
            self._perform(number, writer, None)


def _footprint(number: int, request: Request | None) -> _Footprint:
    actor = (0, number, "")
    match request:
        case CreateEntry():
            return _Footprint(actor, _NOTHING, _ONLY_ENTRIES)
        case PostIntent(key):
            return _Footprint(actor, _NOTHING, frozenset({key}))
        case ReadEntries():
            return _Footprint(actor, _ONLY_ENTRIES, _NOTHING)
        case ReadIntents(keys):
            return _Footprint(actor, frozenset(keys), _NOTHING)
        case _:
            return _Footprint(actor, _ONLY_LISTING, _NOTHING)


def _arrival(flying: Flying) -> _Footprint:
    match flying:
        case FlyingEntry(version):
            return _Footprint((1, "entry", str(version)), _NOTHING, _ONLY_ENTRIES)
        case FlyingIntent(key):
            return _Footprint((1, "intent", key), _NOTHING, frozenset({key}))
        case FlyingDelete(keys):
            return _Footprint((1, "delete", " ".join(keys)), _NOTHING, frozenset(keys))
