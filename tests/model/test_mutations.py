"""The explorer finds every rule of the protocol that is broken on purpose.

A proof by exploration is worth what it would have found. Each test breaks one rule and names what the
explorer has to say; the same explorer passes on the rules as they are (`test_exhaustive`).
"""

import dataclasses
from collections.abc import Callable

import pytest

from atomic_manifest.commit import conflicts, protocol
from atomic_manifest.commit.intent import Isolation
from atomic_manifest.commit.protocol import (
    TRANSITIONS,
    AlreadyCommitted,
    Committed,
    Conflicted,
    CreateEntry,
    Creating,
    EntriesRead,
    EntryConflict409,
    EntryRefused,
    EntryThrottled,
    Failed,
    GaveUp,
    Looking,
    Pausing,
    Progress,
    Rejected,
    Transition,
    Unanswered,
    Unknown,
)
from tests.model import table
from tests.model.choices import CounterexampleError, explore
from tests.model.exhaustive import schedule

ANY_STATE = frozenset(
    {
        Creating,
        Looking,
        Pausing,
        Committed,
        AlreadyCommitted,
        Conflicted,
        GaveUp,
        Rejected,
        Unknown,
    }
)
TXN = ("loader", 7)
APPENDS = (table.append("A"), table.append("B"))
ONE_TRANSACTION = (table.append("A", txn=TXN), table.append("B", txn=TXN))


def assert_found(why, intents=APPENDS, *, attempts=2):
    with pytest.raises(CounterexampleError, match=why):
        explore(schedule(intents, faults=2, attempts=attempts))


@pytest.fixture
def break_row(monkeypatch) -> Callable[..., None]:
    """Replace the handler of one row of the transition table."""

    def replace(state, event, handler):
        monkeypatch.setitem(TRANSITIONS, (state, event), Transition(handler, ANY_STATE))

    return replace


@pytest.fixture
def break_progress(monkeypatch) -> Callable[..., None]:
    """Replace one method of what the machine remembers."""

    def replace(name, method):
        monkeypatch.setattr(Progress, name, method)

    return replace


# --- who holds the version ------------------------------------------------------------------------


def pass_by(*checks):
    """`Progress.pass_by` with only these checks, in this order."""

    def mutated(progress, entries):
        for entry in entries:
            progress.in_doubt = False
            progress.winners.append(entry)
            for check in checks:
                if (outcome := check(progress.intent, entry)) is not None:
                    return outcome
            progress.version = entry.version + 1
            progress.data = b""
        return None

    return mutated


def own(intent, entry):
    return Committed(entry.version) if entry.holds(intent.commit_id) else None


def repeated(intent, entry):
    return AlreadyCommitted(entry.version) if conflicts.repeats_txn(intent, entry) else None


def conflicting(intent, entry):
    found = conflicts.check(intent, entry)
    return Conflicted(entry.version, found) if found else None


def test_the_unbroken_checks_pass(break_progress):
    break_progress("pass_by", pass_by(own, repeated, conflicting))
    explore(schedule(APPENDS, faults=1))


def test_taking_412_for_a_loss_without_looking_for_the_own_id_is_found(break_progress):
    break_progress("pass_by", pass_by(repeated, conflicting))
    assert_found(r"is in the log at \[\d, \d\]", attempts=4)


def test_skipping_the_conflict_check_is_found(break_progress):
    break_progress("pass_by", pass_by(own, repeated))
    assert_found("B at 2 removed", (table.drop_file("A"), table.drop_file("B")))


def test_skipping_the_transaction_check_is_found(break_progress):
    break_progress("pass_by", pass_by(own, conflicting))
    assert_found("a transaction was done twice", ONE_TRANSACTION)


def test_looking_for_the_transaction_before_the_own_id_is_found(break_progress):
    break_progress("pass_by", pass_by(repeated, own, conflicting))
    assert_found(r"AlreadyCommitted\(version=1\), but the log has it at \[1\]", ONE_TRANSACTION)


def test_moving_on_after_an_unanswered_put_and_a_404_is_found(break_row):
    original = TRANSITIONS[Looking, EntriesRead].handler

    def handler(progress, state, event):
        if progress.in_doubt and not event.entries:
            progress.version += 1
            progress.data = b""
            progress.in_doubt = False
            return Creating()
        return original(progress, state, event)

    break_row(Looking, EntriesRead, handler)
    assert_found(r"\d was sent before the one below")


