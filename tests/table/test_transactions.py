"""Transactions, one at a time and in each other's way.

A pair of transactions that are open at once is the whole of concurrency here: what the other one does
in between is done in the test's own thread. `fork` opens another handle at the same version.
"""

import threading

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import atomic_manifest as am
from atomic_manifest.commit.messages import Budget
from atomic_manifest.errors import TransactionEnded
from atomic_manifest.testing import FakeEnv, Fault, FaultyDriver, Request
from tests.table.conftest import SCHEMA, ids, rows

PARTITIONED = pa.schema([("day", pa.string()), ("id", pa.int64())])


def fork(table: am.Table) -> am.Table:
    return am.Table.open(table.url)


def data_files(tmp_path) -> int:
    return len(list((tmp_path / "t").rglob("*.parquet")))


def live_files(table: am.Table) -> int:
    return table.refresh().files().num_rows


def kinds(caught: pytest.ExceptionInfo) -> set[str]:
    return {conflict.kind.value for conflict in caught.value.conflicts}


@pytest.fixture
def days(tmp_path) -> am.Table:
    table = am.Table.create(tmp_path / "t", PARTITIONED, partition_by=["day"])
    table.append({"day": ["a", "a", "b", "b"], "id": [1, 2, 3, 4]})
    return table


# --- one transaction -----------------------------------------------------------------------------


def test_several_operations_are_one_version(table, tmp_path):
    table.append(rows(1, 2, 3))
    with table.transaction(commit_info={"why": "test"}) as tx:
        tx.append(rows(4))
        assert tx.delete("id = 2") == 1
        tx.overwrite(rows(30), where="id = 3 or id = 30")
    assert tx.result.version == table.version == 2
    assert (tx.result.rows, tx.result.rows_deleted) == (2, 2)
    assert ids(table) == [1, 4, 30]
    record = next(table.history(1))
    assert record.operation == "TRANSACTION"
    assert record.commits[0].info == {"why": "test"}


def test_a_transaction_sees_its_own_changes_and_nobody_elses(table):
    table.append(rows(1))
    with pytest.raises(am.CommitConflict), table.transaction() as tx:  # noqa: PT012
        am.append(table.url, rows(9))
        tx.append(rows(2))
        assert sorted(tx.read(["id"], "id > 0")["id"].to_pylist()) == [1, 2]
        tx.delete("id = 2")
        assert tx.read().num_rows == 1
        tx.overwrite(rows(5))
        assert tx.read(filter=pc.field("id") == 5).equals(rows(5))
    with pytest.raises(TransactionEnded, match="has failed"):
        tx.read()
    assert ids(table.refresh()) == [1, 9]


def test_only_net_changes_are_committed_and_dropped_files_are_deleted(table, tmp_path):
    table.append(rows(1))
    with table.transaction() as tx:
        tx.append(rows(2, 3))
        tx.delete("id = 3")
        tx.delete("id = 1")
    assert ids(table) == [2]
    added, removed = am.Table.open(table.url).files(), tx.result
    assert added.num_rows == removed.files == 1
    assert data_files(tmp_path) == 2  # the first append's, and one of the transaction


def test_an_error_in_the_block_commits_nothing_and_leaves_no_file(table, tmp_path):
    with pytest.raises(KeyError, match="mine"), table.transaction() as tx:  # noqa: PT012
        tx.append(rows(1))
        raise KeyError("mine")
    assert table.refresh().version == 0
    assert data_files(tmp_path) == 0
    with pytest.raises(TransactionEnded, match="was rolled back"):
        tx.append(rows(1))


def test_an_operation_that_fails_can_be_caught_and_the_rest_commits(table):
    with table.transaction() as tx:
        tx.append(rows(1))
        with pytest.raises(am.errors.DataError):
            tx.append({"id": [None]})
        with pytest.raises(am.errors.DataError, match="do not match"):
            tx.overwrite(rows(1, 2), where="id = 1")
    assert ids(table) == [1]


