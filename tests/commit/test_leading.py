"""Who leads, and what a leader does that loses: it tries again, and after some losses looks again."""

import pytest

from atomic_manifest.commit.messages import (
    Budget,
    CreateEntry,
    EntriesRead,
    EntryRefused,
    Following,
    IntentPosted,
    IntentsListed,
    ListIntents,
    Looking,
    Moment,
    Pausing,
    ReadEntries,
    Wait,
    Waited,
)
from atomic_manifest.commit.posted import FOLDER
from atomic_manifest.commit.progress import Memory
from atomic_manifest.commit.protocol import CommitMachine
from atomic_manifest.log.entry import CommitRecord, Entry
from tests.commit.actions import add, intent

BEFORE = Moment(-1.0, 0, 0.0)
NOW = Moment(0.0, 0, 0.0)
CONTENDED = Memory(contended=True, unit_seconds=1.0)


def posted() -> CommitMachine:
    """It took a second; the patience with leaders ends after five, or twelve looks."""
    machine = CommitMachine(intent(add("mine")), Budget(), BEFORE, CONTENDED)
    machine.handle(IntentPosted(), NOW)
    return machine


def key(base: int, commit_id: str) -> str:
    return f"{FOLDER}/{base:020}-{commit_id}.json"


def leading() -> CommitMachine:
    machine = posted()
    machine.handle(IntentsListed((machine.progress.own.key,)), NOW)
    assert isinstance(machine.request, CreateEntry)
    return machine


def lose(machine: CommitMachine) -> None:
    machine.handle(EntryRefused(), NOW)
    if isinstance(machine.request, Wait):
        machine.handle(Waited(), NOW)
    assert isinstance(machine.request, ReadEntries)
    machine.handle(EntriesRead((Entry(machine.request.first),)), NOW)


def test_a_leader_that_loses_to_a_writer_that_knows_of_nobody_tries_again_at_once():
    machine = leading()
    version = machine.request.version
    lose(machine)
    assert isinstance(machine.request, CreateEntry)
    assert machine.request.version == version + 1


def test_a_leader_that_keeps_losing_looks_who_waits_by_now():
    machine = leading()
    seen = []
    for _ in range(4):
        lose(machine)
        seen.append(type(machine.request))
    assert seen == [CreateEntry, CreateEntry, CreateEntry, ListIntents]


def test_a_leader_that_loses_again_looks_at_another_time_than_right_after_the_winner():
    machine = leading()
    lose(machine)
    later = Moment(0.5, 0, 0.5)
    machine.handle(EntryRefused(), later)
    assert machine.state == Pausing(0.25, Looking(4))


def test_nobody_waits_for_an_older_intent_of_its_own():
    machine = posted()
    machine.handle(IntentsListed((key(2, "mine"), machine.progress.own.key)), NOW)
    assert not isinstance(machine.state, Following)


def test_nobody_waits_for_an_intent_whose_writer_has_posted_a_newer_one():
    machine = posted()
    mine = machine.progress.own.key
    machine.handle(IntentsListed((key(2, "other"), mine, key(9, "other"))), NOW)
    assert not isinstance(machine.state, Following)


def test_two_writers_that_combined_race_again_and_more_go_on_combining():
    for others, contended in ((1, False), (2, True)):
        machine = posted()
        keys = (machine.progress.own.key, *(key(9, f"other-{n}") for n in range(others)))
        machine.handle(IntentsListed(keys), NOW)
        assert machine.progress.memory().contended is contended


def following() -> CommitMachine:
    machine = posted()
    machine.handle(IntentsListed((key(2, "leader"), machine.progress.own.key)), NOW)
    assert isinstance(machine.state, Following)
    return machine


def test_a_follower_that_is_behind_catches_up_without_a_pause():
    machine = following()
    machine.handle(Waited(), NOW)
    counts = []
    for _ in range(4):
        request = machine.request
        counts.append(request.count)
        found = tuple(Entry(request.first + n) for n in range(request.count))
        machine.handle(EntriesRead(found), NOW)
    assert counts == [1, 1, 2, 4]
    machine.handle(EntriesRead(()), NOW)
    assert isinstance(machine.state, Following)
    assert machine.progress.version == 5 + 8


def test_entries_of_others_do_not_renew_the_patience_with_a_leader_that_is_late():
    machine = following()
    for second in range(2):
        late = Moment(float(second), 0, 0.0)
        machine.handle(Waited(), late)
        machine.handle(EntriesRead((Entry(machine.request.first),)), late)
        machine.handle(EntriesRead(()), late)
        assert isinstance(machine.state, Following)
        assert machine.progress.version == 6 + second
    machine.handle(Waited(), Moment(5.5, 0, 0.0))
    machine.handle(EntriesRead((Entry(machine.request.first),)), Moment(5.5, 0, 0.0))
    machine.handle(EntriesRead(()), Moment(5.5, 0, 0.0))
    assert isinstance(machine.request, ListIntents)


@pytest.mark.parametrize(
    ("unit", "apart", "looks"),
    [(0.01, 0.3, 12), (0.01, 0.001, 121), (0.1, 0.05, 25), (0.01, 1.5, 4)],
    ids=["late looks", "quick looks", "even looks", "looks that are very late"],
)
def test_patience_ends_after_twelve_looks_and_twelve_units_or_five_seconds(unit, apart, looks):
    memory = Memory(contended=True, unit_seconds=unit)
    machine = CommitMachine(intent(add("mine")), Budget(), Moment(-unit, 0, 0.0), memory)
    machine.handle(IntentPosted(), NOW)
    machine.handle(IntentsListed((key(2, "leader"), machine.progress.own.key)), NOW)
    taken = 0
    while isinstance(machine.state, Following):
        taken += 1
        moment = Moment(taken * apart, 0, 0.0)
        machine.handle(Waited(), moment)
        machine.handle(EntriesRead(()), moment)
    assert taken == looks
    assert isinstance(machine.request, ListIntents)


def test_an_entry_of_the_leader_renews_the_patience_with_those_that_come_next():
    machine = posted()
    keys = (key(1, "first"), key(2, "second"), machine.progress.own.key)
    machine.handle(IntentsListed(keys), NOW)
    late = Moment(4.9, 0, 0.0)
    machine.handle(Waited(), late)
    led = Entry(5, commits=(CommitRecord("first", "WRITE"),))
    machine.handle(EntriesRead((led,)), late)
    machine.handle(EntriesRead(()), late)
    later = Moment(9.8, 0, 0.0)
    machine.handle(Waited(), later)
    machine.handle(EntriesRead(()), later)
    assert isinstance(machine.state, Following)
