"""The checker finds what is wrong with a history, names whom it concerns, and lets pass what is right."""

from collections import Counter

import pytest

from atomic_manifest.testing.history import Kind, Log, check
from atomic_manifest.testing.history.journal import (
    Ended,
    History,
    Invoked,
    Outcome,
    Prepared,
    Resolved,
)
from atomic_manifest.testing.history.log import Logged
from atomic_manifest.testing.history.model import Model
from atomic_manifest.testing.history.presence import LOOK
from atomic_manifest.testing.history.steps import (
    EVERYTHING,
    Append,
    Delete,
    Overwrite,
    OverwriteParts,
    Read,
)
from atomic_manifest.testing.history.workload import part_is, row_is

OK, FAILED, UNKNOWN = Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN
A, B = ("bank", 0, 100), ("bank", 1, 100)


class Book:
    """A history in the making: operations one after the other, each in a process of its own.

    It begins with two accounts at version 1.
    """

    def __init__(self) -> None:
        self.events = []
        self.logged = [Logged(0, 0, "create", kind="CREATE TABLE")]
        self.revoked = {}
        self.steps = {}
        self.clock = 0.0
        self.did("setup", Append((A, B)), version=1)

    def did(
        self,
        name,
        *steps,
        version=None,
        base=None,
        began=None,
        outcome=OK,
        txn=None,
        at=(),
        kind="operation",
        process=None,
        **told,
    ):
        """An operation that was told `version` and is in the log there, or else at the versions `at`.

        A `base` makes it a transaction. It begins after all before it have ended, or at `began`.
        """
        began = self.clock + 1 if began is None else began
        self.clock = max(self.clock, began) + 1
        commit_id = f"{name}-id" if version is not None or at else ""
        events = [Invoked(name, kind, began, txn, steps if base is None else None)]
        if base is not None:
            events.append(Prepared(name, commit_id, base, steps))
        if outcome is not None:
            told = {"version": version, "commit_id": commit_id, **told}
            events.append(Ended(name, self.clock, outcome, **told))
        self.events.append((process or f"process of {name}", events))
        self.steps[name] = steps
        for each in at or ([] if version is None else [version]):
            self.is_logged(name, each, txn=txn)
        return self

    def is_logged(self, name, version, commit_id=None, txn=None):
        position = sum(each.version == version for each in self.logged)
        commit_id = commit_id or f"{name}-id"
        self.logged.append(Logged(version, position, commit_id, name, txn))
        self.logged.sort(key=lambda each: (each.version, each.position))
        return self

    def resolved(self, commit_id, state, version=None, *, settled=False):
        self.events.append(("resolver", [Resolved(commit_id, state, version, settled)]))
        return self

    def contents(self):
        model = Model()
        for each in self.logged:
            list(model.take(each.operation, self.steps.get(each.operation, ())))
        return model.contents

    def violations(self, *, contents=None, versions=None, serializable=True):
        versions = versions or tuple(sorted({each.version for each in self.logged}))
        log = Log(versions, tuple(self.logged), self.revoked)
        if contents is None:
            contents = {"reader": self.contents()}
        return check(History.of(self.events), log, contents, serializable=serializable)

    def finds(self, kind, *operations, **options):
        found = self.violations(**options)
        assert [(each.kind, each.operations) for each in found] == [(kind, operations)], found


@pytest.fixture
def book():
    return Book()


def deposit(balance, read=A):
    """What a transaction does that reads an account and writes a balance."""
    return (
        Read(row_is("bank", 0), (read,)),
        Overwrite((("bank", 0, balance),), row_is("bank", 0)),
    )


# --- what is right ---


def test_a_serial_history_is_right(book):
    book.did("t1", *deposit(110), base=1, version=2)
    book.did("t2", *deposit(120, ("bank", 0, 110)), base=2, version=3, rows_deleted=1)
    book.did("look", Read(EVERYTHING, (("bank", 0, 120), B)), base=3, kind=LOOK)
    book.events[-1][1][-1] = Ended("look", book.clock, OK, version=3)
    assert book.violations() == ()


