"""The transition table as a whole: all event sequences up to a depth, against what it declares."""

from collections import defaultdict
from functools import cache

from atomic_manifest.commit.protocol import (
    TRANSITIONS,
    AlreadyCommitted,
    Budget,
    CommitMachine,
    Committed,
    Conflicted,
    Creating,
    EntriesRead,
    EntryConflict409,
    EntryCorrupt,
    EntryCreated,
    EntryRefused,
    EntryThrottled,
    Failed,
    GaveUp,
    Looking,
    Moment,
    Pausing,
    ReadEntries,
    Rejected,
    Unanswered,
    Unknown,
    Waited,
)
from atomic_manifest.errors import CorruptLog, StorePermissionDenied
from atomic_manifest.log.actions import Txn
from atomic_manifest.log.entry import Entry
from tests.commit.actions import add, intent, remove
from tests.model.choices import Choices, explore

DEPTH = 5
LATE = Moment(1e6, 0, 0.0)
"""After the end of every budget."""
OUTCOMES = {Committed, AlreadyCommitted, Conflicted, GaveUp, Rejected, Unknown}
INTENT = intent(Txn(app_id="x", version=1), remove("a"), txn=("x", 1))


def events(machine):
    """What can be reported to the machine in its state."""
    if isinstance(machine.state, Creating):
        yield from (EntryCreated(), EntryRefused(), EntryConflict409(), EntryThrottled())
    elif isinstance(machine.state, Pausing):
        yield Waited()
        return
    else:
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
    yield (Entry(first, removes=(remove("a"),)),)


@cache
def reached():
    """(state, event) to the states that it led to, over all sequences of events."""
    found = defaultdict(set)

    def run(choices: Choices) -> None:
        moment = Moment(0.0, 0, 0.0)
        machine = CommitMachine(INTENT, Budget(attempts=2), moment)
        for _ in range(DEPTH):
            if machine.outcome is not None:
                break
            possible = list(events(machine))
            event = possible[choices.choose(len(possible))]
            if moment is not LATE and choices.choose(2):
                moment = LATE
            before = type(machine.state)
            machine.handle(event, moment)
            found[before, type(event)].add(type(machine.state))

    explore(run)
    return dict(found)


def test_every_declared_state_is_reached_and_no_other():
    assert reached() == {key: set(row.leads_to) for key, row in TRANSITIONS.items()}


def test_every_outcome_is_reached_and_takes_no_event():
    assert set().union(*reached().values()) == OUTCOMES | {Creating, Looking, Pausing}
    assert not OUTCOMES & {state for state, _ in TRANSITIONS}


def test_a_state_takes_only_what_its_request_can_lead_to():
    taken = defaultdict(set)
    for state, event in TRANSITIONS:
        taken[state].add(event)
    of_any_request = {Unanswered, Failed}
    assert taken == {
        Creating: {EntryCreated, EntryRefused, EntryConflict409, EntryThrottled} | of_any_request,
        Looking: {EntriesRead, EntryCorrupt} | of_any_request,
        Pausing: {Waited},
    }
