"""The transition table as a whole: all event sequences up to a depth, against what it declares."""

from collections import defaultdict
from functools import cache
from typing import get_args

import pytest

from atomic_manifest.commit import progress
from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Budget,
    Committed,
    Conflicted,
    CreateEntry,
    Creating,
    EntriesRead,
    EntryConflict409,
    EntryCorrupt,
    EntryCreated,
    EntryRefused,
    EntryThrottled,
    Failed,
    Following,
    Gathering,
    GaveUp,
    IntentPosted,
    IntentsListed,
    IntentsRead,
    Listing,
    ListIntents,
    Looking,
    Moment,
    OutOfOrder,
    Pausing,
    Polling,
    Posting,
    PostIntent,
    ReadEntries,
    ReadIntents,
    Rejected,
    Unanswered,
    Unknown,
    Wait,
    Waited,
    Working,
)
from atomic_manifest.commit.posted import FOLDER
from atomic_manifest.commit.progress import Memory
from atomic_manifest.commit.protocol import TRANSITIONS, CommitMachine
from atomic_manifest.errors import CorruptLog, StorePermissionDenied
from atomic_manifest.log.actions import Txn
from atomic_manifest.log.entry import CommitRecord, Entry
from atomic_manifest.testing.model.tree import explore
from atomic_manifest.testing.model.world import copied, copied_machine
from tests.commit.actions import add, intent, remove

DEPTH = 5
OLDER = f"{FOLDER}/{4:020}-elder.json"
YOUNGER = f"{FOLDER}/{99:020}-younger.json"
YOUNGEST = f"{FOLDER}/{99:020}-youngest.json"
LATER = Moment(6.0, 0, 0.0)
"""After the end of a follower's patience."""
LATE = Moment(1e6, 0, 0.0)
"""After the end of every budget."""
OUTCOMES = {Committed, AlreadyCommitted, OutOfOrder, Conflicted, GaveUp, Rejected, Unknown}
INTENT = intent(Txn(app_id="x", version=1), remove("a"), txn=("x", 1))


def events(machine):
    """What can be reported to the machine in its state."""
    match machine.request:
        case CreateEntry():
            yield from (EntryCreated(), EntryRefused(), EntryConflict409(), EntryThrottled())
        case PostIntent():
            yield IntentPosted()
        case ListIntents():
            own = machine.progress.own.key
            younger = (own, YOUNGER, YOUNGEST)
            yield from map(IntentsListed, [(), (own,), (OLDER, own), younger])
        case ReadIntents(keys):
            yield IntentsRead({})
            yield IntentsRead(dict.fromkeys(keys, b"no intent"))
            return
        case Wait():
            yield Waited()
            return
        case ReadEntries():
            yield from map(EntriesRead, _readable(machine.request))
            yield EntryCorrupt(CorruptLog("bad", path="entry", version=5))
    yield Unanswered()
    yield Failed(StorePermissionDenied("denied", path="entry"))


def _readable(asked: ReadEntries):
    first = asked.first
    yield ()
    yield (Entry(first),)
    yield tuple(Entry(first + i, adds=(add(f"{i}"),)) for i in range(asked.count))
    yield (INTENT.as_entry(first),)
    yield (Entry(first, txns=(Txn(app_id="x", version=1),)),)
    yield (Entry(first, txns=(Txn(app_id="x", version=2),)),)
    yield (Entry(first, removes=(remove("a"),)),)
    yield (Entry(first, revoked=frozenset({INTENT.commit_id})),)
    yield (Entry(first, table="another"),)
    yield (Entry(first, commits=(CommitRecord("elder", "WRITE"),)),)


@cache
def reached():
    """(state, event) to the states that it led to, over all sequences of events."""
    found = {}
    for lifetime, led_losses in ((1, 4), (64, 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(progress, "LIFETIME", lifetime)
            patch.setattr(progress, "_LED_LOSSES", led_losses)
            patch.setattr(progress, "GATHER_LIMIT", 1)
            _explore_into(found)
    return found


class Told:
    """A machine that is told every sequence of events; `found` is shared by all copies."""

    def __init__(self, found, memory):
        self.moment = Moment(0.0, 0, 0.0)
        self.machine = CommitMachine(INTENT, Budget(attempts=2), self.moment, memory)
        self.depth = 0
        self.found = found

    def ways(self):
        if self.depth == DEPTH or self.machine.outcome is not None:
            return []
        later = [LATER] if isinstance(self.machine.state, Polling) else []
        moments = [LATE] if self.moment is LATE else [self.moment, LATE, *later]
        return [(event, moment) for event in events(self.machine) for moment in moments]

    def options(self):
        return len(self.ways())

    def take(self, option):
        event, self.moment = self.ways()[option]
        before = type(self.machine.state)
        self.machine.handle(event, self.moment)
        self.found.setdefault((before, type(event)), set()).add(type(self.machine.state))
        self.depth += 1

    def copy(self):
        new = copied(self)
        new.machine, new.found = copied_machine(self.machine), self.found
        return new

    def finish(self):
        return True


def _explore_into(found):
    explore(lambda: Told(found, Memory()))
    explore(lambda: Told(found, Memory(contended=True)))


def test_every_declared_state_is_reached_and_no_other():
    assert reached() == {key: set(row.leads_to) for key, row in TRANSITIONS.items()}


def test_every_outcome_is_reached_and_takes_no_event():
    assert set().union(*reached().values()) == OUTCOMES | set(get_args(Working))
    assert not OUTCOMES & {state for state, _ in TRANSITIONS}


def test_a_state_takes_only_what_its_request_can_lead_to():
    taken = defaultdict(set)
    for state, event in TRANSITIONS:
        taken[state].add(event)
    trouble = {Unanswered, Failed}
    assert taken == {
        Creating: {EntryCreated, EntryRefused, EntryConflict409, EntryThrottled} | trouble,
        Looking: {EntriesRead, EntryCorrupt} | trouble,
        Pausing: {Waited},
        Posting: {IntentPosted} | trouble,
        Listing: {IntentsListed} | trouble,
        Gathering: {IntentsRead},
        Following: {Waited},
        Polling: {EntriesRead, EntryCorrupt} | trouble,
    }
