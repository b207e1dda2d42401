"""The real commit machine on a modelled object store whose network may do anything.

A network can lose a request or its answer, hold a PUT back and let it land at any later time, deliver
it twice, or answer for one copy while another is still on its way. The store evaluates the condition
each time a copy arrives. Nothing else happens to objects: they are created whole, and never change.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache

from atomic_manifest.commit.intent import NO_TABLE, Intent
from atomic_manifest.commit.protocol import (
    AlreadyCommitted,
    Budget,
    CommitMachine,
    Committed,
    CreateEntry,
    EntriesRead,
    EntryConflict409,
    EntryCreated,
    EntryRefused,
    EntryThrottled,
    Event,
    Failed,
    Moment,
    ReadEntries,
    Unanswered,
    Unknown,
    Wait,
    Waited,
)
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


PUT_FAULTS = tuple(fault for fault in Fault if fault is not Fault.STALE)
READ_FAULTS = (Fault.LOST, Fault.STALE, Fault.DENIED, Fault.CRASHED)


@dataclass(frozen=True)
class Flying:
    """A PUT that left its writer and has not arrived."""

    version: int
    data: bytes


@dataclass
class Writer:
    """One machine, and what is known of it."""

    intent: Intent
    machine: CommitMachine
    crashed: bool = False
    sent: dict[int, bytes] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        return not self.crashed and self.machine.request is not None


class World:
    """A log, its writers, and what is on its way between them.

    Args:
        intents: One writer each.
        budget: Of every writer.
        moment: When they start.
    """

    def __init__(self, intents: Sequence[Intent], budget: Budget, moment: Moment) -> None:
        self.objects: dict[int, bytes] = {}
        if all(intent.base_version != NO_TABLE for intent in intents):
            self.objects[0] = FIRST_ENTRY
        self.flying: list[Flying] = []
        self.budget = budget
        self.writers: list[Writer] = []
        for intent in intents:
            self.start(intent, moment)

    def start(self, intent: Intent, moment: Moment) -> Writer:
        """Let one more writer begin."""
        writer = Writer(intent, CommitMachine(intent, self.budget, moment))
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

    def land(self, flying: Flying) -> bool:
        """A held-back PUT arrives; whether its condition held."""
        self.flying.remove(flying)
        return self._put(flying.version, flying.data)

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
                same = writer.sent.setdefault(version, data)
                assert same == data, f"{writer.intent.commit_id} sent other bytes to {version}"
                assert len(self.objects) >= version, f"{version} was sent before the one below"
                info = decode_once(data, version).commit_info or {}
                assert info.get("readVersion", NO_TABLE) == version - 1, (
                    f"the entry sent to {version} says that it read version {info['readVersion']}"
                )
                return self._create(version, data, fault)
            case ReadEntries(first, count):
                return self._read(first, count, fault)
            case Wait():
                return Waited()
        raise AssertionError("a writer without a request was scheduled")

    def _create(self, version: int, data: bytes, fault: Fault | None) -> Event:
        if fault in _EXECUTED:
            first = self._put(version, data)
            again = fault is Fault.REPEATED and self._put(version, data)
            created = again if fault is Fault.REPEATED else first
        if fault in _STILL_FLYING:
            self.flying.append(Flying(version, data))
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
    places = {
        writer.intent.commit_id: [e.version for e in log if e.holds(writer.intent.commit_id)]
        for writer in world.writers
    }
    for writer in world.writers:
        _check_outcome(writer, places[writer.intent.commit_id], log)
        assert writer.machine.progress.sends <= world.budget.attempts, "too many attempts"
    intents = [writer.intent for writer in world.writers]
    done = Counter(i.txn for i in intents if i.txn is not None and places[i.commit_id])
    assert all(times == 1 for times in done.values()), f"a transaction was done twice: {done}"
    check_serial(log, intents)


def _check_outcome(writer: Writer, versions: list[int], log: list[Entry]) -> None:
    name, outcome = writer.intent.commit_id, writer.machine.outcome
    assert len(versions) <= 1, f"{name} is in the log at {versions}"
    match outcome:
        case Committed(version):
            assert versions == [version], f"{name}: {outcome}, but the log has it at {versions}"
        case Unknown(version):
            assert versions in ([], [version]), f"{name}: {outcome}, but it is at {versions}"
        case None:
            assert writer.crashed, f"{name} has no outcome"
        case _:
            assert not versions, f"{name}: {outcome}, but the log has it at {versions}"
    if isinstance(outcome, AlreadyCommitted):
        assert writer.intent.txn is not None
        app, number = writer.intent.txn
        txns = log[outcome.version].txns
        assert any(t.app_id == app and t.version >= number for t in txns), f"{name}: {outcome}"
