"""Values made those of the column's type, exactly."""

import datetime as dt
import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_manifest.data.filter.filter_terms import Terms, type_names
from atomic_manifest.errors import InvalidFilter
from atomic_manifest.log.pruning.predicate import Comparison, In, Not

NEVER, ALWAYS = In("x", ()), Not(In("x", ()))
UTC = pa.timestamp("us", tz="UTC")
WALL = pa.timestamp("us")


def compared(kind: pa.DataType, op: Any, value: Any) -> Any:
    return Terms(pa.schema([("x", kind)])).comparison("x", op, value)


def x(op: Any, value: Any) -> Comparison:
    return Comparison("x", op, value)


@pytest.mark.parametrize(
    ("op", "between", "above", "below"),
    [
        ("=", NEVER, NEVER, NEVER),
        ("!=", ALWAYS, ALWAYS, ALWAYS),
        ("<", x("<=", 1), ALWAYS, NEVER),
        ("<=", x("<=", 1), ALWAYS, NEVER),
        (">", x(">", 1), NEVER, ALWAYS),
        (">=", x(">", 1), NEVER, ALWAYS),
    ],
)
def test_a_number_that_no_row_can_have_turns_the_operator(op, between, above, below):
    assert compared(pa.int8(), op, Decimal("1.5")) == between
    assert compared(pa.int8(), op, 1.25) == between
    assert compared(pa.int8(), op, 128) == above
    assert compared(pa.int8(), op, float("inf")) == above
    assert compared(pa.int8(), op, -129) == below
    assert compared(pa.int8(), op, Decimal("-1e999999")) == below


def test_a_number_between_negative_ones_is_rounded_down():
    assert compared(pa.int64(), "<", -1.5) == x("<=", -2)
    assert compared(pa.int64(), ">=", -0.5) == x(">", -1)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (pa.int64(), 7, 7),
        (pa.int64(), 7.0, 7),
        (pa.int64(), Decimal("7.00"), 7),
        (pa.int64(), -(2**63), -(2**63)),
        (pa.int64(), np.int32(7), 7),
        (pa.int64(), np.float64(7), 7),
        (pa.int64(), pa.scalar(7, pa.int8()), 7),
        (pa.uint8(), 255, 255),
        (pa.decimal128(5, 2), 1, Decimal("1.00")),
        (pa.decimal128(5, 2), 0.1, Decimal("0.10")),
        (pa.decimal128(5, 2), "-1.5", Decimal("-1.50")),
        (pa.decimal128(38, 0), 10**37, Decimal(10**37)),
        (pa.float64(), 1, 1.0),
        (pa.float64(), Decimal("0.1"), 0.1),
        (pa.float64(), float("-inf"), float("-inf")),
        (pa.float32(), 0.1, 0.10000000149011612),
        (pa.string(), "a", "a"),
        (pa.string(), np.str_("a"), "a"),
        (pa.large_string(), "a", "a"),
        (pa.binary(), b"a", b"a"),
        (pa.bool_(), True, True),
        (pa.bool_(), np.bool_(True), True),
        (pa.date32(), dt.date(2026, 1, 2), dt.date(2026, 1, 2)),
        (pa.date32(), "2026-01-02", dt.date(2026, 1, 2)),
        (pa.date32(), dt.datetime(2026, 1, 2), dt.date(2026, 1, 2)),
        (pa.date32(), pd.Timestamp("2026-01-02"), dt.date(2026, 1, 2)),
        (pa.date32(), np.datetime64("2026-01-02"), dt.date(2026, 1, 2)),
        (WALL, dt.date(2026, 1, 2), dt.datetime(2026, 1, 2)),
        (WALL, np.datetime64("2026-01-02", "ns"), dt.datetime(2026, 1, 2)),
        (WALL, "2026-01-02 03:00", dt.datetime(2026, 1, 2, 3)),
        (UTC, dt.datetime(2026, 1, 2), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
        (UTC, "2026-01-02T01:00+01:00", dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
        (UTC, pd.Timestamp("2026-01-02", tz="UTC"), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
    ],
)
def test_a_value_becomes_one_of_the_columns_type(kind, given, value):
    found = compared(kind, "=", given)
    assert found == x("=", value)
    assert type(found.value) is type(value)


def test_a_time_within_a_day_turns_the_operator_of_a_date():
    noon = dt.datetime(2026, 1, 2, 12)
    assert compared(pa.date32(), ">=", noon) == x(">", dt.date(2026, 1, 2))
    assert compared(pa.date32(), "=", noon) == NEVER


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[
            (pa.int64(), value)
            for value in ("x", "7x", True, float("nan"), None, b"", dt.date(2026, 1, 1), [1])
        ],
        *[(pa.decimal128(5, 2), value) for value in ("x", "NaN", True, float("nan"))],
        *[
            (pa.float64(), value)
            for value in ("x", "nan", True, float("nan"), 10**400, Decimal("sNaN"))
        ],
        (pa.float32(), 1e300),
        *[(pa.string(), value) for value in (1.5, Decimal("1.0"), b"a", True)],
        *[(pa.bool_(), value) for value in (1, "yes")],
        *[(pa.binary(), value) for value in ("a", 1)],
        *[
            (pa.date32(), value)
            for value in ("x", 1, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), pd.NaT)
        ],
        *[
            (WALL, value)
            for value in ("x", 1, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), pd.Timestamp(1))
        ],
        *[(UTC, value) for value in ("x", 1, np.datetime64("NaT"))],
        *[(pa.list_(pa.int64()), value) for value in (1, [1])],
        (pa.struct([("a", pa.int64())]), {"a": 1}),
        (pa.null(), 1),
        (pa.int64(), object()),
    ],
)
def test_a_value_of_another_kind_is_refused_by_the_columns_name(kind, value):
    with pytest.raises(InvalidFilter, match="column 'x'"):
        compared(kind, "=", value)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (pa.int64(), "7", 7),
        (pa.int8(), "-7", -7),
        (pa.float64(), "2.5", 2.5),
        (pa.decimal128(5, 2), "1.5", Decimal("1.50")),
        (pa.bool_(), "true", True),
        (pa.bool_(), "False", False),
        (pa.date32(), "2026-01-02", dt.date(2026, 1, 2)),
        (pa.date32(), "2026-01-02 00:00:00", dt.date(2026, 1, 2)),
        (pa.date32(), "2026-01-02T00:00", dt.date(2026, 1, 2)),
        (pa.string(), 1, "1"),
        (pa.string(), -7, "-7"),
        (pa.string(), np.int64(1), "1"),
        (pa.string(), Decimal(10), "10"),
    ],
)
def test_text_of_a_value_and_a_whole_number_for_text_are_taken_as_deltalake_takes_them(
    kind, given, value
):
    assert compared(kind, "=", given) == x("=", value)
    assert Terms(pa.schema([("x", kind)])).membership("x", [given]) == In("x", (value,))


