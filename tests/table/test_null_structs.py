"""Nulls in nullable structs whose fields are required: written, read, copied, and kept by a delete."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import deltalake
import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import NullsInColumn


def required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


LEAVES: list[tuple[pa.DataType, Any]] = [
    (pa.int64(), 1),
    (pa.float32(), 1.5),
    (pa.bool_(), True),
    (pa.string(), "a"),
    (pa.binary(), b"a"),
    (pa.decimal128(20, 3), Decimal("1.500")),
    (pa.date32(), dt.date(2026, 1, 2)),
    (pa.timestamp("us", "UTC"), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
    (pa.list_(required("element", pa.int32())), [1]),
    (pa.map_(pa.string(), pa.int64()), [("k", 1)]),
]
SHAPES: dict[str, Callable[[pa.StructType, Any], tuple[pa.DataType, list[Any]]]] = {
    "column": lambda kind, row: (kind, [row, None]),
    "required field": lambda kind, row: (pa.struct([required("s", kind)]), [{"s": row}, None]),
    "nullable field": lambda kind, row: (
        pa.struct([required("n", pa.int8()), pa.field("s", kind)]),
        [{"n": 1, "s": row}, {"n": 2, "s": None}, None],
    ),
    "list": lambda kind, row: (pa.list_(kind), [[row, None], None, []]),
    "map": lambda kind, row: (pa.map_(pa.string(), kind), [[("a", row), ("b", None)], None, []]),
    "all of them": lambda kind, row: (
        pa.struct(
            [required("l", pa.list_(pa.struct([required("m", pa.map_(pa.string(), kind))])))]
        ),
        [{"l": [{"m": [("a", row), ("b", None)]}, None]}, None],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("leaf", "value"), LEAVES, ids=str)
def test_a_null_struct_with_required_fields_is_kept_by_whatever_is_done(
    shape: str, leaf: pa.DataType, value: Any, tmp_path: Any
) -> None:
    struct = pa.struct([required("x", leaf), pa.field("y", pa.int64())])
    kind, rows = SHAPES[shape](struct, {"x": value, "y": None})
    table = pa.table({"i": range(len(rows)), "s": pa.array(rows, kind)})
    url, copy = str(tmp_path / "t"), str(tmp_path / "copy")
    am.append(url, table)
    am.append(url, pa.table({"i": [9]}))
    opened = am.Table.open(url)
    for read in (opened.to_arrow(), opened.to_dataset().to_table()):
        read.validate(full=True)
        assert read.sort_by("i")["s"].to_pylist() == [*rows, None]
    assert deltalake.DeltaTable(url).to_pyarrow_table().sort_by("i")["s"].to_pylist() == [
        *rows,
        None,
    ]
    am.append(copy, opened.to_arrow())
    assert am.read_table(copy).sort_by("i")["s"].to_pylist() == [*rows, None]
    opened.delete("i = 0")
    assert opened.to_arrow().sort_by("i")["s"].to_pylist() == [*rows[1:], None]
    opened.overwrite(table)
    assert opened.to_arrow().sort_by("i")["s"].to_pylist() == rows


def test_a_required_field_that_is_null_in_a_struct_that_is_not_is_refused_by_name() -> None:
    kind = pa.list_(pa.struct([required("x", pa.int64())]))
    url = "memory://null-in-a-required-field"
    am.append(url, pa.table({"s": pa.array([[{"x": 1}, None]], kind)}))
    given = pa.array([[None, {"x": None}]], pa.list_(pa.struct([("x", pa.int64())])))
    with pytest.raises(NullsInColumn, match=r"'s\.element\.x' is non-null, got 1 nulls"):
        am.append(url, pa.table({"s": given}))
    assert am.Table.open(url).version == 0


def test_a_column_that_is_nothing_but_null_goes_into_structs_with_required_fields() -> None:
    kind = pa.struct([required("x", pa.struct([required("y", pa.string())]))])
    url = "memory://nothing-but-null-structs"
    am.append(url, pa.table({"s": pa.nulls(2, kind)}))
    am.append(url, pa.table({"s": pa.nulls(1)}))
    assert am.read_table(url)["s"].to_pylist() == [None] * 3
