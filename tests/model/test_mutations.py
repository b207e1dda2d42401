"""The explorer finds every rule of the protocol that is broken on purpose.

A proof by exploration is worth what it would have found. Each test breaks one rule and names what the
explorer has to say; the same explorer passes on the rules as they are (`test_schedules`).
"""

import dataclasses
import re
from collections.abc import Callable
from typing import get_args

import pytest

from atomic_manifest.commit import combine, conflicts, gathering, progress, protocol
from atomic_manifest.commit.intent import Isolation
from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Committed,
    Conflicted,
    CreateEntry,
    Creating,
    EntriesRead,
    EntryConflict409,
    EntryCorrupt,
    EntryRefused,
    EntryThrottled,
    Failed,
    GaveUp,
    Looking,
    Outcome,
    OutOfOrder,
    Polling,
    Rejected,
    Unanswered,
    Working,
)
from atomic_manifest.commit.progress import Progress
from atomic_manifest.commit.protocol import TRANSITIONS, Transition
from atomic_manifest.log.entry import decode, seal
from atomic_manifest.testing.model import table
from atomic_manifest.testing.model.cases import CONTENDED
from atomic_manifest.testing.model.schedules import Case
from atomic_manifest.testing.model.tree import CounterexampleError

ANY_STATE = frozenset((*get_args(Working), *get_args(Outcome)))
TXN = ("loader", 7)
APPENDS = (table.append("A"), table.append("B"))
ONE_TRANSACTION = (table.append("A", txn=TXN), table.append("B", txn=TXN))
TWO_OF_ONE_APPLICATION = (table.append("A", txn=TXN), table.append("B", txn=("loader", 6)))


def assert_found(why, intents=APPENDS, *, attempts=2, faults=2, **options):
    with pytest.raises(CounterexampleError, match=why):
        Case("broken", intents, faults=faults, attempts=attempts, **options).explore()


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
            found = (check(progress._intent, entry) for check in checks)
            outcome = next((o for o in found if o is not None), None)
            if isinstance(outcome, Committed | GaveUp):
                progress.final = entry
                return outcome
            progress.in_doubt = False
            progress.entries.append(entry)
            progress.version = entry.version + 1
            progress.data = b""
            if outcome is not None:
                return outcome
        return None

    return mutated


def own(intent, entry):
    return Committed(entry.version) if entry.holds(intent.commit_id) else None


def revoked(intent, entry):
    return GaveUp() if intent.commit_id in entry.revoked else None


def repeated(intent, entry):
    return AlreadyCommitted(entry.version) if conflicts.repeats_txn(intent, entry) else None


def overtaken(intent, entry):
    found = conflicts.overtaken_txn(intent, entry)
    return OutOfOrder(entry.version, found) if found else None


def repeated_or_later(intent, entry):
    late = conflicts.overtaken_txn(intent, entry)
    return AlreadyCommitted(entry.version) if late else repeated(intent, entry)


def conflicting(intent, entry):
    found = conflicts.check(intent, entry)
    return Conflicted(entry.version, found) if found else None


def test_the_unbroken_checks_pass(break_progress):
    break_progress("pass_by", pass_by(own, repeated, conflicting))
    assert Case("unbroken", APPENDS).explore() > 100


def test_taking_412_for_a_loss_without_looking_for_the_own_id_is_found(break_progress):
    break_progress("pass_by", pass_by(repeated, conflicting))
    assert_found(r"is in the log \d times", attempts=4)


@pytest.fixture
def any_combination(monkeypatch):
    """`combine` does not stand in for what `pass_by` leaves out."""
    monkeypatch.setattr(combine, "_fate", lambda *_: combine._Fate.ELIGIBLE)


@pytest.mark.usefixtures("any_combination")
def test_skipping_the_conflict_check_is_found(break_progress):
    break_progress("pass_by", pass_by(own, repeated))
    assert_found("B at 2 removed", (table.drop_file("A"), table.drop_file("B")))


