import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from atomic_manifest.data.filter.filters import predicate_expression, to_expression, to_predicate
from atomic_manifest.errors import InvalidFilter
from atomic_manifest.log.pruning.predicate import (
    Comparison,
    Everything,
    In,
    IsNull,
    Not,
    Or,
    Predicate,
)

SCHEMA = pa.schema([("a", pa.int64()), ("s", pa.string()), ("d", pa.date32()), ("x.y", pa.int64())])
TABLE = pa.table(
    {"a": [1, 2, 3], "s": ["u", "v", None], "d": [dt.date(2026, 1, n) for n in (1, 2, 3)],
     "x.y": [0, 1, 0]},
    schema=SCHEMA,
)  # fmt: skip


@pytest.mark.parametrize(
    ("filter", "rows"),
    [
        (pc.field("a") > 1, [2, 3]),
        (pc.field("s").is_null(), [3]),
        ([("a", ">", 1)], [2, 3]),
        ([("a", ">", 1), ("s", "=", "v")], [2]),
        ([[("a", "==", 1)], [("a", "==", 3)]], [1, 3]),
        ([("a", "in", [1, 3])], [1, 3]),
        ([("a", "not in", {1, 3})], [2]),
        ([("d", ">=", dt.date(2026, 1, 2))], [2, 3]),
        ([("x.y", "=", 1)], [2]),
        ((("a", "<", 2),), [1]),
        ([("a", "in", np.array([1, 3]))], [1, 3]),
        ([("a", "in", pa.array([1, 3]))], [1, 3]),
        ([("a", "in", [])], []),
        ([("s", "not in", [])], [1, 2, 3]),
        ([("d", "=", "2026-01-02")], [2]),
        ("a > 1", [2, 3]),
        ("a BETWEEN 2 AND 3 AND s IS NOT NULL", [2]),
        ("d >= '2026-01-02' OR a = 1", [1, 2, 3]),
        ("true", [1, 2, 3]),
        ("FALSE", []),
    ],
)
def test_a_filter_keeps_its_rows(filter: Any, rows: list[int]) -> None:
    expression = to_expression(filter, SCHEMA)
    assert TABLE.filter(expression)["a"].to_pylist() == rows


def test_no_filter_is_no_expression() -> None:
    assert to_expression(None, SCHEMA) is None


@pytest.mark.parametrize(
    ("filter", "name"),
    [
        (pc.field("nope") > 1, "'nope'"),
        ((pc.field("a") > 1) & (pc.field("nope") > 1), "'nope'"),
        ([("nope", "=", 1)], "'nope'"),
        ([[("a", "=", 1)], [("nope", "=", 1)]], "'nope'"),
        (pc.field("a", "b") > 1, "a"),
        ("nope = 1", "'nope'"),
        ("a = 1 or a.b = 1", "'a.b'"),
    ],
)
def test_an_unknown_column_is_refused_by_name(filter: Any, name: str) -> None:
    with pytest.raises(InvalidFilter, match=name):
        to_expression(filter, SCHEMA)


@pytest.mark.parametrize(
    "filter",
    [
        "a >",
        b"a",
        7,
        [],
        [[]],
        ["a", ">", 1],
        [("a", ">")],
        [("a", "~", 1)],
        [(1, ">", 1)],
        [("a", ">", 1), "x"],
        [("a", "in", 1)],
        [("a", ">", object())],
        [("a", ">", "text")],
        pc.field("a"),
        pc.field("a") + 1,
        {"a": 1},
    ],
)
def test_what_is_no_filter_is_refused(filter: Any) -> None:
    with pytest.raises(InvalidFilter):
        to_expression(filter, SCHEMA)


# --- predicates -----------------------------------------------------------------------------------


def kept(filter: Any, table: pa.Table) -> list[int]:
    """The numbers of the rows that a filter keeps."""
    numbered = table.append_column("row", pa.array(range(table.num_rows), pa.int64()))
    found: list[int] = numbered.filter(to_expression(filter, table.schema))["row"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("s != 'u'", [1]),
        ("NOT s = 'u'", [1]),
        ("s NOT IN ('u')", [1]),
        ("NOT (s IN ('u') OR s = 'x')", [1]),
        ("s IS NULL OR s != 'u'", [1, 2]),
        ("NOT (s = 'u' AND a = 9)", [0, 1, 2]),
        ("NOT (s = 'u' OR a = 9)", [1]),
    ],
)
def test_null_matches_neither_a_comparison_nor_its_negation(text: str, rows: list[int]) -> None:
    assert kept(text, TABLE) == rows


