"""Names of columns are kept in their case and compared without regard to it, in files, log and filters."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import atomic_manifest as am
import atomic_manifest.data.read.stream as stream_module
from atomic_manifest.errors import (
    CommitConflict,
    CorruptLog,
    DataError,
    InvalidFilter,
    InvalidSchema,
    SchemaMismatch,
)
from atomic_manifest.log.metadata.schema import to_delta

ROWS = pa.table({"id": [10, 20], "v": ["a", "b"]})
OURS = "part-00000-" + "0" * 32 + ".parquet"


def converted(
    root: Path,
    schema: pa.Schema,
    files: dict[str, pa.Table],
    *,
    partition_by: tuple[str, ...] = (),
    **add: Any,
) -> am.Table:
    """A table over files that somebody else wrote."""
    am.Table.create(root, schema, partition_by=partition_by)
    lines = []
    for name, rows in files.items():
        pq.write_table(rows, root / name)
        action = {"path": name, "partitionValues": {}, "size": (root / name).stat().st_size,
                  "modificationTime": 0, "dataChange": True, **add}  # fmt: skip
        lines.append(json.dumps({"add": action}))
    (root / "_delta_log" / f"{1:020}.json").write_text("\n".join(lines) + "\n")
    return am.Table.open(root)


def begun_by_others(root: Path, schema_string: str, partition_columns: list[str]) -> None:
    """Let the first entry be another writer's."""
    metadata = {"id": "t", "format": {"provider": "parquet", "options": {}}, "configuration": {},
                "schemaString": schema_string, "partitionColumns": partition_columns}  # fmt: skip
    protocol = {"minReaderVersion": 1, "minWriterVersion": 2}
    lines = [json.dumps({"protocol": protocol}), json.dumps({"metaData": metadata})]
    (root / "_delta_log" / f"{0:020}.json").write_text("\n".join(lines) + "\n")


def read_in_every_way(table: am.Table, filter: Any = None) -> dict[str, list[Any]]:
    names = table.schema.names
    dataset = table.to_dataset(filter)
    read = {
        "to_arrow": table.to_arrow(filter=filter),
        "to_batches": table.to_batches(filter=filter).read_all(),
        "to_table": dataset.to_table(),
        "scanner": dataset.scanner().to_table(),
        "batches": pa.Table.from_batches(dataset.to_batches(), dataset.schema),
        "columns": dataset.scanner(columns={name: ds.field(name) for name in names}).to_table(),
        "transaction": table.run(lambda tx: tx.read(filter=filter)).value,
    }
    return {name: rows.to_pylist() for name, rows in read.items()}


def assert_reads(table: am.Table, rows: list[Any], filter: Any = None) -> None:
    read = read_in_every_way(table, filter)
    assert all(found == rows for found in read.values()), read


@pytest.mark.parametrize("name", ["f.parquet", "part-00000-x-c000.snappy.parquet"])
@pytest.mark.parametrize("names", [["ID", "v"], ["Id", "V"], ["id", "V"]])
def test_a_file_has_its_columns_in_another_case(
    tmp_path: Path, names: list[str], name: str
) -> None:
    table = converted(tmp_path, ROWS.schema, {name: ROWS.rename_columns(names)})
    assert_reads(table, ROWS.to_pylist())
    assert_reads(table, ROWS.to_pylist()[:1], "id = 10")
    assert_reads(table, ROWS.to_pylist()[1:], ds.field("v") == "b")
    assert_reads(table, [], "id IS NULL")
    assert table.delete("v = 'a'").rows_deleted == 1
    assert_reads(table, ROWS.to_pylist()[1:])
    (written,) = [path for path in tmp_path.glob("part-*.parquet") if path.name != name]
    assert pq.read_table(written).to_pylist() == ROWS.to_pylist()[1:]


def test_a_file_that_is_called_like_ours_is_read_right_where_it_costs_nothing(
    tmp_path: Path,
) -> None:
    table = converted(tmp_path, ROWS.schema, {OURS: ROWS.rename_columns(["ID", "v"])})
    assert table.to_arrow().equals(ROWS)
    assert table.to_batches().read_all().equals(ROWS)
    assert table.overwrite({"id": [10], "v": ["c"]}, where="id = 10").rows_deleted == 1
    assert sorted(table.to_arrow()["v"].to_pylist()) == ["b", "c"]


@pytest.mark.parametrize("whole", [0, 16 << 20])
def test_such_a_file_among_others(
    tmp_path: Path, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "_WHOLE_BYTES", whole)
    files = {"a.parquet": ROWS, "b.parquet": ROWS.rename_columns(["ID", "v"]), "c.parquet": ROWS}
    table = converted(tmp_path, ROWS.schema, files)
    for rows in read_in_every_way(table).values():
        assert sorted(row["id"] for row in rows) == [10, 10, 10, 20, 20, 20]
    assert table.delete("id = 10").rows_deleted == 3
    assert table.to_arrow()["v"].to_pylist() == ["b", "b", "b"]