def test_taking_an_unanswered_put_for_a_success_is_found(break_row):
    break_row(Creating, Unanswered, lambda progress, _s, _e: Committed(progress.version))
    assert_found(r"Committed\(version=\d\), but the log has it at \[\]")


def test_taking_an_unanswered_put_for_a_failure_is_found(break_row):
    break_row(Creating, Unanswered, lambda _p, _s, event: Rejected(event.cause))
    assert_found(r"Rejected\(cause=None\), but the log has it at \[\d\]")


def test_taking_a_404_for_proof_that_nothing_landed_is_found(break_progress):
    break_progress("stop", lambda _progress: GaveUp())
    assert_found(r"GaveUp\(\), but the log has it at \[\d\]")


# --- what is sent ---------------------------------------------------------------------------------


def test_a_new_commit_id_for_every_version_is_found(break_progress):
    original = Progress.send

    def send(progress):
        name = progress.intent.commit_id
        if not progress.data and progress.sends:
            progress.intent = dataclasses.replace(progress.intent, commit_id=f"{name}'")
        return original(progress)

    break_progress("send", send)
    assert_found("but the log has it at")


def test_rendering_again_for_the_same_version_is_found(break_progress):
    original = Progress.send

    def send(progress):
        progress.data = b""
        return original(progress)

    break_progress("send", send)
    assert_found("sent other bytes to 1")


def test_resending_old_bytes_to_a_new_version_is_found(break_progress):
    original = Progress.send

    def send(progress):
        if not hasattr(progress, "first"):
            progress.first = original(progress).data
            return CreateEntry(progress.version, progress.first)
        progress.sends += 1
        return CreateEntry(progress.version, progress.first)

    break_progress("send", send)
    assert_found("says that it read version")


# --- answers that prove less than they seem to ----------------------------------------------------


@pytest.mark.parametrize(
    ("event", "then"), [(EntryConflict409, Creating()), (EntryThrottled, Looking())]
)
def test_taking_409_or_429_for_proof_that_nothing_lands_is_found(break_row, event, then):
    break_row(Creating, event, lambda progress, _state, _event: progress.pause(then))
    assert_found(r"(GaveUp\(\)|Rejected\(.*\)), but the log has it at")


def test_forgetting_the_doubt_of_a_412_is_found(break_row):
    break_row(Creating, EntryRefused, lambda _progress, _state, _event: Looking())
    assert_found(r"(GaveUp\(\)|Rejected\(.*\)), but the log has it at \[\d\]")


@pytest.mark.parametrize("state", [Creating, Looking])
def test_taking_a_denial_for_certain_after_an_open_attempt_is_found(break_row, state):
    break_row(state, Failed, lambda _progress, _state, event: Rejected(event.cause))
    assert_found(r"Rejected\(.*\), but the log has it at \[\d\]")


# --- the conflict rules ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "intents", "why"),
    [
        (
            "_table_created",
            (table.create("A"), table.create("B")),
            "created a table that existed",
        ),
        (
            "_metadata_changed",
            (table.change_schema("A"), table.append("B")),
            "B at 2 was written for another schema",
        ),
        ("_deletes_the_same", (table.drop_file("A"), table.compact("B")), "at 2 removed"),
        (
            "_deleted_what_was_read",
            (table.drop_file("A"), table.delete("B", "b")),
            "B at 2 read",
        ),
        (
            "_added_where_was_read",
            (table.overwrite_partition("A"), table.append("B")),
            "A at 2 read",
        ),
    ],
)
def test_a_conflict_rule_left_out_is_found(monkeypatch, rule, intents, why):
    monkeypatch.setattr(conflicts, rule, lambda _intent, _entry: iter(()))
    assert_found(why, intents)


def test_write_serializable_for_everybody_is_found(monkeypatch):
    relaxed = lambda intent, entry: conflicts.check(  # noqa: E731
        dataclasses.replace(intent, isolation=Isolation.WRITE_SERIALIZABLE), entry
    )
    monkeypatch.setattr(protocol, "check", relaxed)
    assert_found("A at 2 read", (table.overwrite_partition("A"), table.append("B")))
