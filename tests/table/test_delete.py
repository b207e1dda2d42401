"""`delete`, `overwrite(where=)` and `overwrite(partitions=)` on their own."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import atomic_manifest as am
from atomic_manifest.errors import DataError, InvalidFilter, TableIsAppendOnly
from atomic_manifest.testing import CountingDriver
from tests.table.conftest import SCHEMA, ids, rows

WIDE = pa.schema([("day", pa.string()), ("id", pa.int64()), ("value", pa.float64())])


@pytest.fixture
def days(tmp_path) -> am.Table:
    table = am.Table.create(tmp_path / "t", WIDE, partition_by=["day"])
    table.append({"day": ["a", "a", "b", None], "id": [1, 2, 3, 4], "value": [1.0, None, 3.0, 4.0]})
    return table


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("id = 2", [1, 3, 4]),
        ("day = 'a'", [3, 4]),
        ("day is null", [1, 2, 3]),
        ("day != 'a'", [1, 2, 4]),
        ("value > 2", [1, 2]),
        ("not (value > 2)", [2, 3, 4]),
        ("value is null or id = 3", [1, 4]),
        ([("id", "in", [1, 4])], [2, 3]),
        ("true", []),
        ("id > 100", [1, 2, 3, 4]),
    ],
)
def test_exactly_the_rows_for_which_it_is_true_go(days, where, left):
    version = days.version
    result = days.delete(where)
    assert ids(days) == ids(am.Table.open(days.url)) == left
    assert (result.rows, result.rows_deleted) == (0, 4 - len(left))
    assert result.version == days.version == version + (len(left) < 4)
    by_id = {row["id"]: row["day"] for row in days.to_arrow().to_pylist()}
    assert by_id == {n: {1: "a", 2: "a", 3: "b", 4: None}[n] for n in left}


def test_nan_is_deleted_where_it_matches_and_kept_where_not(tmp_path):
    table = am.Table.create(tmp_path / "t", WIDE)
    table.append({"day": ["x", "x"], "id": [1, 2], "value": [float("nan"), 1.0]})
    assert table.delete("value > 1").rows_deleted == 0
    assert table.delete("value != 1").rows_deleted == 1
    assert ids(table) == [2]


def test_fields_of_structs_can_be_asked_for(tmp_path):
    schema = pa.schema([("id", pa.int64()), ("at", pa.struct([("x", pa.int64())]))])
    table = am.Table.create(tmp_path / "t", schema)
    table.append({"id": [1, 2, 3], "at": [{"x": 1}, {"x": 2}, None]})
    table.delete("at.x = 1")
    assert ids(table) == [2, 3]


def test_whole_partitions_go_without_reading_or_writing_data(table_on):
    url = "memory://delete-partitions"
    am.append(url, {"day": ["a", "b"], "id": [1, 2]}, partition_by=["day"])
    driver = CountingDriver(am.store.open_store(url).driver)
    table = table_on(driver)
    driver.clear()
    result = table.delete("day = 'a'")
    assert [request.method for request in driver.requests] == ["put"]
    assert (result.files, result.rows_deleted) == (0, 1)


def test_files_that_statistics_exclude_are_not_read(table_on):
    url = "memory://delete-statistics"
    for start in (0, 10, 20):
        am.append(url, {"id": list(range(start, start + 10))})
    driver = CountingDriver(am.store.open_store(url).driver)
    table = table_on(driver)
    driver.clear()
    table.delete("id between 12 and 29")
    read = {request.path for request in driver.requests if request.method == "get"}
    assert len([path for path in read if path.endswith(".parquet")]) == 1
    assert ids(table) == [*range(12)]


def test_a_delete_that_matches_only_what_others_added_since_finds_it(days):
    stale = am.Table.open(days.url)
    days.append({"day": ["c"], "id": [100], "value": [0.0]})
    result = stale.delete("id = 100")
    assert result.rows_deleted == 1
    assert ids(stale) == [1, 2, 3, 4]


def test_a_delete_records_its_txn_once(days):
    first = days.delete("id = 1", txn=("app", 1))
    days.append({"day": ["a"], "id": [1], "value": [0.0]})
    again = days.delete("id = 1", txn=("app", 1))
    assert not first.already_committed
    assert again.already_committed
    assert ids(days) == [1, 2, 3, 4]
    assert not days.delete("id = 99", txn=("app", 2)).already_committed
    assert days.delete("id = 1", txn=("app", 2)).already_committed


def test_what_cannot_be_looked_into_or_is_not_said_is_refused(days):
    with pytest.raises(InvalidFilter, match="looked into"):
        days.delete(pc.field("id") == 1)
    with pytest.raises(DataError, match="every row"):
        days.delete(None)
    with pytest.raises(InvalidFilter, match="nowhere"):
        days.delete("nowhere = 1")
    assert days.refresh().version == 1


def test_an_append_only_table_loses_no_row(tmp_path):
    table = am.Table.create(tmp_path / "t", SCHEMA, configuration={"delta.appendOnly": "true"})
    table.append(rows(1))
    for forbidden in (
        lambda: table.delete("id = 1"),
        lambda: table.delete("id = 2"),
        lambda: table.overwrite(rows(1), where="id = 1"),
    ):
        with pytest.raises(TableIsAppendOnly):
            forbidden()
    assert len(list((tmp_path / "t").rglob("*.parquet"))) == 1
    assert ids(table.refresh()) == [1]


# --- overwrite -----------------------------------------------------------------------------------


def test_overwrite_where_replaces_the_matching_rows(days):
    result = days.overwrite({"day": ["z"], "id": [2], "value": [9.0]}, where="id between 2 and 3")
    assert (result.rows, result.rows_deleted) == (1, 2)
    assert ids(days) == [1, 2, 4]
    assert days.to_arrow(filter="id = 2")["day"].to_pylist() == ["z"]


def test_overwrite_where_refuses_rows_outside_and_leaves_no_file(days, tmp_path):
    before = len(list((tmp_path / "t").rglob("*.parquet")))
    for outside in (5, None):
        with pytest.raises(DataError, match="do not match"):
            days.overwrite({"day": ["a", "a"], "id": [1, outside]}, where="id = 1")
    assert len(list((tmp_path / "t").rglob("*.parquet"))) == before
    assert days.refresh().version == 1


def test_a_stale_overwrite_where_uploads_its_rows_once(days, table_on, tmp_path):
    driver = CountingDriver(am.store.open_store(days.url).driver)
    stale = table_on(driver)
    days.append({"day": ["a"], "id": [1], "value": [7.0]})
    result = stale.overwrite({"day": ["q"], "id": [1], "value": [0.0]}, where="id = 1")
    assert result.rows_deleted == 2
    assert ids(stale) == [1, 2, 3, 4]
    puts = [r.path for r in driver.requests if r.method == "put" and "day=q" in r.path]
    assert len(puts) == 1
    named = {
        path.rpartition("/")[2] for path in am.Table.open(days.url).files()["path"].to_pylist()
    }
    removed_ones = 2  # the file with ids 1 and 2, and the other handle's file
    there = {path.name for path in (tmp_path / "t").rglob("*.parquet")}
    assert named <= there
    assert len(there) == len(named) + removed_ones


def test_a_stale_overwrite_where_without_rows_removes_what_was_added_since(days):
    stale = am.Table.open(days.url)
    days.append({"day": ["c"], "id": [100], "value": [0.0]})
    assert stale.overwrite([], where="id = 100").rows_deleted == 1
    assert ids(stale) == [1, 2, 3, 4]


def test_dynamic_overwrite_replaces_the_partitions_it_has_rows_of(days):
    days.overwrite({"day": ["a", None], "id": [10, 40], "value": [0.0, 0.0]}, partitions="dynamic")
    assert ids(days) == [3, 10, 40]


def test_an_overwrite_that_does_not_say_clearly_what_to_replace_is_refused(days):
    data = {"day": ["a"], "id": [1], "value": [0.0]}
    with pytest.raises(DataError, match="both"):
        days.overwrite(data, where="id = 1", partitions="dynamic")
    with pytest.raises(DataError, match="'dynamic' or None"):
        days.overwrite(data, partitions="static")
