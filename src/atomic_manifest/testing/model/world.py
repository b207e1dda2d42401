"""The real commit machine on a modelled object store whose network may do anything.

A network can lose a request or its answer, hold a PUT back and let it land at any later time, deliver
it twice, or answer for one copy while another is still on its way. The store evaluates the condition
each time a copy arrives. Entries are created whole, and never change; a
read may come damaged all the same. Posted intents are put without a
condition, and deleted by writers that have come to their end, at once, late or never.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias, TypeVar

from atomic_manifest.commit.combine import Candidate, render
from atomic_manifest.commit.intent import NO_TABLE, Intent
from atomic_manifest.commit.messages import (
    Budget,
    Conflicted,
    CreateEntry,
    EntriesRead,
    EntryConflict409,
    EntryCorrupt,
    EntryCreated,
    EntryRefused,
    EntryThrottled,
    Event,
    Failed,
    IntentPosted,
    IntentsListed,
    IntentsRead,
    ListIntents,
    Moment,
    PostIntent,
    ReadEntries,
    ReadIntents,
    Unanswered,
    Wait,
    Waited,
)
from atomic_manifest.commit.progress import Memory
from atomic_manifest.commit.protocol import CommitMachine
from atomic_manifest.errors import CorruptLog, StorePermissionDenied
from atomic_manifest.log.entry import Entry, decode
from atomic_manifest.testing.model.faults import EXECUTED, FLYING, Fault
from atomic_manifest.testing.model.table import FIRST_ENTRY, Contents
from atomic_manifest.testing.model.violation import Violation

decode_once = lru_cache(maxsize=1 << 16)(decode)
"""`decode`, which is pure, remembered."""


@dataclass(frozen=True)
class FlyingEntry:
    """The PUT of an entry that left its writer and has not arrived."""

    version: int
    data: bytes


@dataclass(frozen=True)
class FlyingIntent:
    """The PUT of an intent that left its writer and has not arrived."""

    key: str
    data: bytes


@dataclass(frozen=True)
class FlyingDelete:
    """A batch of deletions that has not been carried out."""

    keys: tuple[str, ...]


Flying: TypeAlias = FlyingEntry | FlyingIntent | FlyingDelete

Planner: TypeAlias = Callable[[str, int, Contents], Intent]
"""Plans a commit again, under the same id: its id, the version reached, what the table holds there."""

_T = TypeVar("_T")
_COLLECTIONS = frozenset({list, dict, set})


def copied(value: _T) -> _T:
    """A copy of an object whose attributes are values, or collections of values."""
    new = object.__new__(type(value))
    attributes = vars(new)
    attributes.update(vars(value))
    for name, attribute in vars(value).items():
        if type(attribute) in _COLLECTIONS:
            attributes[name] = attribute.copy()
    return new


def copied_machine(machine: CommitMachine) -> CommitMachine:
    """A machine in the same state, that goes its own way from here."""
    new = copied(machine)
    new.progress = copied(machine.progress)
    return new


@dataclass
class Writer:
    """One machine, and what is known of it.

    Attributes:
        intent: What it wants.
        machine: The real one.
        crashed: Whether it is gone.
        swept: Whether it has deleted its litter.
        plan: Which plan of the same commit this is, counted from 1.
        replaced: Whether the commit was planned again.
        sent: What was sent to a version, as a commit and as a revocation.
    """

    intent: Intent
    machine: CommitMachine
    crashed: bool = False
    swept: bool = False
    plan: int = 1
    replaced: bool = False
    sent: dict[tuple[int, bool], bytes] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether it has something to do."""
        return not self.crashed and self.machine.request is not None

    @property
    def litter(self) -> tuple[str, ...]:
        """What it has yet to delete."""
        if self.swept or self.crashed or self.machine.request is not None:
            return ()
        return self.machine.progress.litter

    def copy(self) -> "Writer":
        """One that goes its own way from here."""
        new = copied(self)
        new.machine = copied_machine(self.machine)
        return new