@pytest.mark.usefixtures("any_combination")
def test_skipping_the_transaction_check_is_found(break_progress):
    break_progress("pass_by", pass_by(own, conflicting))
    assert_found("a transaction was done twice", ONE_TRANSACTION)


@pytest.mark.usefixtures("any_combination")
def test_skipping_the_check_of_the_order_is_found(break_progress):
    break_progress("pass_by", pass_by(own, repeated, conflicting))
    assert_found("records 6 of loader after 7", TWO_OF_ONE_APPLICATION)


def test_taking_a_later_transaction_for_the_same_is_found(break_progress):
    break_progress("pass_by", pass_by(own, repeated_or_later, conflicting))
    assert_found(r"AlreadyCommitted\(version=1\), but that is not", TWO_OF_ONE_APPLICATION)


def test_taking_the_same_transaction_for_a_later_is_found(break_progress):
    def out_of_order(intent, entry):
        found = conflicts.Overtaken("loader", 7, 7)
        return OutOfOrder(entry.version, found) if conflicts.repeats_txn(intent, entry) else None

    break_progress("pass_by", pass_by(own, out_of_order, conflicting))
    assert_found(r"OutOfOrder\(.*\), but that is not", ONE_TRANSACTION)


def test_a_writer_that_missed_a_conflict_is_stopped_by_combine(break_progress):
    break_progress("pass_by", pass_by(own, repeated))
    assert_found("own commit is not in the entry", (table.drop_file("A"), table.drop_file("B")))


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
    break_progress("uncertain", property(lambda _progress: False))
    assert_found(r"GaveUp\(\), but the log has it at \[\d\]")


# --- what is sent ---------------------------------------------------------------------------------


def test_a_new_commit_id_for_every_version_is_found(break_progress):
    original = Progress.send

    def send(progress):
        intent = progress.own.intent
        if not progress.data and progress.sends:
            renamed = dataclasses.replace(intent, commit_id=f"{intent.commit_id}'")
            progress.own = dataclasses.replace(progress.own, intent=renamed)
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
            data = original(progress).data
            progress.first = re.sub(rb',"atomicManifestCrc32":\d+', b"", data)
        else:
            progress.sends += 1
        # Sealed for its version, or the seal would show it.
        return CreateEntry(progress.version, seal(progress.first, progress.version))

    break_progress("send", send)
    assert_found("says that it read version")


# --- answers that prove less than they seem to ----------------------------------------------------


@pytest.mark.parametrize(
    ("event", "then"), [(EntryConflict409, Creating()), (EntryThrottled, Looking())]
)
def test_taking_409_or_429_for_proof_that_nothing_lands_is_found(break_row, event, then):
    break_row(Creating, event, lambda progress, _state, _event: protocol._pause(progress, then))
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
        (
            "_added_where_was_read",
            (table.delete_ids("A", "<", 5, "a"), table.append_id("B", 3)),
            "A at 2 read",
        ),
    ],
)
def test_a_conflict_rule_left_out_is_found(monkeypatch, rule, intents, why):
    monkeypatch.setattr(conflicts, rule, lambda _intent, _entry: iter(()))
    assert_found(why, intents)


def test_statistics_that_are_taken_for_the_rows_of_another_file_are_found(monkeypatch):
    monkeypatch.setattr(conflicts, "may_match", lambda _predicate, _facts: False)
    assert_found("A at 2 read", (table.delete_ids("A", "<", 5, "a"), table.append_id("B", 3)))


def test_write_serializable_for_everybody_is_found(monkeypatch):
    def relaxed(intent, entry):
        lower = dataclasses.replace(intent, isolation=Isolation.WRITE_SERIALIZABLE)
        return conflicts.check(lower, entry)

    monkeypatch.setattr(progress, "check", relaxed)
    monkeypatch.setattr(combine, "check", relaxed)
    assert_found("A at 2 read", (table.overwrite_partition("A"), table.append("B")))


# --- committing for others ------------------------------------------------------------------------

BOTH = (CONTENDED, CONTENDED)
DELETES = (table.delete("A"), table.delete("B"))


def test_the_unbroken_combination_passes():
    assert Case("unbroken", DELETES, attempts=1, memories=BOTH, looks=3).explore() > 500


