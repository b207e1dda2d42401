"""A job that may have nothing to write; and a delete that does not say what."""

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import DataError
from tests.table.conftest import SCHEMA, ids, rows

EMPTY: dict[str, Callable[[], object]] = {
    "table": rows,
    "batches": list,
    "generator": lambda: (table for table in []),
    "reader": lambda: rows().to_reader(),
    "frame": lambda: pd.DataFrame(
        {"id": pd.Series([], dtype="int64"), "name": pd.Series([], dtype="str")}
    ),
    "mapping": lambda: {"id": pa.array([], pa.int64()), "name": pa.array([], pa.string())},
}


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY)
def test_data_without_rows_is_nothing_to_commit(table, make):
    table.append(rows(1))
    for result in (
        table.append(make()),
        table.append(make(), schema_mode="merge"),
        am.append(table.url, make()),
        am.write_dataset(
            make(), table.url, schema=SCHEMA, existing_data_behavior="delete_matching"
        ),
        am.write_dataset(
            make(), table.url, schema=SCHEMA, existing_data_behavior="overwrite_or_ignore"
        ),
    ):
        assert (result.version, result.files, result.rows, result.attempts) == (1, 0, 0, 0)
        assert (result.commit_id, result.already_committed) == ("", False)
    with table.transaction() as tx:
        tx.append(make())
    assert tx.result is None
    assert table.refresh().version == 1


def test_an_empty_first_day_creates_the_table(tmp_path):
    assert am.append(tmp_path / "t", rows()).version == 0
    assert am.append(tmp_path / "t", rows()).version == 0
    table = am.Table.open(tmp_path / "t")
    assert (table.version, ids(table)) == (0, [])
    assert table.schema.names == SCHEMA.names
    table.append(rows(1))
    assert ids(table) == [1]


def test_a_txn_without_rows_is_recorded_where_it_creates_the_table(tmp_path):
    am.append(tmp_path / "t", rows(), txn=("days", 1))
    assert am.append(tmp_path / "t", rows(1), txn=("days", 1)).already_committed


def test_new_columns_of_data_without_rows_are_added(table):
    more = rows().append_column("more", pa.array([], pa.int64()))
    assert table.append(more, schema_mode="merge").version == 1
    assert "more" in table.schema.names
    assert table.append(more, schema_mode="merge").version == 1


def test_an_overwrite_without_rows_removes_what_it_says(table):
    table.append(rows(1, 2))
    table.overwrite(rows(), where="id = 1")
    assert ids(table) == [2]
    table.overwrite(rows())
    assert ids(table) == []


def test_a_delete_without_a_filter_says_how_to_delete_all(table):
    table.append(rows(1))
    for where in ((), (None,)):
        with pytest.raises(DataError, match='where="true" to delete every row'):
            table.delete(*where)
        with (
            pytest.raises(DataError, match='where="true" to delete every row'),
            table.transaction() as tx,
        ):
            tx.delete(*where)
    assert ids(table.refresh()) == [1]
    assert table.delete("true").rows_deleted == 1