class World:
    """A log, posted intents, writers, and what is on its way between them.

    Args:
        intents: One writer each.
        budget: Of every writer.
        moment: When they start.
        memories: What each writer remembers; nothing for those beyond the end.
        prologue: Commits of the versions from 1 on, in the log from the beginning.
        planners: By commit id: how a commit that met a conflict is planned again.
        plans: How often one commit is planned at most.
    """

    def __init__(
        self,
        intents: Sequence[Intent],
        budget: Budget,
        moment: Moment,
        memories: Sequence[Memory] = (),
        *,
        prologue: Sequence[Intent] = (),
        planners: Mapping[str, Planner] | None = None,
        plans: int = 2,
    ) -> None:
        self.objects: dict[int, bytes] = {}
        self.posted: dict[str, bytes] = {}
        self.flying: list[Flying] = []
        self.budget = budget
        self.writers: list[Writer] = []
        self.prologue = tuple(prologue)
        self._planners = planners or {}
        self._plans = plans
        if all(intent.base_version != NO_TABLE for intent in intents):
            self.objects[0] = FIRST_ENTRY
        for version, intent in enumerate(prologue, start=1):
            self.objects[version] = render([Candidate.of(intent)], version, 0)
        for number, intent in enumerate(intents):
            self.start(intent, moment, memories[number] if number < len(memories) else None)

    def copy(self) -> "World":
        """One that goes its own way from here, as long as writers are changed through `own` alone."""
        return copied(self)

    def own(self, number: int) -> Writer:
        """The writer of this number, shared with no copy of this world from now on."""
        self.writers[number] = self.writers[number].copy()
        return self.writers[number]

    def start(self, intent: Intent, moment: Moment, memory: Memory | None = None) -> Writer:
        """Let one more writer begin."""
        writer = Writer(intent, CommitMachine(intent, self.budget, moment, memory))
        self.writers.append(writer)
        return writer

    def perform(self, writer: Writer, moment: Moment, fault: Fault | None = None) -> None:
        """Execute the writer's request, and tell it what came of it at once."""
        self.tell(writer, self.execute(writer, fault), moment, fault)

    def tell(self, writer: Writer, event: Event, moment: Moment, fault: Fault | None) -> None:
        """The answer reaches the writer, if it still lives."""
        if fault is Fault.CRASHED:
            writer.crashed = True
            return
        writer.machine.handle(event, moment)
        planner = self._planners.get(writer.intent.commit_id)
        conflicted = isinstance(writer.machine.outcome, Conflicted)
        if planner is not None and conflicted and writer.plan < self._plans:
            self.plan_again(writer, planner, moment)

    def plan_again(self, writer: Writer, planner: Planner, moment: Moment) -> Writer:
        """Let another writer go on with a commit whose conflict is certain, under the same id."""
        progress = writer.machine.progress
        base = progress.version - 1
        contents = Contents()
        for entry in self.log()[: base + 1]:
            contents = contents.after(entry)
        intent = planner(writer.intent.commit_id, base, contents)
        writer.replaced = True
        successor = self.start(intent, moment, progress.memory())
        successor.plan = writer.plan + 1
        return successor

    def sweep(self, writer: Writer) -> FlyingDelete:
        """The writer has come to its end, and deletes what it has to."""
        flying = FlyingDelete(writer.litter)
        writer.swept = True
        self.flying.append(flying)
        return flying

    def land(self, flying: Flying) -> bool:
        """What was held back arrives; whether it changed anything."""
        self.flying.remove(flying)
        match flying:
            case FlyingEntry(version, data):
                return self._put(version, data)
            case FlyingIntent(key, data):
                self.posted[key] = data
                return True
            case FlyingDelete(keys):
                there = self.posted.keys() & set(keys)
                for key in there:
                    del self.posted[key]
                return bool(there)

    def matters(self, flying: Flying) -> bool:
        """Whether it would change anything if it arrived now."""
        match flying:
            case FlyingEntry(version):
                return version not in self.objects
            case FlyingIntent(key, data):
                return self.posted.get(key) != data
            case FlyingDelete(keys):
                return any(key in self.posted for key in keys)

    def log(self) -> list[Entry]:
        """The whole log, decoded."""
        if any(version not in self.objects for version in range(len(self.objects))):
            raise Violation("the log has a gap")
        return [decode_once(self.objects[version], version) for version in range(len(self.objects))]

    def _put(self, version: int, data: bytes) -> bool:
        if version in self.objects:
            return False
        if version != len(self.objects):
            raise Violation(f"version {version} was created before the one below")
        self.objects[version] = data
        return True

    def execute(self, writer: Writer, fault: Fault | None = None) -> Event:
        """Let the writer's request do what it does to the store; what it will be told of it."""
        match writer.machine.request:
            case CreateEntry(version, data):
                self._check_sent(writer, version, data)
                return self._create(version, data, fault)
            case ReadEntries(first, count):
                return self._read(first, count, fault)
            case PostIntent(key, data):
                return self._post(key, data, fault)
            case ListIntents():
                return self._list(fault)
            case ReadIntents(keys):
                found = {key: self.posted[key] for key in keys if key in self.posted}
                missing = fault in (Fault.LOST, Fault.STALE, Fault.CRASHED)
                return IntentsRead(dict(list(found.items())[1:]) if missing else found)
            case Wait():
                return Waited()
            case None:
                raise ValueError("a writer without a request was scheduled")

    def _check_sent(self, writer: Writer, version: int, data: bytes) -> None:
        entry = decode_once(data, version)
        if writer.sent.setdefault((version, bool(entry.revoked)), data) != data:
            raise Violation(f"{writer.intent.commit_id} sent other bytes to {version}")
        if len(self.objects) < version:
            raise Violation(f"{version} was sent before the one below")
        read = (entry.commit_info or {}).get("readVersion", NO_TABLE)
        if read != version - 1:
            raise Violation(f"the entry sent to {version} says that it read version {read}")

    def _create(self, version: int, data: bytes, fault: Fault | None) -> Event:
        created = fault in EXECUTED and self._put(version, data)
        if fault is Fault.REPEATED:
            created = self._put(version, data)
        if fault in FLYING:
            self.flying.append(FlyingEntry(version, data))
        match fault:
            case None | Fault.DUPLICATED | Fault.REPEATED:
                return EntryCreated() if created else EntryRefused()
            case Fault.CONFLICT_409 | Fault.CONFLICT_409_WITH_COPY:
                return EntryConflict409()
            case Fault.THROTTLED_429 | Fault.THROTTLED_429_WITH_COPY:
                return EntryThrottled()
            case Fault.DENIED:
                return Failed(StorePermissionDenied("denied", path="entry"))
        return Unanswered()

    def _read(self, first: int, count: int, fault: Fault | None) -> Event:
        if fault is Fault.DENIED:
            return Failed(StorePermissionDenied("denied", path="entry"))
        if fault in (Fault.LOST, Fault.CRASHED):
            return Unanswered()
        end = min(first + count, len(self.objects))
        if fault is Fault.DAMAGED and first < end:
            return _damaged(self.objects[first], first)
        found = [decode_once(self.objects[version], version) for version in range(first, end)]
        return EntriesRead(tuple(found[:-1] if fault is Fault.STALE else found))

    def _post(self, key: str, data: bytes, fault: Fault | None) -> Event:
        if fault in EXECUTED:
            self.posted[key] = data
        if fault in FLYING:
            self.flying.append(FlyingIntent(key, data))
        if fault is Fault.DENIED:
            return Failed(StorePermissionDenied("denied", path="intent"))
        return IntentPosted() if fault in (None, Fault.DUPLICATED) else Unanswered()

    def _list(self, fault: Fault | None) -> Event:
        if fault is Fault.DENIED:
            return Failed(StorePermissionDenied("denied", path="intents"))
        if fault in (Fault.LOST, Fault.CRASHED):
            return Unanswered()
        keys = sorted(self.posted)
        return IntentsListed(tuple(keys[:-1] if fault is Fault.STALE else keys))


def _damaged(data: bytes, version: int) -> EntryCorrupt:
    """What comes of reading an entry with a bit flipped in the middle."""
    middle = len(data) // 2
    broken = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    error = CorruptLog(f"version {version} came damaged", path=str(version), version=version)
    return EntryCorrupt(error, damaged=True, data=broken)