@pytest.mark.parametrize(
    "filter",
    [
        [("s", "!=", "u")],
        [("s", "not in", ["u"])],
        [("s", "in", ["u", None])],
        [("s", "not in", ["u", None])],
        [[("s", "=", "u"), ("a", "<", 2)], [("s", "in", {"v"}), ("a", ">=", 2)]],
    ],
)
def test_tuples_mean_what_pyarrow_takes_them_to_mean(filter: Any) -> None:
    groups = [filter] if isinstance(filter[0], tuple) else filter
    expected = TABLE.filter(pq.filters_to_expression(groups))
    assert TABLE.filter(to_expression(filter, SCHEMA)) == expected


@pytest.mark.parametrize(
    ("filter", "predicate"),
    [
        (None, Everything()),
        ("a = 1", Comparison("a", "=", 1)),
        ([("a", "==", 1)], Comparison("a", "=", 1)),
        ([("s", "in", ["u", None])], Or((In("s", ("u",)), IsNull("s")))),
        ([("s", "not in", ["u"])], Or((Not(In("s", ("u",))), IsNull("s")))),
        ([("s", "not in", ["u", None])], Not(In("s", ("u",)))),
    ],
)
def test_a_filter_is_a_predicate(filter: Any, predicate: Predicate) -> None:
    assert to_predicate(filter, SCHEMA) == predicate


def test_an_arrow_expression_is_no_predicate() -> None:
    with pytest.raises(InvalidFilter, match="cannot be looked into"):
        to_predicate(pc.field("a") > 1, SCHEMA)


NESTED = pa.table(
    {"n": [{"i": 1}, {"i": None}, None, {"i": 2}]},
    schema=pa.schema([("n", pa.struct([("i", pa.int32())]))]),
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("n.i = 1", [0]),
        ("n.i IS NULL", [1, 2]),
        ("n.i NOT IN (1)", [3]),
        ("n IS NULL", [2]),
        ("n.i < 1.5", [0]),
    ],
)
def test_a_field_of_a_struct_is_a_column(text: str, rows: list[int]) -> None:
    assert kept(text, NESTED) == rows


FLOATS = pa.table({"f": [-0.0, 0.0, 1.0, math.nan, None]})


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("f = 0", [0, 1]),
        ("f IN (0)", [0, 1]),
        ("f NOT IN (0, 1)", [3]),
        ("f != 1", [0, 1, 3]),
        ("f <= 1", [0, 1, 2]),
        ("NOT f <= 1", [3]),
        ("NOT (f < 1 OR f > 1)", [2, 3]),
        ("f > 0.5", [2]),
    ],
)
def test_nan_differs_from_everything_and_the_zeros_are_equal(
    text: str, rows: list[int], tmp_path: Path
) -> None:
    """In memory, and where Arrow prunes by the statistics of a Parquet file, which pass over NaN."""
    assert kept(text, FLOATS) == rows
    for number in range(5):
        pq.write_table(FLOATS.slice(number, 1), tmp_path / f"{number}.parquet")
    pq.write_table(FLOATS.slice(1, 3), tmp_path / "5.parquet")
    matching = FLOATS["f"].take([*rows, *(row for row in rows if row in (1, 2, 3))]).to_pylist()
    found = ds.dataset(tmp_path).to_table(filter=to_expression(text, FLOATS.schema))["f"]
    assert list(map(str, found.to_pylist())) == list(map(str, matching))


def test_values_between_those_of_a_column_are_exact() -> None:
    table = pa.table({"a": [2**53, 2**53 + 1]})
    assert kept(f"a > {2**53}.5", table) == [1]
    assert kept(f"a < {2**53}.5", table) == [0]
    assert kept(f"a = {2**53 + 1}", table) == [1]
    assert kept("a < 1e30", table) == [0, 1]
    assert kept("a > 1e30", table) == []


@pytest.mark.parametrize(
    "predicate",
    [Comparison("a", "=", "x"), Comparison("a", "=", 2**70), In("a", ("x",)), IsNull("nope")],
)
def test_a_predicate_for_another_schema_is_refused_by_the_columns_name(
    predicate: Predicate,
) -> None:
    with pytest.raises(InvalidFilter, match="column '(a|nope)'"):
        predicate_expression(predicate, SCHEMA)