NESTED = {
    "struct": ([{"x": 1, "y": {"z": 2}}, None], {"x": "X", "y": "Y", "z": "Z"}),
    "list": ([[{"x": 1}], None], {"x": "X"}),
    "list of lists": ([[[{"x": 1}], None]], {"x": "X"}),
    "map": ([[("k", {"x": 1})], None], {"x": "X"}),
}


def renamed(kind: pa.DataType, names: dict[str, str]) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct(
            [pa.field(names.get(f.name, f.name), renamed(f.type, names)) for f in kind]
        )
    if pa.types.is_map(kind):
        return pa.map_(kind.key_type, renamed(kind.item_type, names))
    return pa.list_(renamed(kind.value_type, names)) if pa.types.is_list(kind) else kind


@pytest.mark.parametrize(("values", "names"), NESTED.values(), ids=NESTED)
def test_fields_at_any_depth(tmp_path: Path, values: list[Any], names: dict[str, str]) -> None:
    kind = (
        pa.map_(pa.string(), pa.struct([("x", pa.int64())]))
        if "k" in str(values)
        else pa.array(values).type
    )
    right = pa.table({"n": range(len(values)), "s": pa.array(values, kind)})
    there = right.set_column(1, "S", right["s"].combine_chunks().view(renamed(kind, names)))
    table = converted(tmp_path, right.schema, {"f.parquet": there})
    assert_reads(table, right.to_pylist())
    assert table.delete("n = 0").rows_deleted == 1
    assert_reads(table, right.to_pylist()[1:])


def test_a_filter_on_a_nested_field(tmp_path: Path) -> None:
    right = pa.table({"s": [{"x": 1}, {"x": 2}]})
    there = pa.table({"s": [{"X": 1}, {"X": 2}]})
    table = converted(tmp_path, right.schema, {"f.parquet": there})
    assert_reads(table, right.to_pylist()[1:], "s.x = 2")
    assert_reads(table, right.to_pylist()[1:], "S.X = 2")


def test_the_exact_name_comes_first(tmp_path: Path) -> None:
    there = ROWS.append_column("ID", pa.array([1, 2]))
    assert_reads(converted(tmp_path, ROWS.schema, {"f.parquet": there}), ROWS.to_pylist())


def test_several_names_that_differ_by_case_are_an_error(tmp_path: Path) -> None:
    there = ROWS.rename_columns(["ID", "v"]).append_column("Id", pa.array([1, 2]))
    table = converted(tmp_path, ROWS.schema, {"f.parquet": there})
    for read in (table.to_arrow, table.to_batches().read_all, lambda: table.delete("id = 1")):
        with pytest.raises(CorruptLog, match=r"f\.parquet: column 'id'.*'ID', 'Id'"):
            read()


@pytest.mark.parametrize(
    ("required", "there", "column"),
    [
        (pa.field("id", pa.int64(), nullable=False), pa.table({"v": ["a"]}), "id"),
        (
            pa.field("s", pa.struct([pa.field("x", pa.int64(), nullable=False)])),
            pa.table({"v": ["a"], "s": [{"y": 1}]}),
            "x",
        ),
        (
            pa.field("s", pa.list_(pa.struct([pa.field("x", pa.int64(), nullable=False)]))),
            pa.table({"v": ["a"], "s": [[{"y": 1}]]}),
            "x",
        ),
    ],
)
def test_a_required_column_that_a_file_lacks_is_an_error(
    tmp_path: Path, required: pa.Field, there: pa.Table, column: str
) -> None:
    schema = pa.schema([required, ("v", pa.string())])
    table = converted(tmp_path, schema, {"f.parquet": there})
    reads: list[Callable[[], Any]] = [
        table.to_arrow,
        table.to_batches().read_all,
        lambda: table.to_dataset().to_table(),
        lambda: table.to_dataset().scanner().to_table(),
        lambda: table.run(lambda tx: tx.read()),
        lambda: table.overwrite({}, where="v = 'b'"),
    ]
    for read in reads[:-1]:
        with pytest.raises(CorruptLog, match=rf"f\.parquet.*requires '{column}'"):
            read()


def test_a_column_that_may_be_null_and_is_not_there_is_null(tmp_path: Path) -> None:
    table = converted(tmp_path, ROWS.schema, {"f.parquet": ROWS.select(["v"])})
    assert_reads(table, [{"id": None, "v": "a"}, {"id": None, "v": "b"}])


