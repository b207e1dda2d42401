"""`txn` is a high-water mark: what comes below it is an error, never a commit that seems to be there."""

import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import TransactionOutOfOrder
from tests.table.conftest import ids, rows


def transact(table: am.Table, txn: tuple[str, int]) -> am.CommitResult | None:
    with table.transaction(txn=txn) as tx:
        tx.append(rows(9))
    return tx.result


VERBS: dict[str, Callable[[am.Table, tuple[str, int]], Any]] = {
    "append": lambda table, txn: table.append(rows(9), txn=txn),
    "append to the url": lambda table, txn: am.append(table.url, rows(9), txn=txn),
    "overwrite": lambda table, txn: table.overwrite(rows(9), txn=txn),
    "overwrite where": lambda table, txn: table.overwrite(rows(9), where="id = 9", txn=txn),
    "delete": lambda table, txn: table.delete("true", txn=txn),
    "run": lambda table, txn: table.run(lambda tx: tx.append(rows(9)), txn=txn),
    "transaction": transact,
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
@pytest.mark.parametrize("knows", [True, False], ids=["known before", "met while rebasing"])
def test_a_version_below_the_recorded_one_is_an_error_and_leaves_no_file(
    table, tmp_path, verb, knows
):
    stale = am.Table.open(table.url)
    table.append(rows(1), txn=("loader", 7))
    files = sorted((tmp_path / "t").rglob("*.parquet"))
    with pytest.raises(am.TransactionOutOfOrder, match=r"\('loader', 3\).*version 7") as caught:
        verb(table if knows else stale, ("loader", 3))
    assert (caught.value.app_id, caught.value.given, caught.value.recorded) == ("loader", 3, 7)
    assert sorted((tmp_path / "t").rglob("*.parquet")) == files
    assert ids(table.refresh()) == [1]
    assert table.version == 1


def test_a_version_below_the_recorded_one_is_refused_before_anything_is_read(table):
    table.append(rows(1), txn=("loader", 7))
    reader = rows(2).to_reader()
    with pytest.raises(TransactionOutOfOrder):
        table.append(reader, txn=("loader", 6))
    with pytest.raises(TransactionOutOfOrder), table.transaction(txn=("loader", 6)):
        pytest.fail("the block was entered")
    table.append(reader)
    assert ids(table) == [1, 2]


def test_the_recorded_version_is_known_from_a_checkpoint_too(table):
    table.append(rows(1), txn=("loader", 7))
    table.checkpoint()
    with pytest.raises(TransactionOutOfOrder):
        am.append(table.url, rows(2), txn=("loader", 6))
    assert am.append(table.url, rows(2), txn=("loader", 7)).already_committed


def test_the_creator_of_a_table_that_lost_the_race_is_told_of_a_later_version(tmp_path):
    url = tmp_path / "t"
    am.append(url, rows(1), txn=("loader", 7))
    with pytest.raises(TransactionOutOfOrder):
        am.append(url, rows(2), txn=("loader", 1))


def test_the_error_says_what_to_use_and_survives_pickling(table):
    table.append(rows(1), txn=("backfill", 20260103))
    with pytest.raises(TransactionOutOfOrder, match="backfill/20260101") as caught:
        table.append(rows(2), txn=("backfill", 20260101))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.recorded) == (str(caught.value), 20260103)
    assert isinstance(again, ValueError)
    table.append(rows(2), txn=("backfill/20260101", 1))
    assert ids(table) == [1, 2]


def chunk(url: str, number: int) -> tuple[int, str]:
    """Write one chunk; what it was told."""
    data = pa.table({"id": pa.array([number], pa.int64())})
    try:
        result = am.append(url, data, txn=("chunks", number))
    except TransactionOutOfOrder:
        return number, "refused"
    return number, "repeated" if result.already_committed else "written"


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_chunks_in_any_order_are_there_or_refused(table, pool):
    context = multiprocessing.get_context("spawn")
    executor = (
        ThreadPoolExecutor(4) if pool == "threads" else ProcessPoolExecutor(4, mp_context=context)
    )
    with executor:
        told = dict(executor.map(chunk, [table.url] * 12, [7, 3, 11, 0, 5, 9, 1, 4, 10, 2, 8, 6]))
    assert set(told.values()) <= {"refused", "written"}
    written = sorted(number for number, what in told.items() if what == "written")
    assert ids(table.refresh()) == written
    assert 11 in written


def test_threads_of_one_handle_are_told_what_was_not_written(table):
    def write(number: int) -> tuple[int, bool]:
        try:
            return number, not table.append(rows(number), txn=("chunks", number)).already_committed
        except TransactionOutOfOrder:
            return number, False

    with ThreadPoolExecutor(12) as pool:
        told = dict(pool.map(write, [7, 3, 11, 0, 5, 9, 1, 4, 10, 2, 8, 6]))
    assert ids(table.refresh()) == sorted(number for number, there in told.items() if there)