def test_a_transaction_is_good_for_one_block(table):
    tx = table.transaction()
    with pytest.raises(TransactionEnded, match="has not begun"):
        tx.read()
    with tx:
        tx.append(rows(1))
    with pytest.raises(TransactionEnded, match="was committed"), tx:
        pass
    with pytest.raises(TransactionEnded):
        tx.delete("id = 1")


def test_a_transaction_without_changes_commits_nothing(table):
    with table.transaction() as tx:
        tx.read()
    assert tx.result is None
    assert table.refresh().version == 0


def test_a_repeated_txn_is_not_committed_and_leaves_no_file(table, tmp_path):
    for _ in range(2):
        with table.transaction(txn=("app", 1)) as tx:
            repeated = tx.already_committed
            tx.append(rows(1))
            tx.read()
    assert repeated
    assert tx.result.already_committed
    assert ids(table) == [1]
    assert data_files(tmp_path) == 1


def test_a_txn_that_another_handle_committed_meanwhile_is_not_committed_again(table, tmp_path):
    with table.transaction(txn=("app", 1)) as tx:
        tx.append(rows(1))
        tx.read(filter="id = 100")
        fork(table).append(rows(1), txn=("app", 1))
    assert tx.result.already_committed
    assert ids(table.refresh()) == [1]
    assert data_files(tmp_path) == 1


def test_an_unknown_outcome_keeps_the_files(tmp_path, table_on):
    am.Table.create(tmp_path / "t", SCHEMA)
    am.append(tmp_path / "t", rows(1))

    def no_entry_is_answered(number: int, request: Request) -> Fault | None:
        entry = request.method == "put" and request.path.startswith("_delta_log")
        return Fault.LOST_BEFORE if entry else None

    driver = FaultyDriver(am.store.open_store(tmp_path / "t").driver, no_entry_is_answered)
    table = table_on(driver, Budget(attempts=2), FakeEnv())
    with pytest.raises(am.CommitOutcomeUnknown) as unknown, table.transaction() as tx:  # noqa: PT012
        tx.read()
        tx.append(rows(2))
    with pytest.raises(TransactionEnded, match="unknown outcome"):
        tx.read()
    assert unknown.value.commit_id == tx.commit_id
    assert data_files(tmp_path) == 2


