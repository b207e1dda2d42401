"""Many writers on a modelled store in virtual time, everything drawn from one seed.

Each writer commits one intent after the other, each based on what it knows of the log then. Requests
take time, arrive in any order, and meet faults at random; crashed writers are replaced by new ones.
Overwrites that meet a conflict are planned again under the same id. One seed is one trace.
"""

import heapq
import random  # noqa: TID251 - seeded by the plan
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from atomic_manifest.commit.intent import Intent, Isolation
from atomic_manifest.commit.messages import (
    Budget,
    Committed,
    Conflicted,
    Event,
    Moment,
    Request,
    Wait,
)
from atomic_manifest.commit.progress import Memory
from atomic_manifest.testing.model import table
from atomic_manifest.testing.model.faults import Fault, faults_of
from atomic_manifest.testing.model.invariants import check_world
from atomic_manifest.testing.model.table import Contents
from atomic_manifest.testing.model.violation import Violation
from atomic_manifest.testing.model.world import Flying, FlyingDelete, World, Writer

ANSWER_SECONDS = (0.02, 0.3)
TIMEOUT_SECONDS = 5.0
LATEST_ARRIVAL_SECONDS = 60.0
TXN_EVERY = 5
PLANS = 5
"""How often an overwrite is planned at most."""

_UNANSWERED = (Fault.LOST, Fault.REPLY_LOST, Fault.DELAYED)


@dataclass(frozen=True)
class Plan:
    """What is simulated.

    Attributes:
        seed: Of everything random.
        writers: At the same time.
        commits: Of each writer, one after the other.
        fault_rate: Faults per request.
        budget: Of each commit.
        latency: How long each kind of request takes at least and at most, in seconds.
        appends: Whether all of them only append.
        staging: How long a writer takes at least and at most to upload its files before each commit but
            the first, in seconds.
    """

    seed: int
    writers: int = 16
    commits: int = 4
    fault_rate: float = 0.1
    budget: Budget = field(default_factory=lambda: Budget(attempts=40, seconds=120.0))
    latency: Mapping[type[Any], tuple[float, float]] = field(default_factory=dict)
    appends: bool = False
    staging: tuple[float, float] = (0.0, 0.0)


Step: TypeAlias = Callable[[], None]