def partitioned(root: Path, key: str = "K", column: str = "k", **add: Any) -> am.Table:
    schema = pa.schema([("id", pa.int64()), ("k", pa.string())])
    table = converted(
        root, schema, {"f.parquet": pa.table({"id": [1]})}, partition_by=("k",),
        partitionValues={key: "a"}, **add,
    )  # fmt: skip
    begun_by_others(root, to_delta(schema), [column])
    return am.Table.open(table.url)


@pytest.mark.parametrize(("key", "column"), [("K", "k"), ("k", "K"), ("K", "K")])
def test_partitions_of_the_log_are_in_another_case(tmp_path: Path, key: str, column: str) -> None:
    table = partitioned(tmp_path, key, column)
    assert table.partition_columns == ("k",)
    assert_reads(table, [{"id": 1, "k": "a"}])
    assert_reads(table, [{"id": 1, "k": "a"}], "k = 'a'")
    assert_reads(table, [], "k IS NULL")
    assert_reads(table, [], [("k", "!=", "a")])
    assert table.files("k = 'b'").num_rows == 0
    table.append({"id": [2], "k": ["b"]})
    table.checkpoint()
    table = am.Table.open(tmp_path)
    assert table.to_arrow(filter="k = 'a'").num_rows == 1
    assert table.overwrite({"id": [3], "k": ["a"]}, partitions="dynamic").files == 1
    assert sorted(table.to_arrow()["id"].to_pylist()) == [2, 3]


def test_a_delete_by_such_a_partition_reads_no_file(tmp_path: Path) -> None:
    table = partitioned(tmp_path, stats='{"numRecords": 1}')
    (tmp_path / "f.parquet").unlink()
    table.append({"id": [2], "k": ["b"]})
    table.delete("k = 'a'")
    assert table.to_arrow()["id"].to_pylist() == [2]


def test_a_conflict_is_seen_by_partitions_in_another_case(tmp_path: Path) -> None:
    table = partitioned(tmp_path)
    entry = tmp_path / "_delta_log" / f"{1:020}.json"

    def overwrite_beside_another() -> None:
        with table.transaction() as tx:
            tx.overwrite({"id": [5], "k": ["a"]}, partitions="dynamic")
            entry.with_name(f"{2:020}.json").write_text(entry.read_text().replace("f.p", "g.p"))

    with pytest.raises(CommitConflict):
        overwrite_beside_another()


def test_values_of_a_partition_in_two_cases_are_an_error(tmp_path: Path) -> None:
    table = partitioned(tmp_path)
    entry = tmp_path / "_delta_log" / f"{1:020}.json"
    entry.write_text(entry.read_text().replace('{"K": "a"}', '{"K": "a", "KK": "c", "k": "b"}'))
    assert_reads(am.Table.open(tmp_path), [{"id": 1, "k": "b"}])
    schema = pa.schema([("id", pa.int64()), ("Kk", pa.string())])
    am.Table.create(tmp_path / "t", schema, partition_by=["Kk"])
    pq.write_table(pa.table({"id": [1]}), tmp_path / "t" / "f.parquet")
    text = entry.read_text().replace('"k": "b"', '"kk": "b"')
    (tmp_path / "t" / "_delta_log" / f"{1:020}.json").write_text(text)
    with pytest.raises(CorruptLog, match="'Kk'.*KK, kk"):
        am.read_table(tmp_path / "t")
    assert table.url


def test_a_partition_column_that_is_not_in_the_schema_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptLog, match="the schema has no partition column 'other'"):
        partitioned(tmp_path, column="other").to_arrow()


def test_statistics_in_another_case_say_nothing_wrong(tmp_path: Path) -> None:
    stats = {"numRecords": 2, "minValues": {"ID": 10}, "maxValues": {"ID": 20},
             "nullCount": {"ID": 0}}  # fmt: skip
    table = converted(
        tmp_path, ROWS.schema, {"f.parquet": ROWS.rename_columns(["ID", "v"])},
        stats=json.dumps(stats),
    )  # fmt: skip
    assert_reads(table, ROWS.to_pylist()[:1], "id = 10")
    assert_reads(table, [], "id IS NULL")
    table.checkpoint()
    assert am.Table.open(tmp_path).to_arrow(filter="id = 10").num_rows == 1


def test_filters_and_columns_are_named_in_any_case(tmp_path: Path) -> None:
    am.append(tmp_path, ROWS)
    table = am.Table.open(tmp_path)
    assert_reads(table, ROWS.to_pylist()[:1], "ID = 10")
    assert_reads(table, ROWS.to_pylist()[:1], [("Id", "in", [10, None])])
    assert_reads(table, ROWS.to_pylist()[1:], [("ID", "not in", [10])])
    assert table.to_arrow(["ID"]).schema.names == ["id"]
    assert table.delete("V = 'a'").rows_deleted == 1
    with pytest.raises(InvalidFilter, match="'IDs', which the table lacks"):
        table.to_arrow(filter="IDs = 1")
    with pytest.raises(DataError, match="no column 'IDs'"):
        table.to_arrow(["IDs"])