@pytest.mark.parametrize("op", ["<", "<=", ">", ">="])
def test_numbers_do_not_order_text(op):
    with pytest.raises(InvalidFilter, match="column 'x' is text"):
        compared(pa.string(), op, 1)
    assert compared(pa.string(), op, "1") == x(op, "1")


def test_a_list_leaves_out_what_no_row_can_have_and_what_it_has_twice():
    terms = Terms(pa.schema([("x", pa.int8())]))
    assert terms.membership("x", [1, 1.5, 300, 1.0, 2]) == In("x", (1, 2))


HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@given(st.integers(-128, 127), st.decimals(-150, 150, places=1), st.sampled_from(sorted(HOLDS)))
def test_a_turned_comparison_says_the_same_of_every_value(row, value, op):
    found = compared(pa.int8(), op, value)
    if isinstance(found, Comparison):
        assert HOLDS[found.op](row, found.value) == HOLDS[op](row, value)
    else:
        assert (found == ALWAYS) == HOLDS[op](row, value)


def test_a_name_that_two_columns_have_is_refused():
    schema = pa.schema(
        [("a.b", pa.int64()), ("a", pa.struct([("b", pa.string()), ("c", pa.string())]))]
    )
    with pytest.raises(InvalidFilter, match=r"column 'a\.b': more than one column"):
        Terms(schema).comparison("a.b", "=", 1)
    assert type_names(schema) == {"a.c": "string"}


def test_the_names_of_types_are_deltas():
    schema = pa.schema(
        [
            ("i", pa.int32()),
            ("m", pa.decimal128(10, 2)),
            ("t", UTC),
            ("w", WALL),
            ("l", pa.list_(pa.int64())),
            ("n", pa.struct([("d", pa.date32()), ("deep", pa.struct([("s", pa.large_string())]))])),
        ]
    )
    assert type_names(schema) == {
        "i": "integer",
        "m": "decimal(10,2)",
        "t": "timestamp",
        "w": "timestamp_ntz",
        "n.d": "date",
        "n.deep.s": "string",
    }
