"""Of a row group that holds one number and NaN, the NaN comes back where a filter takes it; so do zeros."""

import json
import math
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

import atomic_manifest as am
from atomic_manifest.data.write.encoder import RowGroupEncoder
from atomic_manifest.data.write.options import WriteOptions

FILTERS = ["x != 5", "NOT x = 5", "NOT x <= 5", "x NOT IN (5)", [("x", "not in", [5.0])]]


@pytest.mark.parametrize("filter", FILTERS, ids=str)
def test_nan_beside_a_single_other_value_is_not_pruned_away(filter: object, tmp_path: Path) -> None:
    am.append(tmp_path, pa.table({"x": [5.0, math.nan]}))
    table = am.Table.open(tmp_path)
    read = {
        "to_arrow": table.to_arrow(filter=filter)["x"].to_pylist(),
        "to_batches": table.to_batches(filter=filter).read_all()["x"].to_pylist(),
        "to_pandas": table.to_pandas(filter=filter)["x"].tolist(),
        "polars": pl.scan_pyarrow_dataset(table.to_dataset(filter)).collect()["x"].to_list(),
        "read_table": am.read_table(tmp_path, filters=filter)["x"].to_pylist(),
    }
    assert {name: str(rows) for name, rows in read.items()} == dict.fromkeys(read, "[nan]")


X, NAN = ds.field("x"), math.nan
EXPRESSIONS: dict[str, pc.Expression] = {
    "is NaN": pc.is_nan(X),
    "differs": X != 1.0,
    "not in": ~X.isin([1.0]),
    "not up to": ~(X <= 5.0),
    "not finite": ~pc.is_finite(X),
    "with another column": (ds.field("id") > 0) & (X != 1.0),
    "zero": X.isin([0.0]),
    "minus zero": X.isin([-0.0]),
    "not minus zero": ~X.isin([-0.0]),
    "computed": pc.is_nan(X * 2.0),
}
FLOATS = {
    "one number": [1.0, NAN],
    "two numbers": [1.0, 2.0, NAN, None],
    "NaN alone": [NAN, NAN],
    "zeros": [0.0, 0.0, None],
    "minus zeros": [-0.0],
    "both zeros": [0.0, -0.0],
    "none of these": [1.0, 2.0],
}


def read_in_every_way(root: Path, filter: Any) -> dict[str, list[int]]:
    table = am.Table.open(root)
    read = {
        "to_arrow": table.to_arrow(filter=filter),
        "a column": table.to_arrow(["id"], filter=filter),
        "to_batches": table.to_batches(filter=filter).read_all(),
        "to_dataset": table.to_dataset(filter).to_table(),
        "transaction": table.run(lambda tx: tx.read(filter=filter)).value,
    }
    return {name: sorted(rows["id"].to_pylist()) for name, rows in read.items()}


@pytest.mark.parametrize("values", FLOATS.values(), ids=FLOATS)
@pytest.mark.parametrize("filter", EXPRESSIONS.values(), ids=EXPRESSIONS)
@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
@pytest.mark.parametrize("writer", ["ours", "others"])
def test_an_expression_keeps_the_rows_that_it_keeps_in_memory(
    tmp_path: Path, values: list[float | None], filter: pc.Expression, kind: Any, writer: str
) -> None:
    rows = pa.table({"id": range(1, len(values) + 1), "x": pa.array(values, kind)})
    if writer == "ours":
        am.append(tmp_path, rows)
    else:
        deltalake.write_deltalake(tmp_path, rows)
    expected = rows.filter(filter)["id"].to_pylist()
    read = read_in_every_way(tmp_path, filter)
    assert read == dict.fromkeys(read, expected)
    # And those who scan the dataset, of others' files with one column in the filter.
    scanned = am.Table.open(tmp_path).to_dataset()
    if writer == "ours" or "id" not in str(filter):
        assert scanned.to_table(filter=filter)["id"].to_pylist() == expected
        assert (
            scanned.filter(filter).scanner(columns=["id"]).to_table()["id"].to_pylist() == expected
        )
        assert scanned.count_rows(filter=filter) == len(expected)
    if writer == "ours":  # and those who look into the files themselves
        files = ds.dataset(tmp_path, exclude_invalid_files=True)
        assert files.to_table(filter=filter)["id"].to_pylist() == expected


def test_a_float_that_is_a_struct_s_keeps_its_nan(tmp_path: Path) -> None:
    am.append(tmp_path, pa.table({"id": [1, 2], "s": [{"x": 1.0}, {"x": NAN}]}))
    for where in (pc.is_nan(ds.field("s", "x")), ds.field("s", "x") != 1.0):
        files = ds.dataset(tmp_path, exclude_invalid_files=True)
        assert files.to_table(filter=where)["id"].to_pylist() == [2]
        read = read_in_every_way(tmp_path, where)
        assert all(rows == [2] for rows in read.values()), read