def test_concurrent_commits_of_one_entry_take_effect_in_its_order(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2, began=5)
    book.did("t2", Read(part_is("bank"), (A, B)), *deposit(1)[1:], base=1, version=2, began=5)
    book.did("t3", OverwriteParts((("f0", 2, 2),)), version=2, began=5)
    assert book.violations() == ()
    assert book.contents() == Counter([B, ("bank", 0, 1), ("f0", 2, 2)])


def test_killed_and_unknown_operations_may_be_in_the_log_or_not(book):
    book.did("there", Append((("f0", 1, 1),)), outcome=None, at=[2])
    book.did("not there", Append((("f0", 1, 2),)), outcome=None)
    book.did("unknown", Append((("f0", 1, 3),)), outcome=UNKNOWN, at=[3])
    assert book.violations() == ()


def test_an_earlier_attempt_does_not_count(book):
    book.did("other", *deposit(50), base=1, version=2)
    book.did("again", *deposit(60, ("bank", 0, 50)), base=2, version=3)
    before = Prepared("again", "earlier-id", 1, deposit(110))
    book.events[-1][1].insert(1, before)
    assert book.violations() == ()


def test_a_transaction_found_done_is_right(book):
    book.did("first", Append((("f0", 1, 1),)), version=2, txn=("app", 7), outcome=None)
    book.did("again", Append((("f0", 1, 1),)), txn=("app", 7))
    book.events[-1][1][-1] = Ended("again", 9, OK, version=2, already_committed=True)
    assert book.violations() == ()


def test_nothing_to_delete_is_right_where_nothing_is(book):
    book.did("delete", Delete(part_is("f0")))
    book.events[-1][1][-1] = Ended("delete", 9, OK, version=1, rows_deleted=0)
    assert book.violations() == ()


def test_true_answers_of_resolve_are_right(book):
    book.did("there", Append((("f0", 1, 1),)), outcome=UNKNOWN, at=[2])
    book.resolved("there-id", "committed", 2).resolved("elsewhere-id", "not committed")
    book.resolved("elsewhere-id", "open")
    assert book.violations() == ()


# --- reads of another state ---


def test_a_lost_update_is_found(book):
    book.did("t1", *deposit(110), base=1, version=2, began=5)
    book.did("t2", *deposit(120), base=1, version=3, began=5)
    book.finds(Kind.READ, "t2", "t1")


def test_a_write_skew_is_found(book):
    """Each reads both accounts and empties one, which the two together may not."""
    both = Read(part_is("bank"), (A, B))
    book.did(
        "t1", both, Overwrite((("bank", 0, 0),), row_is("bank", 0)), base=1, version=2, began=5
    )
    book.did(
        "t2", both, Overwrite((("bank", 1, 0),), row_is("bank", 1)), base=1, version=3, began=5
    )
    book.finds(Kind.READ, "t2", "t1")


def test_a_phantom_is_found(book):
    empty = Read(part_is("f0"), ())
    book.did("t1", Append((("f0", 1, 1),)), version=2, began=5)
    book.did("t2", empty, Append((("census", 0, 0),)), base=1, version=3, began=5)
    book.finds(Kind.READ, "t2", "t1")


def test_a_phantom_in_the_same_entry_is_found(book):
    empty = Read(part_is("f0"), ())
    book.did("t1", Append((("f0", 1, 1),)), version=2, began=5)
    book.did("t2", empty, Append((("census", 0, 0),)), base=1, version=2, began=5)
    book.finds(Kind.READ, "t2", "t1")


def test_a_read_of_rows_that_were_deleted_names_who_deleted_them(book):
    book.did("t1", Delete(row_is("bank", 0)), version=2, began=5)
    book.did("t2", Read(row_is("bank", 0), (A,)), Append((A,)), base=1, version=3, began=5)
    book.finds(Kind.READ, "t2", "t1")


def test_a_delete_that_counts_other_rows_is_found(book):
    book.did("t1", Delete(part_is("bank")), version=2, rows_deleted=1)
    book.finds(Kind.READ, "t1")


def test_a_read_of_no_version_is_found_though_it_was_not_committed(book):
    book.did("t1", *deposit(110, ("bank", 0, 90)), base=1, outcome=FAILED)
    book.finds(Kind.SNAPSHOT, "t1", "setup")


