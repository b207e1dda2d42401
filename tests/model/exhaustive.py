"""All schedules of a few writers with a bounded number of faults."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from atomic_manifest.commit.intent import NO_TABLE, Intent
from atomic_manifest.commit.messages import (
    Budget,
    CreateEntry,
    Following,
    Moment,
    PostIntent,
    ReadEntries,
    ReadIntents,
    Wait,
)
from atomic_manifest.commit.progress import Memory
from tests.model import table
from tests.model.choices import UNFINISHED, Choices
from tests.model.world import (
    Fault,
    Flying,
    FlyingDelete,
    FlyingEntry,
    FlyingIntent,
    World,
    Writer,
    check_world,
    faults_of,
)

_STEPS = 300
"""No bounded schedule is longer; one that is has met a loop without end."""
_ENTRIES, _LISTING = "entries", "listing"
CONTENDED = Memory(contended=True)
ALONE = Memory()


def schedule(
    intents: Sequence[Intent],
    *,
    faults: int,
    attempts: int = 3,
    memories: Sequence[Memory] = (),
    seconds: float = 8.0,
    epilogue: bool = True,
) -> Callable[[Choices], World | object]:
    """A program for `explore`: one run is one schedule, checked at its end.

    At every step either one writer's request is executed, normally or with a fault, or something that
    was held back arrives, or a writer that is done deletes its litter. Pauses are no request, so they
    take no step. A clock moves only while its writer follows another, by one second at each look: so a
    look in vain is the last before it loses patience, and `seconds` bounds how often it waits. Waiting
    longer is the same as being scheduled later. Of two neighbouring steps that do not touch the same
    things only one order is tried; a run that could only go on in the other order is left unfinished.

    Args:
        intents: One writer each.
        faults: How many faults one schedule has at most.
        attempts: PUTs of one writer at most.
        memories: What the writers remember; nothing for those beyond the end.
        seconds: Of each writer's budget.
        epilogue: Whether a fresh writer leads whatever is left of the others at the end.
    """
    budget = Budget(attempts=attempts, seconds=seconds)

    def run(choices: Choices) -> World | object:
        clocks = _Clocks()
        world = World(intents, budget, clocks.start(), memories)
        left = faults
        last: _Step | None = None
        before: set[tuple[object, ...]] = set()
        for _ in range(_STEPS):
            options = _options(world, left)
            if not options:
                break
            steps = [_Step.of(world, option) for option in options]
            new = [
                number
                for number, step in enumerate(steps)
                if last is None or not (step.could_precede(last) and step.key in before)
            ]
            if not new:
                return UNFINISHED
            number = new[choices.choose(len(new))]
            option, last = options[number], steps[number]
            before = {step.key for step in steps}
            if isinstance(option, Flying):
                world.land(option)
                continue
            writer, fault = option
            if writer.litter:
                world.land(world.sweep(writer))
                continue
            left -= fault is not None
            clocks.perform(world, writer, fault)
        else:
            raise AssertionError("the schedule does not end")
        while arriving := [flying for flying in world.flying if world.matters(flying)]:
            world.land(arriving[choices.choose(len(arriving))])
        if epilogue and all(intent.base_version != NO_TABLE for intent in intents):
            _lead_what_is_left(world, clocks)
        check_world(world)
        return world

    return run


class _Clocks:
    """One clock for each writer."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._steps = count(1)

    def start(self) -> Moment:
        return Moment(0.0, 0, 0.0)

    def perform(self, world: World, writer: Writer, fault: Fault | None) -> None:
        """One request, and the pauses after it."""
        step = next(self._steps)
        world.perform(writer, self._moment(writer, step), fault)
        while writer.active and isinstance(writer.machine.request, Wait):
            if isinstance(writer.machine.state, Following):
                name = writer.intent.commit_id
                self._seconds[name] = self._seconds.get(name, 0.0) + 1.0
            world.perform(writer, self._moment(writer, step))

    def _moment(self, writer: Writer, step: int) -> Moment:
        return Moment(self._seconds.get(writer.intent.commit_id, 0.0), step, 0.0)


_Option = tuple[Writer, Fault | None] | Flying


@dataclass(frozen=True)
class _Step:
    """What a step touches, so that it is known which neighbours may change places."""

    actor: tuple[object, ...]
    key: tuple[object, ...]
    reads: frozenset[str]
    writes: frozenset[str]

    @classmethod
    def of(cls, world: World, option: _Option) -> "_Step":
        if isinstance(option, FlyingEntry):
            touched = {_ENTRIES}
            return cls.make((1, "entry", option.version), None, option, writes=touched)
        if isinstance(option, FlyingIntent):
            return cls.make((1, "intent", option.key), None, option, writes={option.key})
        if isinstance(option, FlyingDelete):
            return cls.make((1, "sweep", *option.keys), None, option, writes={*option.keys})
        writer, fault = option
        actor = (0, world.writers.index(writer))
        if writer.litter:
            return cls.make(actor, fault, None, writes={*writer.litter})
        reads: set[str] = set()
        writes: set[str] = set()
        match writer.machine.request:
            case CreateEntry():
                writes = {_ENTRIES}
            case PostIntent(key):
                writes = {key}
            case ReadEntries():
                reads = {_ENTRIES}
            case ReadIntents(keys):
                reads = {*keys}
            case _:
                reads = {_LISTING}
        return cls.make(actor, fault, None, reads=reads, writes=writes)

    @classmethod
    def make(
        cls,
        actor: tuple[object, ...],
        fault: Fault | None,
        flying: Flying | None,
        *,
        reads: Iterable[str] = (),
        writes: Iterable[str] = (),
    ) -> "_Step":
        return cls(actor, (actor, fault, flying), frozenset(reads), frozenset(writes))

    def could_precede(self, last: "_Step") -> bool:
        """Whether the same would come of this step before the last one, which is the order tried."""
        if not self.actor < last.actor:
            return False
        return not (_meet(self.writes, last.writes | last.reads) or _meet(last.writes, self.reads))


def _meet(written: frozenset[str], touched: frozenset[str]) -> bool:
    return bool(written & touched or (_LISTING in touched and written - {_ENTRIES}))


def _options(world: World, left: int) -> list[_Option]:
    options: list[_Option] = []
    for writer in world.writers:
        if writer.active:
            options.append((writer, None))
            if left:
                options += [(writer, fault) for fault in faults_of(writer.machine.request)]
        elif any(key in world.posted for key in writer.litter) and _somebody_works(world):
            options.append((writer, None))
    if _somebody_works(world):
        # A copy whose version is taken can arrive whenever it likes: it changes nothing.
        options += [flying for flying in world.flying if world.matters(flying)]
    return options


def _somebody_works(world: World) -> bool:
    return any(writer.active for writer in world.writers)


def _lead_what_is_left(world: World, clocks: _Clocks) -> None:
    """Intents that are posted still are picked up by whoever comes: a writer that read the whole log."""
    log = world.log()
    last = len(log) - 1
    suspects = frozenset(world.posted)
    memory = Memory(contended=True, suspects=suspects, recent=tuple(log))
    late = replace(table.intent("late", table.add("from-late", "9"), base=last))
    if any(entry.metadata is not None for entry in log[1:]):
        newest = next(e.metadata for e in reversed(log) if e.metadata is not None)
        late = replace(late, base_metadata=newest)
    writer = world.start(late, clocks.start(), memory)
    while writer.active:
        clocks.perform(world, writer, None)
    assert writer.machine.outcome is not None