def test_duckdb_finds_nan_in_our_files(tmp_path: Path) -> None:
    am.append(tmp_path, pa.table({"id": [1, 2], "x": [1.0, NAN]}))
    (file,) = tmp_path.glob("*.parquet")
    for where in ("isnan(x)", "x <> 1", "x > 1", "x NOT IN (1)"):
        rows = duckdb.sql(f"SELECT id FROM read_parquet('{file}') WHERE {where}").fetchall()
        assert rows == [(2,)], where


NESTED = {
    "float": (pa.float64(), lambda number: number),
    "half": (pa.float16(), np.float16),
    "struct": (pa.struct([("n", pa.int64()), ("x", pa.float32())]), lambda x: {"n": 1, "x": x}),
    "list": (pa.list_(pa.float64()), lambda number: [number]),
    "map": (pa.map_(pa.string(), pa.float64()), lambda number: [("k", number)]),
    "map key": (pa.map_(pa.float64(), pa.string()), lambda number: [(number, "k")]),
    "deep": (
        pa.struct([("l", pa.list_(pa.struct([("x", pa.float64()), ("y", pa.int64())])))]),
        lambda number: {"l": [{"x": number, "y": 1}]},
    ),
}


@pytest.mark.parametrize(("kind", "make"), NESTED.values(), ids=NESTED)
@pytest.mark.parametrize(
    "given", [{}, {"write_statistics": ["a", "z"]}, {"write_statistics": False}]
)
def test_row_groups_with_nan_have_no_bounds_of_it_and_others_have(
    kind: pa.DataType, make: Any, given: dict[str, Any]
) -> None:
    def bounds(*numbers: float) -> list[bool]:
        column = pa.array([make(number) for number in numbers] + [None], kind)
        rows = pa.table({"a": [1] * len(column), "x": column, "z": [1] * len(column)})
        encoded = RowGroupEncoder(rows.schema, WriteOptions(parquet=given)).encode(rows.slice(0))
        group = encoded.metadata.row_group(0)
        chunks = [group.column(number) for number in range(group.num_columns)]
        return [
            chunk.is_stats_set and chunk.statistics.has_min_max
            for chunk in chunks
            if not chunk.path_in_schema.endswith(("n", "y", "k")) or "map" in str(kind)
        ]

    clean, dirty = bounds(1.0, 2.0), bounds(1.0, NAN)
    assert dirty[0] == dirty[-1] == clean[0] == (given != {"write_statistics": False})
    assert not all(dirty[1:-1])
    assert all(clean[1:-1]) == (given == {})


def test_statistics_of_the_log_count_the_nulls_beside_nan_and_bound_zeros(tmp_path: Path) -> None:
    rows = {"nan": [1.0, NAN, None], "zero": [0.0, None, -0.0], "one": [1.0, 2.0, None]}
    am.append(tmp_path, pa.table(rows))
    stats = json.loads(am.Table.open(tmp_path).files()["stats"][0].as_py())
    assert stats["nullCount"] == {"nan": 1, "zero": 1, "one": 1}
    assert stats["minValues"] == {"zero": 0.0, "one": 1.0}
    assert stats["maxValues"] == {"zero": 0.0, "one": 2.0}


def test_statistics_of_many_row_groups_know_of_nan_in_one(tmp_path: Path) -> None:
    rows = pa.table({"x": [1.0] * 10 + [NAN] + [2.0] * 9, "y": [0.0] * 10 + [3.0] * 10})
    am.append(tmp_path, rows, options=WriteOptions(max_rows_per_group=5))
    stats = json.loads(am.Table.open(tmp_path).files()["stats"][0].as_py())
    assert (stats["minValues"], stats["maxValues"]) == ({"y": 0.0}, {"y": 3.0})


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
@pytest.mark.parametrize(
    "numbers", [[-0.0, 0.0, 1.0, NAN, None], [0.0, -0.0], [None, -0.0, 2.0, 0.0]]
)
def test_partitions_of_both_zeros_are_two(
    tmp_path: Path, kind: pa.DataType, numbers: list[float | None]
) -> None:
    rows = pa.table({"x": pa.array(numbers, kind), "id": range(len(numbers))})
    am.append(tmp_path, rows, partition_by=["x"])
    table = am.Table.open(tmp_path)
    for values in ([0.0], [-0.0], [0.0, 1.0], [-0.0, 1.0], [-0.0, 0.0]):
        among = X.isin(pa.array(values, kind))
        for kept in (among, ~among, X == 0.0, X != 0.0):
            dataset = table.to_dataset().to_table(filter=kept)
            stream = table.to_batches(filter=kept).read_all()
            for read in (table.to_arrow(filter=kept), dataset, stream):
                found = sorted(read["id"].to_pylist())
                assert found == rows.filter(kept)["id"].to_pylist(), kept
    written = {row["id"]: str(row["x"]) for row in table.to_arrow().to_pylist()}
    assert written == {row["id"]: str(row["x"]) for row in rows.to_pylist()}