def test_a_read_of_a_version_that_is_not_there_is_found(book):
    book.did("t1", *deposit(110), base=9, outcome=FAILED)
    book.finds(Kind.SNAPSHOT, "t1")


def test_nothing_to_delete_where_there_is_something_is_found(book):
    book.did("t1", Delete(part_is("bank")))
    book.events[-1][1][-1] = Ended("t1", 9, OK, version=1)
    book.finds(Kind.SNAPSHOT, "t1")


# --- weaker isolation ---


def test_blind_appends_may_pass_where_isolation_is_weak(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2, began=5)
    book.did("t2", Read(part_is("f0"), ()), Delete(part_is("f0"), 0), base=1, at=[3], began=5)
    book.events[-1][1][-1] = Ended("t2", 9, OK, "t2-id", 3, rows_deleted=0)
    assert book.violations(serializable=False, contents={"r": Counter([A, B, ("f0", 1, 1)])}) == ()
    assert {each.kind for each in book.violations()} == {Kind.READ}


def test_a_lost_update_is_found_where_isolation_is_weak(book):
    book.did("t1", *deposit(110), base=1, version=2, began=5)
    book.did("t2", *deposit(120), base=1, version=3, began=5)
    book.finds(Kind.READ, "t2", "t1", serializable=False)


def test_a_blind_append_that_was_seen_may_not_pass(book):
    """Version 2 is what the transaction says it saw, and so are all rows of it."""
    book.did("t1", Append((("f0", 1, 1),)), version=2)
    book.did("t2", Read(part_is("f0"), ()), Append((("census", 0, 0),)), base=2, version=3)
    kinds = [each.kind for each in book.violations(serializable=False)]
    assert kinds == [Kind.SNAPSHOT, Kind.READ]


# --- what is in the log ---


def test_a_commit_that_is_there_twice_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2).is_logged("t1", 3)
    book.finds(Kind.TWICE, "t1")


def test_two_attempts_of_one_operation_that_are_both_there_are_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2).is_logged("t1", 3, "another-id")
    book.finds(Kind.TWICE, "t1")


def test_a_transaction_id_that_is_there_twice_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2, outcome=None, txn=("app", 1))
    book.did("t2", Append((("f0", 1, 1),)), version=3, txn=("app", 1))
    book.finds(Kind.TWICE, "t1", "t2")


def test_an_acknowledged_commit_that_is_absent_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2)
    del book.logged[-1]
    book.finds(Kind.ABSENT, "t1")


def test_a_commit_at_another_version_than_was_told_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2, at=[3])
    book.finds(Kind.ABSENT, "t1", versions=(0, 1, 2, 3))


def test_a_failed_commit_that_is_present_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), outcome=FAILED, at=[2], error="CommitConflict")
    book.finds(Kind.PRESENT, "t1")


def test_a_revoked_commit_that_is_present_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), outcome=UNKNOWN, at=[3])
    book.revoked = {"t1-id": 2}
    book.finds(Kind.PRESENT, "t1", versions=(0, 1, 2, 3))


def test_a_commit_that_nobody_began_is_found(book):
    book.is_logged("nobody", 2)
    book.finds(Kind.UNEXPLAINED, "nobody")


def test_a_commit_that_names_no_operation_is_found(book):
    book.is_logged(None, 2, "id")
    book.finds(Kind.UNEXPLAINED)


def test_a_transaction_that_is_in_the_log_before_it_was_ready_is_found(book):
    book.did("t1", outcome=None, base=1, at=[2])
    book.events[-1][1].pop()
    book.finds(Kind.UNEXPLAINED, "t1")


def test_a_gap_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=3)
    book.finds(Kind.GAP)


@pytest.mark.parametrize("told", [2, 1])
def test_a_transaction_said_to_be_done_that_is_not_is_found(book, told):
    book.did("t1", Append((("f0", 1, 1),)), txn=("app", 1), outcome=OK)
    book.events[-1][1][-1] = Ended("t1", 3.5, OK, version=told, already_committed=True)
    book.did("later", Append((("f0", 1, 1),)), version=2, txn=("app", 1 if told == 1 else 0))
    book.finds(Kind.TXN, "t1")