def test_combining_without_looking_at_the_entries_is_found(monkeypatch):
    monkeypatch.setattr(combine, "_fate", lambda *_: combine._Fate.ELIGIBLE)
    assert_found(r"is in the log 2 times|but the log has it", memories=BOTH, faults=1)


def test_including_what_is_in_the_log_already_is_found(monkeypatch):
    original = combine.combine

    def mutated(candidates, entries, version):
        anonymous = [dataclasses.replace(entry, commits=()) for entry in entries]
        return original(candidates, anonymous, version)

    monkeypatch.setattr(progress, "combine", mutated)
    assert_found(r"is in the log 2 times", memories=BOTH, faults=1)


def test_a_leader_that_does_not_share_the_owners_verdict_is_found(monkeypatch):
    monkeypatch.setattr(combine, "check", lambda _intent, _entry: ())
    assert_found(
        r"Conflicted.*but the log has it at|at \d removed", DELETES, memories=BOTH, faults=1
    )


def test_a_verdict_that_is_not_monotone_is_found(monkeypatch):
    def forgetful(intent, entry):
        """Only the entry right after the base can conflict."""
        return conflicts.check(intent, entry) if entry.version == 1 else ()

    monkeypatch.setattr(progress, "check", forgetful)
    monkeypatch.setattr(combine, "check", forgetful)
    assert_found(
        r"at 2 removed|at 3 removed", (table.append("C", "2"), *DELETES), faults=0, attempts=3
    )


def test_two_conflicting_intents_in_one_entry_are_found(monkeypatch):
    monkeypatch.setattr(combine._Shared, "_may_follow", lambda _shared, _intent: True)
    readers = (table.delete("A", "a"), table.delete("B", "b"))
    assert_found(r"(A|B) at 1 read", readers, memories=BOTH, faults=0)


def test_giving_up_a_posted_intent_without_revoking_it_is_found(monkeypatch):
    def forget(progress):
        progress.posted = False
        return False

    monkeypatch.setattr(progress.Progress, "must_revoke", forget)
    assert_found(r"GaveUp\(\), but the log has it at", memories=BOTH, faults=1, attempts=1, looks=1)


def test_including_a_revoked_intent_is_found(monkeypatch):
    original = combine.combine

    def mutated(candidates, entries, version):
        kept = [dataclasses.replace(entry, revoked=frozenset()) for entry in entries]
        return original(candidates, kept, version)

    monkeypatch.setattr(progress, "combine", mutated)
    assert_found(r"was revoked and is in the log", memories=BOTH, faults=2, attempts=1, looks=1)


BEHIND = (table.drop_file("A"), dataclasses.replace(table.append("B"), base_version=1))
"""The first has not seen that the file it removes is gone."""
GONE = (table.drop_file("before"),)


def test_including_an_intent_of_which_nothing_can_be_said_is_found(monkeypatch):
    original = combine._fate

    def mutated(candidate, entries, version):
        fate = original(candidate, entries, version)
        return combine._Fate.ELIGIBLE if fate is combine._Fate.UNKNOWABLE else fate

    monkeypatch.setattr(combine, "_fate", mutated)
    assert_found(
        r"A: Conflicted.*, but the log has it at \[2\]",
        BEHIND,
        memories=BOTH,
        faults=1,
        looks=3,
        prologue=GONE,
    )


def test_taking_what_is_remembered_of_the_log_for_newer_than_it_is_is_found(monkeypatch):
    original = Progress.__init__

    def mutated(progress, intent, budget, moment, memory, **options):
        newer = [dataclasses.replace(e, version=e.version + 1) for e in memory.recent]
        memory = dataclasses.replace(memory, recent=tuple(newer))
        original(progress, intent, budget, moment, memory, **options)

    monkeypatch.setattr(Progress, "__init__", mutated)
    remembering = dataclasses.replace(CONTENDED, recent=(decode(table.FIRST_ENTRY, 0),))
    assert_found(
        r"A: Conflicted.*, but the log has it at \[2\]",
        BEHIND,
        memories=(CONTENDED, remembering),
        faults=1,
        looks=3,
        prologue=GONE,
    )


