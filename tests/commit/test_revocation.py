"""Giving up for good: commits that an entry revokes."""

import dataclasses

from atomic_manifest.commit.combine import render_revocation
from atomic_manifest.commit.driver import run
from atomic_manifest.commit.messages import (
    Budget,
    CreateEntry,
    EntriesRead,
    EntryRefused,
    GaveUp,
    Moment,
    Unknown,
)
from atomic_manifest.commit.protocol import CommitMachine
from atomic_manifest.log.entry import CommitRecord, Entry, entry_path
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import FakeEnv
from tests.commit.actions import add, intent

NOW = Moment(0.0, 0, 0.5)


def test_a_revocation_that_loses_every_race_proves_nothing():
    machine = CommitMachine(intent(), Budget(), NOW, revoke=True)
    while machine.outcome is None:
        request = machine.request
        if isinstance(request, CreateEntry):
            machine.handle(EntryRefused(), NOW)
        else:
            machine.handle(EntriesRead((Entry(request.first),)), NOW)
    assert isinstance(machine.outcome, Unknown)


def test_a_merged_commit_of_which_one_member_was_revoked_is_given_up_as_a_whole():
    memory = MemoryDriver()
    memory.put(entry_path(5), render_revocation(["second"], 5, 0))
    members = tuple(CommitRecord(name, "WRITE") for name in ("mine", "second"))
    merged = dataclasses.replace(intent(add()), members=members)
    assert run(merged, memory, FakeEnv(), Budget()).outcome == GaveUp()
    assert len(list(memory.list("_delta_log"))) == 1
