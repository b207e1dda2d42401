"""What the protocol keeps with one table's columns stays in that table's log."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from duckdb_extensions import import_extension

import atomic_manifest as am

KEYS = {
    "delta.columnMapping.id": "1",
    "delta.columnMapping.physicalName": "col-1",
    "delta.generationExpression": "b + 1",
    "delta.identity.start": "1",
    "delta.identity.step": "1",
    "delta.typeChanges": '[{"fromType": "short", "toType": "long"}]',
    "delta.invariants": '{"expression": {"expression": "a > 3"}}',
    "CURRENT_DEFAULT": "7",
    "EXISTS_DEFAULT": "7",
    "parquet.field.id": "9",
}
OWN = {"comment": "what it is", "mine": "1"}


def field(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, metadata={**KEYS, **OWN})


INNER = field("x", pa.int64())
KINDS = {
    "int": (pa.int64(), 1),
    "struct": (pa.struct([INNER]), {"x": 1}),
    "list": (pa.list_(pa.struct([INNER])), [{"x": 1}]),
    "large list": (pa.large_list(pa.struct([INNER])), [{"x": 1}]),
    "list view": (pa.list_view(pa.struct([INNER])), [{"x": 1}]),
    "fixed list": (pa.list_(pa.struct([INNER]), 1), [{"x": 1}]),
    "map": (pa.map_(pa.string(), pa.struct([INNER])), [("k", {"x": 1})]),
    "deep": (pa.struct([pa.field("s", pa.list_(pa.struct([INNER])))]), {"s": [{"x": 1}]}),
}


def merged(url: str, data: pa.Table) -> None:
    am.append(url, pa.table({"first": [1]}))
    am.append(url, data, schema_mode="merge")


NEW: dict[str, Callable[[str, pa.Table], Any]] = {
    "append": am.append,
    "stream": lambda url, data: am.append(url, data.to_reader()),
    "batches": lambda url, data: am.append(url, iter(data.to_batches())),
    "dataset": lambda url, data: am.append(url, ds.dataset(data)),
    "write_dataset": lambda url, data: am.write_dataset(data, url),
    "merge": merged,
}


def logged(url: Path | str) -> str:
    return "".join(file.read_text() for file in sorted(Path(url, "_delta_log").glob("*.json")))


@pytest.mark.parametrize("write", NEW.values(), ids=NEW)
@pytest.mark.parametrize(("kind", "value"), KINDS.values(), ids=KINDS)
def test_keys_of_another_table_do_not_get_into_a_table(tmp_path, kind, value, write):
    data = pa.table([pa.array([value], kind)], schema=pa.schema([field("a", kind)]))
    write(str(tmp_path / "t"), data)
    assert [key for key in KEYS if key in logged(tmp_path / "t")] == []
    rows = am.read_table(tmp_path / "t", columns=["a"])
    assert rows["a"].to_pylist()[-1] == value


def test_comments_and_keys_of_the_users_stay(tmp_path):
    data = pa.table([[1]], schema=pa.schema([field("a", pa.int64())]))
    am.append(tmp_path / "t", data)
    table = am.Table.open(tmp_path / "t")
    assert table.schema.field("a").metadata == {b"comment": b'"what it is"', b"mine": b"1"}


def test_a_copy_of_a_mapped_table_is_read_by_duckdb(tmp_path):
    field = pa.field(
        "a",
        pa.int64(),
        metadata={"delta.columnMapping.id": "1", "delta.columnMapping.physicalName": "col-1"},
    )
    schema = pa.schema([field])
    am.append(tmp_path / "data", pa.table([[1]], schema=schema))
    am.Table.create(tmp_path / "schema", schema).append({"a": [1]})
    import_extension("delta")
    connection = duckdb.connect()
    connection.execute("load delta")
    for name in ("data", "schema"):
        found = connection.sql(f"select * from delta_scan('{tmp_path / name}')").fetchall()
        assert found == [(1,)]


def with_keys(url: Path, keys: dict[str, Any]) -> None:
    """Give the only column of a table of one entry these keys."""
    entry = url / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    for line in lines:
        if "metaData" in line:
            schema = json.loads(line["metaData"]["schemaString"])
            schema["fields"][0]["metadata"] |= keys
            line["metaData"]["schemaString"] = json.dumps(schema)
        line.get("commitInfo", {}).pop("atomicManifest", None)
    lines = [line for line in lines if "seal" not in json.dumps(line)[:20]]
    entry.write_text("".join(json.dumps(line) + "\n" for line in lines))
    entry.with_suffix(".crc").unlink(missing_ok=True)


def read_in_transaction(table: am.Table) -> pa.Schema:
    with table.transaction() as tx:
        return tx.read(["a"]).schema


READS: dict[str, Callable[[am.Table], pa.Schema]] = {
    "schema": lambda table: table.schema,
    "to_arrow": lambda table: table.to_arrow().schema,
    "to_arrow of columns": lambda table: table.to_arrow(["a"], filter="a > 0").schema,
    "to_dataset": lambda table: table.to_dataset().schema,
    "to_batches": lambda table: table.to_batches().schema,
    "stream": lambda table: pa.table(table).schema,
    "read_table": lambda table: am.read_table(table.url).schema,
    "transaction": read_in_transaction,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_keys_are_not_shown_in_what_is_read_and_stay_in_the_log(tmp_path, read):
    url = tmp_path / "t"
    am.append(url, pa.table({"a": [1]}))
    with_keys(url, {"delta.typeChanges": [], "parquet.field.id": 4, "comment": "kept"})
    table = am.Table.open(url)
    assert read(table).field("a").metadata == {b"comment": b'"kept"'}
    table.append({"a": [2], "b": [1]}, schema_mode="merge")
    string = am.Table.open(url)._handle.snapshot.metadata.schema_string
    kept = json.loads(string)["fields"][0]["metadata"]
    assert kept == {"delta.typeChanges": [], "parquet.field.id": 4, "comment": "kept"}


def mapped(field: pa.Field, number: int) -> dict[str, Any]:
    """A field of a schema string whose files call it by a physical name."""
    kind: Any = "long"
    if pa.types.is_struct(field.type):
        inner = [mapped(each, 10 * number + at) for at, each in enumerate(field.type)]
        kind = {"type": "struct", "fields": inner}
    names = {"id": number, "physicalName": f"col-{number}"}
    return {
        "name": field.name,
        "type": kind,
        "nullable": True,
        "metadata": {f"delta.columnMapping.{key}": value for key, value in names.items()},
    }


@pytest.fixture
def mapped_table(tmp_path) -> am.Table:
    """A table of another writer that maps its columns, nested ones too."""
    schema = pa.schema([("a", pa.int64()), ("s", pa.struct([("x", pa.int64())]))])
    fields = [mapped(field, number + 1) for number, field in enumerate(schema)]
    root = tmp_path / "mapped"
    (root / "_delta_log").mkdir(parents=True)
    rows = pa.table({"col-1": [1], "col-2": [{"col-20": 5}]})
    pq.write_table(rows, root / "f.parquet")
    metadata = {
        "id": "t",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {"delta.columnMapping.mode": "name"},
    }
    size = (root / "f.parquet").stat().st_size
    add = {"path": "f.parquet", "partitionValues": {}, "size": size, "modificationTime": 0}
    actions = [
        {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}},
        {"metaData": metadata},
        {"add": add | {"dataChange": True}},
    ]
    entry = root / "_delta_log" / f"{0:020}.json"
    entry.write_text("".join(json.dumps(action) + "\n" for action in actions))
    return am.Table.open(root)


def keys_in(schema: pa.Schema) -> list[bytes]:
    nested = [inner for field in schema if pa.types.is_struct(field.type) for inner in field.type]
    return [key for field in (*schema, *nested) for key in field.metadata or ()]


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_names_in_files_are_not_shown_in_what_is_read(mapped_table, read):
    assert keys_in(read(mapped_table)) == []


def test_what_is_read_of_a_mapped_table_makes_a_table_that_all_read(mapped_table, tmp_path):
    rows = mapped_table.to_arrow()
    assert rows.to_pylist() == [{"a": 1, "s": {"x": 5}}]
    assert keys_in(pa.Table.from_batches(list(mapped_table.to_batches())).schema) == []
    am.append(tmp_path / "copy", mapped_table)
    am.Table.create(tmp_path / "made", mapped_table.schema).append(rows)
    for name in ("copy", "made"):
        assert "columnMapping" not in logged(tmp_path / name)
        assert am.read_table(tmp_path / name).equals(rows)


def test_a_mapped_table_keeps_its_names_over_a_delete(mapped_table):
    mapped_table.append({"a": [2], "s": [{"x": 6}]})
    mapped_table.delete("a = 1")
    assert am.read_table(mapped_table.url).to_pylist() == [{"a": 2, "s": {"x": 6}}]
    assert "col-20" in mapped_table._handle.snapshot.metadata.schema_string
