"""Appends that bring columns of their own."""

import threading

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import atomic_manifest as am
from atomic_manifest.errors import (
    CommitConflict,
    DataError,
    SchemaMismatch,
    UnsupportedTableFeature,
)

ROW = pa.table({"id": [1]})
WIDE = pa.table({"id": [2], "name": ["b"]})


@pytest.fixture
def url(tmp_path):
    am.Table.create(tmp_path / "t", ROW.schema)
    return tmp_path / "t"


def entry(url, version):
    return (url / "_delta_log" / f"{version:020}.json").read_text()


def test_merge_adds_the_column_in_the_commit_that_brings_it(url):
    table = am.Table.open(url)
    table.append(ROW)
    result = table.append(WIDE, schema_mode="merge")
    assert result.version == table.version == 2
    assert '"metaData"' in entry(url, 2)
    assert table.schema.names == ["id", "name"]
    rows = am.Table.open(url).to_arrow().sort_by("id")
    assert rows.to_pylist() == [{"id": 1, "name": None}, {"id": 2, "name": "b"}]
    assert DeltaTable(url).to_pyarrow_table().sort_by("id").to_pylist() == rows.to_pylist()


def test_without_merge_a_new_column_is_an_error_and_nothing_is_written(url):
    with pytest.raises(SchemaMismatch, match="name"):
        am.Table.open(url).append(WIDE)
    assert not [*url.glob("*.parquet")]


def test_a_merge_that_changes_nothing_writes_no_metadata(url):
    """delta-rs#3829."""
    table = am.Table.open(url)
    table.append(ROW, schema_mode="merge")
    table.append(pa.table({"id": pa.array([3], pa.int32())}), schema_mode="merge")
    assert '"metaData"' not in entry(url, 1) + entry(url, 2)


def test_two_merges_of_one_column_both_land_and_one_of_them_adds_it(url):
    first, second = am.Table.open(url), am.Table.open(url)
    first.append(WIDE, schema_mode="merge")
    second.append(WIDE, schema_mode="merge")
    assert '"metaData"' in entry(url, 1)
    assert '"metaData"' not in entry(url, 2)
    assert am.Table.open(url).to_arrow().num_rows == 2


def test_two_merges_of_different_columns_keep_both(url):
    first, second = am.Table.open(url), am.Table.open(url)
    first.append(WIDE, schema_mode="merge")
    second.append(pa.table({"id": [3], "size": [1.5]}), schema_mode="merge")
    rows = am.Table.open(url).to_arrow().sort_by("id")
    assert rows.schema.names == ["id", "name", "size"]
    assert rows.to_pylist()[1] == {"id": 3, "name": None, "size": 1.5}


def test_two_merges_of_one_name_with_two_types_conflict_and_leave_no_file(url):
    first, second = am.Table.open(url), am.Table.open(url)
    first.append(WIDE, schema_mode="merge")
    with pytest.raises((SchemaMismatch, CommitConflict)):
        second.append(pa.table({"id": [3], "name": [7]}), schema_mode="merge")
    assert len([*url.glob("*.parquet")]) == 1


def test_an_append_lands_beside_a_column_that_was_added_meanwhile(url):
    first, second = am.Table.open(url), am.Table.open(url)
    first.append(WIDE, schema_mode="merge")
    second.append(ROW)
    assert am.Table.open(url).to_arrow().num_rows == 2


def test_threads_that_merge_on_one_handle_all_land(url):
    table = am.Table.open(url)
    errors = []

    def append(number):
        try:
            table.append(pa.table({"id": [number], f"c{number % 2}": [1]}), schema_mode="merge")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert am.Table.open(url).to_arrow().num_rows == 8
    assert set(table.schema.names) == {"id", "c0", "c1"}


def test_a_new_column_that_needs_a_feature_is_refused_by_name(url):
    data = pa.table({"id": [1], "at": pa.array([0], pa.timestamp("us"))})
    with pytest.raises(UnsupportedTableFeature) as caught:
        am.Table.open(url).append(data, schema_mode="merge")
    assert caught.value.names == ("timestampNtz",)


def test_an_unknown_mode_is_refused(url):
    with pytest.raises(DataError, match="schema_mode"):
        am.Table.open(url).append(ROW, schema_mode="overwrite")


def test_append_to_a_url_merges_too(url):
    am.append(url, WIDE, schema_mode="merge")
    assert am.Table.open(url).schema.names == ["id", "name"]
