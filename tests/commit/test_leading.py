"""A leader that loses tries again with what it has gathered; one that keeps losing looks again."""

from atomic_manifest.commit.messages import (
    Budget,
    CreateEntry,
    EntriesRead,
    EntryRefused,
    IntentPosted,
    IntentsListed,
    ListIntents,
    Moment,
    ReadEntries,
)
from atomic_manifest.commit.progress import Memory
from atomic_manifest.commit.protocol import CommitMachine
from atomic_manifest.log.entry import Entry
from tests.commit.actions import add, intent

NOW = Moment(0.0, 0, 0.0)


def leading() -> CommitMachine:
    machine = CommitMachine(intent(add("mine")), Budget(), NOW, Memory(contended=True))
    machine.handle(IntentPosted(), NOW)
    machine.handle(IntentsListed((machine.progress.own.key,)), NOW)
    assert isinstance(machine.request, CreateEntry)
    return machine


def lose(machine: CommitMachine) -> None:
    machine.handle(EntryRefused(), NOW)
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