@pytest.mark.parametrize("there", [7, 8])
def test_a_transaction_said_to_be_out_of_order_is_right_only_after_a_later_one(book, there):
    book.did("first", Append((("f0", 1, 1),)), version=2, txn=("app", there), outcome=None)
    book.did("late", Append((("f0", 1, 1),)), txn=("app", 7))
    book.events[-1][1][-1] = Ended("late", 9, FAILED, error="TransactionOutOfOrder: told so")
    if there == 7:
        book.finds(Kind.TXN, "late")
    else:
        assert book.violations() == ()


def test_a_commit_with_another_transaction_id_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), outcome=UNKNOWN).is_logged("t1", 2, txn=("app", 1))
    book.finds(Kind.TXN, "t1")


@pytest.mark.parametrize(
    ("state", "version", "settled"),
    [("not committed", None, False), ("committed", 5, False), ("open", None, True)],
)
def test_a_wrong_answer_of_resolve_is_found(book, state, version, settled):
    book.did("t1", Append((("f0", 1, 1),)), outcome=UNKNOWN, at=[2])
    book.resolved("t1-id", state, version, settled=settled)
    book.finds(Kind.RESOLUTION, "t1")


def test_a_commit_resolved_as_committed_that_is_absent_is_found(book):
    book.resolved("t1-id", "committed", 1)
    book.finds(Kind.RESOLUTION)


# --- time ---


def test_a_commit_before_one_that_was_acknowledged_before_it_began_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=3)
    book.did("t2", Append((("f0", 1, 2),)), version=2)
    book.finds(Kind.REAL_TIME, "t2", "t1")


def test_a_commit_in_the_entry_of_one_that_was_acknowledged_before_it_began_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2)
    book.did("t2", Append((("f0", 1, 2),)), version=2)
    book.finds(Kind.REAL_TIME, "t2", "t1")


def test_a_stale_look_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2)
    book.did("look", Read(part_is("bank"), (A, B)), base=1, kind=LOOK)
    book.events[-1][1][-1] = Ended("look", 9, OK, version=1)
    book.finds(Kind.STALE, "look", "t1")


def test_nothing_found_to_delete_in_a_stale_version_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2)
    book.did("delete", Delete(part_is("f0")))
    book.events[-1][1][-1] = Ended("delete", 9, OK, version=1)
    book.finds(Kind.STALE, "delete", "t1")


def test_a_stale_read_that_was_committed_is_found(book):
    book.did("t1", *deposit(110), base=1, version=2)
    book.did("t2", *deposit(120), base=1, version=3)
    book.finds(Kind.READ, "t2", "t1")


def test_a_handle_that_went_back_is_found(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2, process="p")
    book.did("t2", *deposit(120), base=1, version=3, process="p")
    book.finds(Kind.BACKWARDS, "t2", "t1")


# --- contents ---


@pytest.mark.parametrize(
    ("change", "concerned"),
    [({("f0", 1, 1): -1}, ("t1",)), ({A: 1}, ("t2",)), ({("f0", 1, 1): 1}, ("t1",))],
    ids=["missing", "back again", "twice"],
)
def test_a_table_that_holds_something_else_is_found(book, change, concerned):
    book.did("t1", Append((("f0", 1, 1),)), version=2)
    book.did("t2", Delete(row_is("bank", 0)), version=3)
    rows = Counter(book.contents())
    rows.update(change)
    book.finds(Kind.CONTENTS, *concerned, contents={"right": book.contents(), "wrong": +rows})


def test_all_violations_are_reported(book):
    book.did("t1", Append((("f0", 1, 1),)), version=2)
    book.did("t2", *deposit(120, B), base=1, version=4)
    book.did("t3", *deposit(120, B), base=1, outcome=FAILED, at=[5])
    found = Counter(each.kind for each in book.violations(contents={"reader": Counter()}))
    assert found[Kind.GAP] == found[Kind.PRESENT] == found[Kind.CONTENTS] == 1
    assert found[Kind.READ] == found[Kind.SNAPSHOT] == 2
    assert all(str(each).startswith(each.kind.value) for each in book.violations())
