"""Appends that bring columns of their own."""

import json
import threading

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import atomic_manifest as am
import atomic_manifest.pandas
from atomic_manifest.errors import (
    CommitConflict,
    DataError,
    SchemaMismatch,
    TableIsAppendOnly,
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


NAIVE = pa.table({"id": [1], "at": pa.array([0], pa.timestamp("us"))})


def actions_of(url, version, kind):
    lines = map(json.loads, entry(url, version).splitlines())
    return [line[kind] for line in lines if kind in line]


@pytest.mark.parametrize("depth", ["column", "field", "element"])
def test_a_new_column_turns_on_the_feature_that_it_needs_in_the_same_commit(url, depth):
    moments = NAIVE["at"].combine_chunks()
    column = {
        "column": moments,
        "field": pa.StructArray.from_arrays([moments], ["t"]),
        "element": pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), moments),
    }[depth]
    table = am.Table.open(url)
    table.append(ROW)
    table.append(pa.table({"id": [2], "at": column}), schema_mode="merge")
    (protocol,) = actions_of(url, 2, "protocol")
    assert protocol == {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["timestampNtz"],
        "writerFeatures": ["appendOnly", "invariants", "timestampNtz"],
    }
    rows = am.Table.open(url).to_arrow().sort_by("id")
    assert rows["at"].to_pylist() == [None, *column.to_pylist()]
    assert DeltaTable(url).to_pyarrow_table().sort_by("id").to_pylist() == rows.to_pylist()
    table.append(pa.table({"id": [3], "at": column}), schema_mode="merge")
    assert actions_of(url, 3, "protocol") == []


def test_an_append_lands_beside_a_feature_that_was_turned_on_meanwhile(url):
    first, second, third = (am.Table.open(url) for _ in range(3))
    first.append(NAIVE, schema_mode="merge")
    second.append(ROW)
    third.append(WIDE, schema_mode="merge")
    table = am.Table.open(url)
    assert table.schema.names == ["id", "at", "name"]
    assert table.to_arrow().num_rows == 3


WRITES = {
    "append": lambda table, rows: table.append(rows, schema_mode="merge"),
    "overwrite": lambda table, rows: table.overwrite(rows, schema_mode="merge"),
    "overwrite where": lambda table, rows: table.overwrite(
        rows, where="id >= 2", schema_mode="merge"
    ),
    "overwrite where new": lambda table, rows: table.overwrite(
        rows, where="name = 'b'", schema_mode="merge"
    ),
    "write_dataset": lambda table, rows: am.write_dataset(
        rows, table.url, schema_mode="merge", existing_data_behavior="overwrite_or_ignore"
    ),
    "write_dataset, matching": lambda table, rows: am.write_dataset(
        rows, table.url, schema_mode="merge", existing_data_behavior="delete_matching"
    ),
    "to_table": lambda table, rows: am.pandas.to_table(
        rows.to_pandas(), table.url, mode="overwrite", schema_mode="merge"
    ),
    "accessor": lambda table, rows: rows.to_pandas().atomic.overwrite(
        table.url, schema_mode="merge"
    ),
    "a stream": lambda table, rows: table.append(iter([rows]), schema_mode="merge"),
}
REPLACING = {"overwrite", "write_dataset, matching", "to_table", "accessor"}


@pytest.mark.parametrize("name", WRITES)
def test_every_way_to_write_takes_schema_mode(url, name):
    table = am.Table.open(url)
    table.append(ROW)
    WRITES[name](table, WIDE)
    table.refresh()
    expected = [{"id": 1, "name": None}, {"id": 2, "name": "b"}]
    assert table.to_arrow().sort_by("id").to_pylist() == expected[name in REPLACING :]
    assert table.version == 2
    assert len(actions_of(url, 2, "metaData")) == 1
    with pytest.raises(DataError, match="schema_mode"):
        table.overwrite(ROW, schema_mode="replace")


