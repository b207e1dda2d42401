"""Many writers on a modelled store in virtual time, everything drawn from one seed.

Each writer commits one intent after the other, each based on what it knows of the log then. Requests
take time, arrive in any order, and meet faults at random; crashed writers are replaced by new ones.
"""

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from atomic_manifest.commit.intent import Intent, Isolation
from atomic_manifest.commit.messages import Budget, Committed, Moment, Wait
from atomic_manifest.commit.progress import Memory
from tests.model import table
from tests.model.serial import Contents
from tests.model.world import Fault, World, Writer, check_world, faults_of

ANSWER_SECONDS = (0.02, 0.3)
TIMEOUT_SECONDS = 5.0
LATEST_ARRIVAL_SECONDS = 60.0
TXN_EVERY = 5

_UNANSWERED = (Fault.LOST, Fault.REPLY_LOST, Fault.DELAYED)


@dataclass
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
    """

    seed: int
    writers: int = 16
    commits: int = 4
    fault_rate: float = 0.1
    budget: Budget = field(default_factory=lambda: Budget(attempts=40, seconds=120.0))
    latency: Mapping[type, tuple[float, float]] = field(default_factory=dict)
    appends: bool = False


Step: TypeAlias = Callable[[], None]


class Simulation:
    """One run. `trace` says what happened, in order.

    Args:
        plan: What to simulate.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world = World([], plan.budget, self._moment_at(0.0, 0.0))
        self.trace: list[str] = []
        self.now = 0.0
        self._random = random.Random(plan.seed)
        self._agenda: list[tuple[float, int, Step]] = []
        self._order = 0
        self._started = 0
        self._states = [Contents()]
        self._begun: dict[str, float] = {}
        self.seconds: list[float] = []

    def run(self) -> "Simulation":
        """Run to the end, let everything arrive that was on its way, and check the world."""
        for _ in range(self.plan.writers):
            self._at(
                self._random.uniform(0, 0.1), lambda: self._begin(self.plan.commits, 0, Memory())
            )
        while self._agenda:
            self.now, _, step = heapq.heappop(self._agenda)
            step()
        assert not self.world.flying
        check_world(self.world)
        return self

    def _at(self, delay: float, step: Step) -> None:
        self._order += 1
        heapq.heappush(self._agenda, (self.now + delay, self._order, step))

    def _moment_at(self, now: float, draw: float) -> Moment:
        return Moment(now, int(now * 1000), draw)

    def _begin(self, commits: int, known: int, memory: Memory) -> None:
        """Start the next commit of a writer that knows the log up to version `known`."""
        self._started += 1
        name = f"c{self._started}"
        moment = self._moment_at(self.now, self._random.random())
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

    def _half(self, request: object) -> float:
        """Half of the way to the store and back."""
        least, most = self.plan.latency.get(type(request), ANSWER_SECONDS)
        return self._random.uniform(least, most) / 2

    def _fault(self, possible: Sequence[Fault]) -> Fault | None:
        if self._random.random() >= self.plan.fault_rate:
            return None
        fault = self._random.choice(possible)
        # Being denied and crashing end a commit: were they as frequent, little else would happen.
        rare = fault in (Fault.DENIED, Fault.CRASHED) and self._random.random() < 0.8
        return Fault.LOST if rare else fault

    def _perform(self, writer: Writer, commits: int, fault: Fault | None) -> None:
        request = writer.machine.request
        in_flight = len(self.world.flying)
        event, told = self.world.execute(writer, fault), self._half(request)
        for flying in self.world.flying[in_flight:]:
            late = self._random.uniform(0, LATEST_ARRIVAL_SECONDS)
            self._at(late, lambda flying=flying: self._land(flying))
        if fault in _UNANSWERED:
            told = TIMEOUT_SECONDS
        if isinstance(request, Wait):
            told = 0.0
        self.trace.append(
            f"{self.now:.6f} {writer.intent.commit_id} {request} {fault} {type(event).__name__}"
        )
        self._at(told, lambda: self._tell(writer, commits, event, fault))

    def _tell(self, writer: Writer, commits: int, event: object, fault: Fault | None) -> None:
        self.world.tell(writer, event, self._moment_at(self.now, self._random.random()), fault)
        self._next(writer, commits)

    def _land(self, flying: object) -> None:
        created = self.world.land(flying)
        self.trace.append(f"{self.now:.6f} {type(flying).__name__} arrives late: {created}")

    def _finished(self, writer: Writer, commits: int) -> None:
        progress, outcome = writer.machine.progress, writer.machine.outcome
        self.trace.append(f"{self.now:.6f} {writer.intent.commit_id} ends: {outcome}")
        known = max(writer.intent.base_version, progress.version - 1)
        if isinstance(outcome, Committed):
            known = outcome.version
        memory = Memory() if writer.crashed else progress.memory()
        if writer.litter and self._random.random() >= self.plan.fault_rate:
            flying = self.world.sweep(writer)
            self._at(self._half(flying), lambda: self._land(flying))
        if outcome is not None:
            self.seconds.append(self.now - self._begun[writer.intent.commit_id])
        if commits > 1:
            self._begin(commits - 1, known, memory)

    def _intent(self, name: str, known: int) -> Intent:
        """Something that can be wanted of the table as it is at version `known`."""
        for entry in self.world.log()[len(self._states) - 1 :]:
            self._states.append(self._states[-1].after(entry))
        if self.plan.appends:
            return table.intent(name, table.add(name), base=known)
        p = self._random.choice("12")
        files = sorted(path for path, at in self._states[known + 1].files.items() if at == p)
        some = files[: self._random.randint(0, 2)]
        kind = self._random.choice(["append", "append", "delete", "overwrite", "compact"])
        read = {
            "reads": table.partition(p),
            "isolation": self._random.choice(list(Isolation)),
            "txn": self._txn(known),
            "base": known,
        }
        match kind, len(some):
            case "delete", 1 | 2:
                return table.intent(name, *(table.remove(path, p) for path in some), **read)
            case "overwrite", _:
                removed = [table.remove(path, p) for path in files]
                return table.intent(name, *removed, table.add(name, p), **read)
            case "compact", 2:
                moved = [table.remove(path, p, data_change=False) for path in some]
                merged = table.add("+".join(some), p, data_change=False)
                return table.intent(name, *moved, merged, base=known)
        return table.intent(name, table.add(name, p), txn=read["txn"], base=known)

    def _txn(self, known: int) -> tuple[str, int] | None:
        """Now and then a transaction; neighbours try the same one, unless they know that it is done."""
        number = self._started // (2 * TXN_EVERY)
        entries = self.world.log()[: known + 1]
        done = any(txn.version >= number for entry in entries for txn in entry.txns)
        return None if done or self._started % TXN_EVERY else ("loader", number)
