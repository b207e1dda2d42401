"""Columns that began with nothing but null: left out until something tells their type."""

import json

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

import atomic_manifest as am
import atomic_manifest.pandas
from atomic_manifest.errors import DataError, InvalidSchema, SchemaMismatch
from tests.interop.conftest import read_duckdb


def duckdb_rows(url):
    table = read_duckdb(url)
    return table.schema.names, sorted((tuple(row.values()) for row in table.to_pylist()), key=str)


FIRST = pa.table({"a": [1], "b": pa.nulls(1)})


def test_a_column_of_nulls_gets_a_type_by_merge_and_other_engines_read_all_along(tmp_path):
    url = str(tmp_path / "t")
    am.append(url, FIRST)
    assert am.Table.open(url).schema.names == ["a"]
    assert duckdb_rows(url) == (["a"], [(1,)])
    assert DeltaTable(url).to_pyarrow_table().to_pylist() == [{"a": 1}]
    am.append(url, FIRST)
    with pytest.raises(SchemaMismatch, match="not in the table .*: 'b'"):
        am.append(url, pa.table({"a": [2], "b": ["x"]}))
    am.append(url, pa.table({"a": [2], "b": ["x"]}), schema_mode="merge")
    am.append(url, FIRST, schema_mode="merge")
    assert am.read_table(url).sort_by("a")["b"].to_pylist() == [None, None, None, "x"]
    assert duckdb_rows(url) == (["a", "b"], [(1, None), (1, None), (1, None), (2, "x")])


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(1),
        pa.nulls(1).dictionary_encode(),
        pd.Series([None], dtype=object),
    ],
    ids=["null", "dictionary", "objects"],
)
def test_every_column_that_tells_no_type_is_left_out(column):
    url = f"memory://void-{id(column)}"
    given = pa.array(column) if isinstance(column, pa.Array) else None
    rows = pd.DataFrame({"a": [1], "b": column}) if given is None else {"a": [1], "b": given}
    for _ in range(2):
        am.append(url, rows)
    assert am.Table.open(url).schema.names == ["a"]
    am.write_dataset(rows, url + "-dataset")
    assert am.Table.open(url + "-dataset").schema.names == ["a"]


def test_fields_of_structs_are_left_out_too():
    url = "memory://void-fields"
    am.append(url, pa.table({"s": [[{"x": 1, "y": None}]]}))
    am.append(url, pa.table({"s": [[{"x": 2, "y": None}]]}))
    am.append(url, pa.table({"s": [[{"x": 3, "y": "b"}]]}), schema_mode="merge")
    rows = [row[0] for row in am.read_table(url)["s"].to_pylist()]
    assert sorted(rows, key=lambda row: row["x"]) == [
        {"x": 1, "y": None},
        {"x": 2, "y": None},
        {"x": 3, "y": "b"},
    ]


@pytest.mark.parametrize(
    "column", [pa.array(["x"]), pa.array([1.5]), pa.array([[{"k": 1}]]), pa.array([0], pa.date32())]
)
def test_a_void_column_that_is_there_reads_as_null_and_gets_a_type_by_merge(column):
    url = f"memory://void-{column.type}"
    table = am.Table.create(url, pa.schema([("a", pa.int64()), ("b", pa.null())]))
    table.append(pa.table({"a": [1], "b": pa.nulls(1)}))
    given = pa.table({"a": [2], "b": column})
    with pytest.raises(SchemaMismatch, match="without a type"):
        table.append(given)
    table.append(given, schema_mode="merge")
    table.append(pa.table({"a": [3]}))
    table.delete("a = 3")
    assert table.to_arrow().sort_by("a")["b"].to_pylist() == [None, *column.to_pylist()]


def test_a_void_field_gets_a_type_by_merge():
    url = "memory://void-field"
    table = am.Table.create(url, pa.schema([("s", pa.struct([("f", pa.null())]))]))
    table.append(pa.table({"s": [{"f": 1.5}]}), schema_mode="merge")
    assert table.to_arrow()["s"].to_pylist() == [{"f": 1.5}]


def test_two_types_for_one_void_column_conflict():
    url = "memory://void-of-two-types"
    am.Table.create(url, pa.schema([("a", pa.int64()), ("b", pa.null())]))
    first, second, third = (am.Table.open(url) for _ in range(3))
    first.append(pa.table({"a": [1], "b": ["x"]}), schema_mode="merge")
    with pytest.raises(SchemaMismatch, match="meanwhile"):
        second.append(pa.table({"a": [1], "b": [1]}), schema_mode="merge")
    third.append(pa.table({"a": [2], "b": pa.nulls(1)}))
    assert am.read_table(url).sort_by("a")["b"].to_pylist() == ["x", None]


def test_rows_of_nothing_but_nulls_make_no_table():
    url = "memory://nothing-but-void"
    with pytest.raises(InvalidSchema, match="every column is void"):
        am.append(url, pa.table({"a": pa.nulls(2)}))
    with pytest.raises(InvalidSchema, match="p: partition column of type void"):
        am.append(url, pa.table({"a": [1], "p": pa.nulls(1)}), partition_by=["p"])
    assert not am.Table.exists(url)


def test_a_new_table_has_unsigned_integers_of_64_bits_as_long():
    url = "memory://unsigned-64"
    am.append(url, pd.DataFrame({"i": pd.Series([2**63 - 1], dtype="uint64"), "l": [[1]]}))
    assert am.Table.open(url).schema.field("i").type == pa.int64()
    assert am.pandas.read_table(url)["i"].tolist() == [2**63 - 1]
    frame = pd.DataFrame({"i": pd.Series([1, 2**63], dtype="uint64"), "l": [[1], [2]]})
    with pytest.raises(DataError, match=rf"column 'i': .*{2**63}.* row 1 "):
        am.append(url, frame)


def test_what_tables_note_of_columns_is_not_taken_into_others(tmp_path):
    url = str(tmp_path / "t")
    am.append(url, pa.table({"a": [1]}))
    notes = {"delta.columnMapping.id": "1", "delta.columnMapping.physicalName": "col-1"}
    field = pa.field("b", pa.struct([pa.field("c", pa.int64(), metadata=notes)]), metadata=notes)
    given = pa.table([[2], [{"c": 1}]], schema=pa.schema([("a", pa.int64()), field]))
    am.append(url, given, schema_mode="merge")
    lines = (tmp_path / "t" / "_delta_log" / f"{1:020}.json").read_text().splitlines()
    metadata = next(json.loads(line)["metaData"] for line in lines if "metaData" in line)
    assert "columnMapping" not in metadata["schemaString"]
