"""The real commit machine on a modelled object store whose network may do anything.

A network can lose a request or its answer, hold a PUT back and let it land at any later time, deliver
it twice, or answer for one copy while another is still on its way. The store evaluates the condition
each time a copy arrives. Entries are created whole, and never change. Posted intents are put without a
condition, and deleted by writers that have come to their end, at once, late or never.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from typing import TypeAlias

from atomic_manifest.commit.intent import NO_TABLE, Intent
from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Budget,
    Committed,
    CreateEntry,
    EntriesRead,
    EntryConflict409,
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
    Unknown,
    Wait,
    Waited,
)
from atomic_manifest.commit.progress import Memory
from atomic_manifest.commit.protocol import CommitMachine
from atomic_manifest.errors import StorePermissionDenied
from atomic_manifest.log.entry import Entry, decode
from tests.model.serial import check_serial
from tests.model.table import FIRST_ENTRY

decode_once = lru_cache(maxsize=4096)(decode)


class Fault(Enum):
    """What may happen to one request besides the normal."""

    LOST = auto()
    """The request never arrives; no answer."""
    REPLY_LOST = auto()
    """It is executed; no answer."""
    DELAYED = auto()
    """No answer now; it arrives at any later time."""
    DUPLICATED = auto()
    """Executed and answered; a copy arrives at any later time."""
    REPEATED = auto()
    """Executed twice in a row; the second answer is the one that comes back."""
    CONFLICT_409 = auto()
    """Answered 409, nothing written."""
    CONFLICT_409_WITH_COPY = auto()
    """Answered 409, because a copy of the same request is on its way."""
    THROTTLED_429 = auto()
    """Answered 429, nothing written."""
    THROTTLED_429_WITH_COPY = auto()
    """Answered 429, while a copy of the same request is on its way."""
    DENIED = auto()
    """Answered 403."""
    STALE = auto()
    """A read that does not see the newest entry it could."""
    CRASHED = auto()
    """The writer is gone; what it just sent may arrive at any later time."""


ENTRY_FAULTS = tuple(fault for fault in Fault if fault is not Fault.STALE)
POST_FAULTS = (
    Fault.LOST,
    Fault.REPLY_LOST,
    Fault.DELAYED,
    Fault.DUPLICATED,
    Fault.DENIED,
    Fault.CRASHED,
)
READ_FAULTS = (Fault.LOST, Fault.STALE, Fault.DENIED, Fault.CRASHED)
LIST_FAULTS = READ_FAULTS
GATHER_FAULTS = (Fault.LOST, Fault.STALE, Fault.CRASHED)


def faults_of(request: object) -> tuple[Fault, ...]:
    """What may happen to a request."""
    match request:
        case CreateEntry():
            return ENTRY_FAULTS
        case PostIntent():
            return POST_FAULTS
        case ReadEntries():
            return READ_FAULTS
        case ListIntents():
            return LIST_FAULTS
        case ReadIntents():
            return GATHER_FAULTS
    return ()


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


@dataclass
class Writer:
    """One machine, and what is known of it."""

    intent: Intent
    machine: CommitMachine
    crashed: bool = False
    sent: dict[tuple[int, bool], bytes] = field(default_factory=dict)
    """What was sent to a version, as a commit and as a revocation."""
    swept: bool = False

    @property
    def active(self) -> bool:
        return not self.crashed and self.machine.request is not None

    @property
    def litter(self) -> tuple[str, ...]:
        """What it has yet to delete."""
        done = self.machine.outcome is not None and not self.swept and not self.crashed
        return self.machine.progress.litter if done else ()


class World:
    """A log, posted intents, writers, and what is on its way between them.

    Args:
        intents: One writer each.
        budget: Of every writer.
        moment: When they start.
        memories: What each writer remembers; nothing for those beyond the end.
    """

    def __init__(
        self,
        intents: Sequence[Intent],
        budget: Budget,
        moment: Moment,
        memories: Sequence[Memory] = (),
    ) -> None:
        self.objects: dict[int, bytes] = {}
        if all(intent.base_version != NO_TABLE for intent in intents):
            self.objects[0] = FIRST_ENTRY
        self.posted: dict[str, bytes] = {}
        self.flying: list[Flying] = []
        self.budget = budget
        self.writers: list[Writer] = []
        for number, intent in enumerate(intents):
            self.start(intent, moment, memories[number] if number < len(memories) else None)

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
        else:
            writer.machine.handle(event, moment)

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
        assert sorted(self.objects) == list(range(len(self.objects))), "the log has a gap"
        return [decode_once(self.objects[version], version) for version in sorted(self.objects)]

    def _put(self, version: int, data: bytes) -> bool:
        if version in self.objects:
            return False
        assert version == len(self.objects), f"version {version} was created before the one below"
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
        raise AssertionError("a writer without a request was scheduled")

    def _check_sent(self, writer: Writer, version: int, data: bytes) -> None:
        entry = decode_once(data, version)
        same = writer.sent.setdefault((version, bool(entry.revoked)), data)
        assert same == data, f"{writer.intent.commit_id} sent other bytes to {version}"
        assert len(self.objects) >= version, f"{version} was sent before the one below"
        info = entry.commit_info or {}
        assert info.get("readVersion", NO_TABLE) == version - 1, (
            f"the entry sent to {version} says that it read version {info['readVersion']}"
        )

    def _create(self, version: int, data: bytes, fault: Fault | None) -> Event:
        if fault in _EXECUTED:
            first = self._put(version, data)
            again = fault is Fault.REPEATED and self._put(version, data)
            created = again if fault is Fault.REPEATED else first
        if fault in _STILL_FLYING:
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
        found = [decode_once(self.objects[version], version) for version in range(first, end)]
        return EntriesRead(tuple(found[:-1] if fault is Fault.STALE else found))

    def _post(self, key: str, data: bytes, fault: Fault | None) -> Event:
        if fault in _EXECUTED:
            self.posted[key] = data
        if fault in _STILL_FLYING:
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


_EXECUTED = (None, Fault.REPLY_LOST, Fault.DUPLICATED, Fault.REPEATED)
_STILL_FLYING = (
    Fault.DELAYED,
    Fault.DUPLICATED,
    Fault.CONFLICT_409_WITH_COPY,
    Fault.THROTTLED_429_WITH_COPY,
    Fault.CRASHED,
)


def check_world(world: World) -> None:
    """Assert everything that must hold once all that was on its way has arrived."""
    log = world.log()
    named = Counter(record.id for entry in log for record in entry.commits)
    for name, times in named.items():
        assert times == 1, f"{name} is in the log {times} times"
    at = {record.id: entry.version for entry in log for record in entry.commits}
    places = {
        name: [at[name]] if name in at else []
        for name in (writer.intent.commit_id for writer in world.writers)
    }
    for entry in log:
        both = {name for name in entry.revoked if name in at}
        assert not both, f"{both} was revoked and is in the log"
    for writer in world.writers:
        _check_outcome(writer, places[writer.intent.commit_id], log)
        sends = writer.machine.progress.sends
        assert sends <= world.budget.attempts + _REVOCATIONS, "too many attempts"
    intents = [writer.intent for writer in world.writers]
    done = Counter(i.txn for i in intents if i.txn is not None and places[i.commit_id])
    assert all(times == 1 for times in done.values()), f"a transaction was done twice: {done}"
    check_serial(log, intents)


_REVOCATIONS = 10


def _check_outcome(writer: Writer, versions: list[int], log: list[Entry]) -> None:
    name, outcome = writer.intent.commit_id, writer.machine.outcome
    match outcome:
        case Committed(version):
            assert versions == [version], f"{name}: {outcome}, but the log has it at {versions}"
        case Unknown(possible):
            assert set(versions) <= set(possible), f"{name}: {outcome}, but it is at {versions}"
        case None:
            assert writer.crashed, f"{name} has no outcome"
        case _:
            assert not versions, f"{name}: {outcome}, but the log has it at {versions}"
    if isinstance(outcome, AlreadyCommitted):
        assert writer.intent.txn is not None
        app, number = writer.intent.txn
        txns = log[outcome.version].txns
        assert any(t.app_id == app and t.version >= number for t in txns), f"{name}: {outcome}"