class Simulation:
    """One run.

    Args:
        plan: What to simulate.

    Attributes:
        plan: What is simulated.
        world: The store and the writers.
        trace: What happened, in order.
        now: Virtual time in seconds.
        seconds: How long each commit took that was not cut off by a crash.
        faults: The faults met, by kind.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world = World([], plan.budget, _moment(0.0, 0.0))
        self.trace: list[str] = []
        self.now = 0.0
        self.seconds: list[float] = []
        self.faults: Counter[str] = Counter()
        self._random = random.Random(plan.seed)
        self._agenda: list[tuple[float, int, Step]] = []
        self._order = 0
        self._started = 0
        self._states = [Contents()]
        self._begun: dict[str, float] = {}
        self._overwritten: dict[str, str] = {}

    @property
    def outcomes(self) -> Counter[str]:
        """How the commits ended, by name of the outcome or `crashed`; each plan of a commit counts."""
        ends = (writer.machine.outcome for writer in self.world.writers)
        return Counter("crashed" if end is None else type(end).__name__ for end in ends)

    def run(self) -> "Simulation":
        """Run to the end, let everything arrive that was on its way, and check the world.

        Raises:
            Violation: Something did not hold.
        """
        for _ in range(self.plan.writers):
            self._at(
                self._random.uniform(0, 0.1), lambda: self._begin(self.plan.commits, 0, Memory())
            )
        while self._agenda:
            self.now, _, step = heapq.heappop(self._agenda)
            step()
        if self.world.flying:
            raise Violation("something never arrived")
        check_world(self.world)
        return self

    def _at(self, delay: float, step: Step) -> None:
        self._order += 1
        heapq.heappush(self._agenda, (self.now + delay, self._order, step))

    def _moment(self) -> Moment:
        return _moment(self.now, self._random.random())

    def _begin(self, commits: int, known: int, memory: Memory) -> None:
        """Start the next commit of a writer that knows the log up to version `known`."""
        self._started += 1
        name = f"c{self._started}"
        moment = self._moment()
        writer = self.world.start(self._intent(name, known), moment, memory)
        self._begun[name] = self.now
        self.trace.append(f"{self.now:.6f} {name} begins at {known}")
        self._next(writer, commits)

    def _next(self, writer: Writer, commits: int) -> None:
        """Put the writer's next request on the agenda, or its next commit."""
        request = writer.machine.request
        if request is None or writer.crashed:
            self._finished(writer, commits)
        elif isinstance(request, Wait):
            self._at(request.seconds, lambda: self._perform(writer, commits, None))
        else:
            fault = self._fault(faults_of(request))
            # The store acts at some time between the request and its answer.
            delay = self._half(request)
            self._at(delay, lambda: self._perform(writer, commits, fault))

    def _half(self, request: Request | FlyingDelete | None) -> float:
        """Half of the way to the store and back."""
        least, most = self.plan.latency.get(type(request), ANSWER_SECONDS)
        return self._random.uniform(least, most) / 2

    def _fault(self, possible: Sequence[Fault]) -> Fault | None:
        if self._random.random() >= self.plan.fault_rate:
            return None
        fault = self._random.choice(possible)
        # Being denied and crashing end a commit: were they as frequent, little else would happen.
        if fault in (Fault.DENIED, Fault.CRASHED) and self._random.random() < 0.8:
            fault = Fault.LOST
        self.faults[fault.name] += 1
        return fault

    def _perform(self, writer: Writer, commits: int, fault: Fault | None) -> None:
        request = writer.machine.request
        in_flight = len(self.world.flying)
        event, told = self.world.execute(writer, fault), self._half(request)
        for flying in self.world.flying[in_flight:]:
            late = self._random.uniform(0, LATEST_ARRIVAL_SECONDS)
            self._at(late, partial(self._land, flying))
        if fault in _UNANSWERED:
            told = TIMEOUT_SECONDS
        if isinstance(request, Wait):
            told = 0.0
        self.trace.append(
            f"{self.now:.6f} {writer.intent.commit_id} {request} {fault} {type(event).__name__}"
        )
        self._at(told, lambda: self._tell(writer, commits, event, fault))

    def _tell(self, writer: Writer, commits: int, event: Event, fault: Fault | None) -> None:
        self.world.tell(writer, event, self._moment(), fault)
        self._next(writer, commits)

    def _land(self, flying: Flying) -> None:
        created = self.world.land(flying)
        self.trace.append(f"{self.now:.6f} {type(flying).__name__} arrives late: {created}")

    def _finished(self, writer: Writer, commits: int) -> None:
        progress, outcome = writer.machine.progress, writer.machine.outcome
        name = writer.intent.commit_id
        self.trace.append(f"{self.now:.6f} {name} ends: {outcome}")
        if writer.litter and self._random.random() >= self.plan.fault_rate:
            flying = self.world.sweep(writer)
            self._at(self._half(flying), lambda: self._land(flying))
        if isinstance(outcome, Conflicted) and name in self._overwritten and writer.plan < PLANS:
            again = self.world.plan_again(writer, self._overwrite_again, self._moment())
            self.trace.append(f"{self.now:.6f} {name} is planned again")
            self._next(again, commits)
            return
        if outcome is not None:
            self.seconds.append(self.now - self._begun[name])
        if commits > 1:
            known = max(writer.intent.base_version, progress.version - 1)
            if isinstance(outcome, Committed):
                known = outcome.version
            memory = Memory() if writer.crashed else progress.memory()
            staged = self._random.uniform(*self.plan.staging)
            self._at(staged, lambda: self._begin(commits - 1, known, memory))

    def _intent(self, name: str, known: int) -> Intent:
        """Something that can be wanted of the table as it is at version `known`."""
        if self.plan.appends:
            return table.append(name, base=known)
        for entry in self.world.log()[len(self._states) - 1 :]:
            self._states.append(self._states[-1].after(entry))
        p = self._random.choice("12")
        files = sorted(path for path, at in self._states[known + 1].files.items() if at == p)
        some = files[: self._random.randint(0, 2)]
        kind = self._random.choice(["append", "append", "delete", "overwrite", "compact"])
        isolation = self._random.choice(list(Isolation))
        txn = self._txn(known)
        match kind, len(some):
            case "delete", 1 | 2:
                return table.intent(
                    name,
                    *(table.remove(path, p) for path in some),
                    reads=table.partition(p),
                    isolation=isolation,
                    txn=txn,
                    base=known,
                )
            case "overwrite", _:
                self._overwritten[name] = p
                return table.overwrite(name, p, known, self._states[known + 1], isolation, txn)
            case "compact", 2:
                moved = [table.remove(path, p, data_change=False) for path in some]
                merged = table.add("+".join(some), p, data_change=False)
                return table.intent(name, *moved, merged, base=known)
        return table.append(name, p, txn=txn, base=known)

    def _overwrite_again(self, name: str, base: int, contents: Contents) -> Intent:
        planned = next(w.intent for w in self.world.writers if w.intent.commit_id == name)
        p = self._overwritten[name]
        return table.overwrite(name, p, base, contents, planned.isolation, planned.txn)

    def _txn(self, known: int) -> table.Transaction | None:
        """Now and then a transaction: two try the same one, and a third the one before.

        None of them does if it knows of that one, or a later one, in the log.
        """
        triple, place = divmod(self._started // TXN_EVERY, 3)
        number = 2 * triple + (place < 2)
        entries = self.world.log()[: known + 1]
        done = any(txn.version >= number for entry in entries for txn in entry.txns)
        return None if done or self._started % TXN_EVERY else ("loader", number)


def _moment(now: float, draw: float) -> Moment:
    return Moment(now, int(now * 1000), draw)