def test_a_transaction_longer_than_the_log_is_kept_is_refused(tmp_path, table_on):
    table = am.Table.create(tmp_path / "t", SCHEMA)
    env = FakeEnv()
    old = table_on(am.store.open_store(tmp_path / "t").driver, None, env)
    with pytest.raises(am.CommitConflict, match="took too long"), old.transaction() as tx:  # noqa: PT012
        tx.read(filter="id = 1")
        tx.append(rows(1))
        for number in range(3):
            table.append(rows(number))
        table.checkpoint()
        for version in range(3):
            (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
        env.sleep(100_000)
    assert ids(table.refresh()) == [0, 1, 2]


# --- isolation -----------------------------------------------------------------------------------


def test_predicate_overwrites_that_read_what_the_other_wrote_do_not_both_commit(days):
    """delta-rs#3622."""
    with (  # noqa: PT012
        pytest.raises(am.CommitConflict) as caught,
        days.transaction() as first,
    ):
        with fork(days).transaction() as second:
            seen = second.read(["id"], "day = 'a'")["id"].to_pylist()
            second.overwrite({"day": ["b"], "id": [sum(seen)]}, where="day = 'b'")
        seen = first.read(["id"], "day = 'b'")["id"].to_pylist()
        first.overwrite({"day": ["a"], "id": [sum(seen)]}, where="day = 'a'")
    assert kinds(caught) == {"ConcurrentAppend", "ConcurrentDeleteRead"}
    assert ids(days.refresh()) == [1, 2, 3]


def test_write_skew_is_refused(days, tmp_path):
    """Each keeps the sum of all positive by reading it, and would break it with the other."""
    other = fork(days)
    with pytest.raises(am.CommitConflict), days.transaction() as first:  # noqa: PT012
        assert first.read().num_rows == 4
        with other.transaction() as second:
            assert second.read().num_rows == 4
            second.delete("day = 'a'")
        first.delete("day = 'b'")
    assert ids(days.refresh()) == [3, 4]


def test_write_skew_by_appends_is_refused(days, tmp_path):
    other = fork(days)
    with pytest.raises(am.CommitConflict), days.transaction() as first:  # noqa: PT012
        first.read(filter="id = 5 or id = 6")
        with other.transaction() as second:
            second.read(filter="id = 5 or id = 6")
            second.append({"day": ["a"], "id": [5]})
        first.append({"day": ["b"], "id": [6]})
    assert ids(days.refresh()) == [1, 2, 3, 4, 5]
    assert data_files(tmp_path) == live_files(days) == 3


def test_statistics_prove_changes_of_an_unpartitioned_table_disjoint(table):
    """delta#7356."""
    table.append(rows(1, 2))
    table.append(rows(11, 12))
    with table.transaction() as first:
        with fork(table).transaction() as second:
            second.delete("id = 11")
            second.append(rows(13))
        first.read(filter="id < 10")
        first.delete("id = 1")
    assert first.result.version == second.result.version + 1
    assert ids(table) == [2, 12, 13]


def test_what_is_only_read_counts_too(days):
    with pytest.raises(am.CommitConflict) as caught, days.transaction() as tx:  # noqa: PT012
        tx.read(filter="day = 'a'")
        tx.append({"day": ["b"], "id": [10]})
        fork(days).delete("day = 'a' and id = 1")
    assert kinds(caught) == {"ConcurrentAppend", "ConcurrentDeleteRead"}


def test_a_phantom_is_refused(days):
    with pytest.raises(am.CommitConflict) as caught, days.transaction() as tx:  # noqa: PT012
        assert tx.read(filter="id > 100").num_rows == 0
        tx.append({"day": ["a"], "id": [5]})
        fork(days).append({"day": ["z"], "id": [101]})
    assert kinds(caught) == {"ConcurrentAppend"}
    assert ids(days.refresh()) == [1, 2, 3, 4, 101]


def test_a_row_added_outside_of_what_was_read_is_no_conflict(days):
    with days.transaction() as tx:
        tx.read(filter="id > 100")
        tx.append({"day": ["a"], "id": [5]})
        fork(days).append({"day": ["z"], "id": [100]})
    assert ids(days) == [1, 2, 3, 4, 5, 100]


def test_an_opaque_filter_counts_as_having_read_everything(days):
    with pytest.raises(am.CommitConflict), days.transaction() as tx:  # noqa: PT012
        tx.read(filter=pc.field("id") > 100)
        tx.append({"day": ["a"], "id": [5]})
        fork(days).append({"day": ["z"], "id": [100]})


def test_a_transaction_that_only_appends_never_conflicts(days):
    with days.transaction() as tx:
        tx.append({"day": ["a"], "id": [5]})
        tx.append({"day": ["b"], "id": [6]})
        fork(days).overwrite({"day": ["a"], "id": [7]})
    assert ids(days) == [5, 6, 7]
    assert next(days.history(1)).fields["isBlindAppend"]


def test_dynamic_partitions_conflict_only_within_them(days):
    with days.transaction() as tx:
        tx.overwrite({"day": ["a"], "id": [9]}, partitions="dynamic")
        fork(days).append({"day": ["b"], "id": [5]})
    assert ids(days) == [3, 4, 5, 9]
    with pytest.raises(am.CommitConflict), days.transaction() as tx:  # noqa: PT012
        tx.overwrite({"day": ["a"], "id": [10]}, partitions="dynamic")
        fork(days).append({"day": ["a"], "id": [6]})


def test_compaction_of_other_files_fails_no_delete(days, compact):
    stale = fork(days)
    compact(fork(days), "b")
    with stale.transaction() as tx:
        tx.delete("day = 'a' and id = 1")
    assert ids(stale) == [2, 3, 4]


def test_compaction_of_the_same_file_fails_a_transaction_and_reruns_a_delete(days, compact):
    stale, rerun = fork(days), fork(days)
    compact(fork(days), "a")
    with pytest.raises(am.CommitConflict) as caught, stale.transaction() as tx:
        tx.delete("id = 1")
    assert kinds(caught) == {"ConcurrentDeleteDelete"}
    assert rerun.delete("id = 1").rows_deleted == 1
    assert ids(rerun) == [2, 3, 4]


def test_deletes_of_rows_of_the_same_file_both_happen_one_after_the_other(days):
    stale = fork(days)
    days.delete("id = 1")
    assert stale.delete("id = 2").rows_deleted == 1
    assert ids(stale) == [3, 4]


def test_deletes_of_the_same_file_in_transactions_conflict(days, tmp_path):
    with pytest.raises(am.CommitConflict) as caught, days.transaction() as tx:  # noqa: PT012
        fork(days).delete("id = 1")
        tx.delete("id = 2")
    assert "ConcurrentDeleteDelete" in kinds(caught)
    assert data_files(tmp_path) == 3  # the first two, and what the other wrote again


def test_deletes_of_different_partitions_both_commit(days):
    with days.transaction() as first:
        with fork(days).transaction() as second:
            second.delete("day = 'b'")
        first.delete("day = 'a'")
    assert ids(days) == []


def test_write_serializable_lets_blind_appends_pass(tmp_path):
    table = am.Table.create(
        tmp_path / "t", SCHEMA, configuration={"delta.isolationLevel": "WriteSerializable"}
    )
    with table.transaction() as tx:
        tx.read()
        fork(table).append(rows(1))
        tx.append(rows(2))
    assert ids(table) == [1, 2]


# --- run -----------------------------------------------------------------------------------------


def test_run_gives_the_value_and_the_commit(table):
    def body(tx: am.Transaction) -> str:
        tx.append(rows(1))
        return "done"

    outcome = table.run(body, txn=("app", 1))
    assert (outcome.value, outcome.attempts, outcome.commit.version) == ("done", 1, 1)
    again = table.run(body, txn=("app", 1))
    assert (again.value, again.attempts, again.commit.already_committed) == (None, 0, True)


def test_run_starts_over_with_what_the_winner_left(table):
    others = [fork(table), fork(table)]
    seen = []

    def body(tx: am.Transaction) -> None:
        seen.append(tx.read().num_rows)
        if others:
            others.pop().append(rows(len(others)))
        tx.append(rows(10))

    outcome = table.run(body)
    assert seen == [0, 1, 2]
    assert outcome.attempts == 3
    assert ids(table) == [0, 1, 10]


def test_run_gives_up_after_so_many_attempts(table, tmp_path):
    def body(tx: am.Transaction) -> None:
        tx.read()
        tx.append(rows(10))
        am.append(table.url, rows(1))

    with pytest.raises(am.CommitConflict):
        table.run(body, attempts=3)
    assert ids(table.refresh()) == [1, 1, 1]
    assert data_files(tmp_path) == 3
    with pytest.raises(am.errors.DataError, match="attempts"):
        table.run(body, attempts=0)


@pytest.mark.parametrize("shared", [True, False], ids=["one handle", "a handle each"])
def test_no_increment_of_a_counter_by_eight_threads_is_lost(table, shared):
    table.append({"id": [0], "name": ["counter"]})

    def increment(tx: am.Transaction) -> int:
        value = tx.read(["id"], "name = 'counter'")["id"][0].as_py() + 1
        tx.overwrite({"id": [value], "name": ["counter"]}, where="name = 'counter'")
        return value

    seen = []

    def work(handle: am.Table) -> None:
        seen.extend(handle.run(increment, attempts=1000).value for _ in range(4))

    threads = [
        threading.Thread(target=work, args=(table if shared else fork(table),)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 33))
    assert ids(table.refresh()) == [32]
