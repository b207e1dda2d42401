import datetime as dt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from atomic_manifest.data.filters import to_expression
from atomic_manifest.errors import InvalidFilter

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
    ],
    ids=str,
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
    ],
    ids=str,
)
def test_an_unknown_column_is_refused_by_name(filter: Any, name: str) -> None:
    with pytest.raises(InvalidFilter, match=name):
        to_expression(filter, SCHEMA)


@pytest.mark.parametrize(
    "filter",
    [
        "a > 1",
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
    ids=str,
)
def test_what_is_no_filter_is_refused(filter: Any) -> None:
    with pytest.raises(InvalidFilter):
        to_expression(filter, SCHEMA)