def test_a_new_column_that_differs_by_case_from_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSchema, match="ID: the same name as 'id'"):
        am.append(tmp_path / "n", ROWS.append_column("ID", ROWS["id"]))
    nested = pa.table({"s": [{"x": 1, "X": 2}]})
    with pytest.raises(InvalidSchema, match="'X'|'s.X'|s\\.X"):
        am.append(tmp_path / "n", nested)
    am.append(tmp_path, ROWS)
    with pytest.raises(SchemaMismatch, match="differs only by case from 'id'"):
        am.append(tmp_path, ROWS.append_column("ID", ROWS["id"]), schema_mode="merge")


def test_a_table_with_such_columns_is_an_error(tmp_path: Path) -> None:
    am.append(tmp_path, ROWS)
    schema_string = to_delta(ROWS.schema).replace('"v"', '"ID"')
    begun_by_others(tmp_path, schema_string, [])
    with pytest.raises(CorruptLog, match="ID: the same name as 'id', but for case"):
        am.read_table(tmp_path)


@pytest.mark.parametrize("partition", [[], ["k"]])
def test_physical_names_of_a_mapped_table(tmp_path: Path, partition: list[str]) -> None:
    def field(number: int, name: str, kind: Any) -> dict[str, Any]:
        mapped = {
            "delta.columnMapping.id": number,
            "delta.columnMapping.physicalName": f"col-{name}",
        }
        return {"name": name, "type": kind, "nullable": True, "metadata": mapped}

    inner = {"type": "struct", "fields": [field(3, "x", "long")]}
    fields = [field(1, "id", "long"), field(2, "s", inner), field(4, "k", "string")]
    metadata = {
        "id": "t", "format": {"provider": "parquet", "options": {}}, "partitionColumns": partition,
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "configuration": {"delta.columnMapping.mode": "name"},
    }  # fmt: skip
    columns = {"COL-id": [1, 2], "col-S": [{"COL-X": 3}, None]}
    pq.write_table(
        pa.table(columns if partition else columns | {"Col-K": ["a", "a"]}), tmp_path / "f.parquet"
    )
    add = {"path": "f.parquet", "partitionValues": {"COL-k": "a"} if partition else {},
           "size": (tmp_path / "f.parquet").stat().st_size, "modificationTime": 0,
           "dataChange": True}  # fmt: skip
    lines = [{"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}, {"metaData": metadata},
             {"add": add}]  # fmt: skip
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / f"{0:020}.json").write_text("\n".join(map(json.dumps, lines)) + "\n")
    table = am.Table.open(tmp_path)
    rows = [{"id": 1, "s": {"x": 3}, "k": "a"}, {"id": 2, "s": None, "k": "a"}]
    assert_reads(table, rows)
    assert_reads(table, rows[:1], "S.X = 3 AND K = 'a'")
    assert_reads(table, [], "k IS NULL")
    table.delete("id = 1")
    assert_reads(am.Table.open(tmp_path), rows[1:])


def test_engines_that_scan_the_dataset_find_the_columns(tmp_path: Path) -> None:
    table = converted(tmp_path, ROWS.schema, {"f.parquet": ROWS.rename_columns(["ID", "v"])})
    scanned = table.to_dataset()
    assert duckdb.sql("SELECT id FROM scanned WHERE id > 10").fetchall() == [(20,)]
    assert pl.scan_pyarrow_dataset(scanned).filter(pl.col("id") > 10).collect()["id"].to_list() == [
        20
    ]
    assert scanned.filter(ds.field("id") > 10).count_rows() == 1
    assert scanned.head(1)["id"].to_pylist() == [10]


def test_rows_in_another_case_are_refused_with_the_name_that_is_meant(tmp_path: Path) -> None:
    """As deltalake does; null for `id` would be the table's loss."""
    am.append(tmp_path, ROWS)
    table = am.Table.open(tmp_path)
    for write in (table.append, table.overwrite, lambda rows: am.append(tmp_path, rows)):
        with pytest.raises(SchemaMismatch, match=r"'ID' \(the table has 'id'\)"):
            write(ROWS.rename_columns(["ID", "v"]))
    am.append(tmp_path / "n", pa.table({"s": [{"x": 1}]}))
    with pytest.raises(SchemaMismatch, match=r"'s\.X' \(the table has 'x'\)"):
        am.append(tmp_path / "n", pa.table({"s": [{"X": 1}]}))
    assert table.refresh().to_arrow().equals(ROWS)