OVERWRITES = (table.overwrite_partition("A"), table.overwrite_partition("B"))
AGAIN = {"A": table.overwrite_again, "B": table.overwrite_again}


def test_the_unbroken_plans_pass():
    case = Case("unbroken", OVERWRITES, memories=BOTH, looks=3, planners=AGAIN, attempts=1)
    assert case.explore() > 500


def test_committing_the_first_plan_of_a_commit_that_was_planned_again_is_found(monkeypatch):
    monkeypatch.setattr(combine, "check", lambda _intent, _entry: ())
    assert_found(
        r"version \d holds|at \d removed|but the log has it",
        OVERWRITES,
        memories=BOTH,
        looks=3,
        faults=1,
        planners=AGAIN,
    )


def test_including_an_expired_intent_is_found(monkeypatch):
    original = combine.combine

    def mutated(candidates, entries, version):
        return original(
            [candidates[0], *(dataclasses.replace(c, expires=None) for c in candidates[1:])],
            entries,
            version,
        )

    def sift(listed, own_key, _oldest_base, garbage):
        return gathering.sift(listed, own_key, 0, garbage)

    monkeypatch.setattr(progress, "combine", mutated)
    monkeypatch.setattr(progress, "sift", sift)
    assert_found(
        r"Unknown.*, but the log has it at",
        memories=BOTH,
        faults=2,
        attempts=1,
        looks=3,
        lifetime=1,
    )


# --- damaged reads, tables made anew, errors that come late ---------------------------------------


def rejected(_progress, _state, event):
    return Rejected(event.cause)


def test_taking_a_damaged_read_for_a_verdict_is_found(break_row):
    break_row(Looking, EntryCorrupt, rejected)
    assert_found(r"Rejected\(.*, but the log has it at \[\d\]")


def test_taking_a_damaged_read_for_an_entry_of_another_is_found(break_row):
    def mutated(progress, _state, _event):
        progress.in_doubt = progress.unanswered = False
        return GaveUp()

    break_row(Looking, EntryCorrupt, mutated)
    assert_found(r"GaveUp\(\), but the log has it at")


def test_taking_a_damaged_read_for_a_verdict_while_an_intent_is_posted_is_found(break_row):
    break_row(Polling, EntryCorrupt, rejected)
    assert_found(r"Rejected\(.*, but the log has it at", memories=BOTH, faults=1, looks=2)


def test_taking_an_error_after_which_the_name_may_exist_for_a_refusal_is_found(break_row):
    break_row(Creating, Unanswered, rejected)
    assert_found(r"Rejected\(.*, but the log has it at \[\d\]", faults=1)


ANEW = (
    table.append("A"),
    dataclasses.replace(table.of_table(table.append("B"), "new"), base_version=1),
)
"""The first began on the table that was there before; the second is of the new one."""
NEW = (table.of_table(table.append("before", "2"), "new"),)


def test_the_unbroken_rules_refuse_a_writer_of_the_old_table():
    case = Case("unbroken", ANEW, faults=1, attempts=2, prologue=NEW, looks=3)
    assert case.explore() > 50


def test_going_on_after_entries_of_another_table_is_found(monkeypatch):
    original = Progress.pass_by

    def mutated(progress, entries):
        return original(progress, [dataclasses.replace(entry, table=None) for entry in entries])

    monkeypatch.setattr(Progress, "pass_by", mutated)
    assert_found("A is in the log of another table", ANEW, faults=0, prologue=NEW)


def test_leading_for_an_intent_of_another_table_is_found(monkeypatch):
    monkeypatch.setattr(progress, "same_table", lambda _mine, _other: True)
    informed = dataclasses.replace(
        CONTENDED, recent=(decode(table.FIRST_ENTRY, 0), NEW[0].as_entry(1))
    )
    assert_found(
        "A is in the log of another table",
        ANEW,
        memories=(CONTENDED, informed),
        faults=1,
        looks=3,
        prologue=NEW,
    )