def test_a_transaction_sees_the_columns_that_it_adds(url):
    table = am.Table.open(url)
    table.append(ROW)
    with table.transaction() as tx:
        tx.append(WIDE, schema_mode="merge")
        assert tx.read(filter="name = 'b'").to_pylist() == [{"id": 2, "name": "b"}]
        tx.overwrite(pa.table({"id": [1], "size": [0.5]}), where="id = 1", schema_mode="merge")
        assert tx.delete("name = 'b' and size is null") == 1
        tx.append(pa.table({"id": [3], "at": NAIVE["at"]}), schema_mode="merge")
    table = am.Table.open(url)
    assert table.version == 2
    assert table.to_arrow(["id", "name", "size"]).sort_by("id").to_pylist() == [
        {"id": 1, "name": None, "size": 0.5},
        {"id": 3, "name": None, "size": None},
    ]
    assert table.schema.names == ["id", "name", "size", "at"]


def test_an_operation_that_raises_leaves_the_transaction_without_its_columns(tmp_path):
    table = am.Table.create(tmp_path / "t", ROW.schema, configuration={"delta.appendOnly": "true"})
    table.append(ROW)
    with table.transaction() as tx:
        for where in (None, "id >= 1", "name = 'b' or id = 1"):
            with pytest.raises(TableIsAppendOnly):
                tx.overwrite(WIDE, where=where, schema_mode="merge")
        assert tx.read().schema.names == ["id"]
        tx.append(ROW)
    assert am.Table.open(tmp_path / "t").schema.names == ["id"]


def test_a_transaction_that_fails_adds_no_column(url):
    def fails(tx):
        tx.append(WIDE, schema_mode="merge")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        am.Table.open(url).run(fails)
    assert am.Table.open(url).schema.names == ["id"]
    assert not [*url.glob("*.parquet")]


XY = pa.struct([("x", pa.int64()), ("y", pa.int64())])
LAYOUTS = {
    "list": pa.array([[{"x": 2, "y": 3}]], pa.list_(XY)),
    "large list": pa.array([[{"x": 2, "y": 3}]], pa.large_list(XY)),
    "list view": pa.array([[{"x": 2, "y": 3}]], pa.list_view(XY)),
    "large list view": pa.array([[{"x": 2, "y": 3}]], pa.large_list_view(XY)),
    "fixed-size list": pa.array([[{"x": 2, "y": 3}]], pa.list_(XY, 1)),
    "dictionary": pa.DictionaryArray.from_arrays(
        pa.array([0]), pa.array([[{"x": 2, "y": 3}]], pa.list_view(XY))
    ),
    "run ends": pa.RunEndEncodedArray.from_arrays(
        pa.array([1], pa.int32()), pa.array([[{"x": 2, "y": 3}]], pa.list_(XY))
    ),
    "list of dictionaries": pa.ListArray.from_arrays(
        pa.array([0, 1], pa.int32()),
        pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([{"x": 2, "y": 3}], XY)),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fields_are_found_in_every_layout(tmp_path, layout):
    am.append(tmp_path / "t", pa.table({"s": [[{"x": 1}]]}))
    am.append(tmp_path / "t", pa.table({"s": LAYOUTS[layout]}), schema_mode="merge")
    rows = am.read_table(tmp_path / "t")["s"].to_pylist()
    assert sorted(rows, key=str) == [[{"x": 1, "y": None}], [{"x": 2, "y": 3}]]


def test_fields_are_found_in_values_of_maps(tmp_path):
    kind = pa.map_(pa.string(), pa.large_list(pa.struct([("x", pa.int64())])))
    wide = pa.map_(pa.string(), pa.list_view(XY))
    am.append(tmp_path / "t", pa.table({"m": pa.array([[("k", [{"x": 1}])]], kind)}))
    am.append(
        tmp_path / "t",
        pa.table({"m": pa.array([[("k", [{"x": 2, "y": 3}])]], wide)}),
        schema_mode="merge",
    )
    rows = am.read_table(tmp_path / "t")["m"].to_pylist()
    assert sorted(rows, key=str) == [[("k", [{"x": 1, "y": None}])], [("k", [{"x": 2, "y": 3}])]]


def test_an_unknown_mode_is_refused(url):
    with pytest.raises(DataError, match="schema_mode"):
        am.Table.open(url).append(ROW, schema_mode="overwrite")


def test_append_to_a_url_merges_too(url):
    am.append(url, WIDE, schema_mode="merge")
    assert am.Table.open(url).schema.names == ["id", "name"]
