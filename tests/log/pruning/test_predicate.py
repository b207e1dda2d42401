"""What a file's partition values and statistics prove about a predicate."""

import datetime as dt
import io
import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_manifest.data.filter.filters import predicate_expression, type_names
from atomic_manifest.errors import InvalidFilter
from atomic_manifest.log.metadata import partition
from atomic_manifest.log.pruning.predicate import (
    And,
    Comparison,
    Everything,
    FileFacts,
    In,
    IsNull,
    Not,
    Nothing,
    Or,
    columns_of,
    from_json,
    may_match,
    must_match,
    to_json,
)
from atomic_manifest.log.stats.footer import FooterStatistics

NAN = math.nan


def facts(type_name, low=None, high=None, *, nulls: int | None = 0, rows=10, **more):
    """A file with one column `x`."""
    stats = {"numRecords": rows, "minValues": {"x": low}, "maxValues": {"x": high}, **more}
    if nulls is not None:
        stats["nullCount"] = {"x": nulls}
    return FileFacts({}, json.dumps(stats), {"x": type_name})


def partitioned(type_name, text):
    return FileFacts({"x": text}, '{"numRecords": 1}', {"x": type_name})


def verdict(predicate, known):
    """`all`, `none` or `some` rows match, as far as is known."""
    may, must = may_match(predicate, known), must_match(predicate, known)
    return "all" if must else "some" if may else "none"


def x(op, value):
    return Comparison("x", op, value)


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        *[("=", 4, "none"), ("=", 5, "some"), ("=", 7, "some"), ("=", 8, "none")],
        *[("!=", 4, "all"), ("!=", 5, "some")],
        *[("<", 5, "none"), ("<", 6, "some"), ("<", 8, "all"), ("<=", 4, "none"), ("<=", 7, "all")],
        *[(">", 7, "none"), (">", 6, "some"), (">", 4, "all"), (">=", 8, "none"), (">=", 5, "all")],
    ],
)
def test_bounds_settle_a_comparison_of_whole_numbers(op, value, expected):
    assert verdict(x(op, value), facts("long", 5, 7)) == expected


def test_equal_bounds_settle_an_equality():
    assert verdict(x("=", 5), facts("long", 5, 5)) == "all"
    assert verdict(In("x", (1, 5)), facts("long", 5, 5)) == "all"
    assert verdict(Not(In("x", (1, 5))), facts("long", 5, 5)) == "none"


def test_whole_numbers_beyond_64_bit_floats_are_exact():
    known = facts("long", 2**53 + 1, 2**53 + 1)
    assert verdict(x("=", 2**53), known) == "none"
    assert verdict(x("=", 2**53 + 1), known) == "all"


def test_decimals_are_exact_and_no_floats():
    known = FileFacts({}, '{"minValues":{"x":0.10},"maxValues":{"x":0.30}}', {"x": "decimal(5,2)"})
    assert verdict(x("<=", Decimal("0.30")), known) == "some"
    assert verdict(x(">", Decimal("0.30")), known) == "none"
    assert verdict(x("<", Decimal("0.10")), known) == "none"


def test_a_long_decimal_of_a_short_scale_keeps_its_bounds():
    known = facts("decimal(38,2)", 5, 5)
    assert verdict(x("=", Decimal(5)), known) == "all"
    assert verdict(x(">", Decimal(5)), known) == "none"


def test_a_long_decimal_that_went_through_a_float_is_not_trusted_to_its_last_digit():
    """delta-rs writes 1.2345678901234568e+16 for 12345678901234567.89 and for .91, as both bounds."""
    text = '{"minValues":{"x":1.2345678901234568e+16},"maxValues":{"x":1.2345678901234568e+16}}'
    known = FileFacts({}, text, {"x": "decimal(19,2)"})
    for value in ("12345678901234567.89", "12345678901234567.91"):
        assert may_match(x("=", Decimal(value)), known)
        assert not must_match(x("!=", Decimal(value)), known)
    assert not may_match(x(">", Decimal(12345678901234580)), known)


def test_a_decimal_capped_to_64_bits_bounds_nothing():
    """delta-rs writes so for any whole decimal that is larger."""
    known = facts("decimal(38,0)", 2**63 - 1, 2**63 - 1)
    assert verdict(x("=", Decimal(10**37)), known) == "some"
    assert verdict(x("<", Decimal(0)), known) == "some"


@pytest.mark.parametrize("value", [True, "5", 5.0, None, dt.date(2026, 1, 1)])
def test_a_value_of_another_type_proves_nothing(value):
    assert verdict(x("=", value), facts("long", 1, 2)) == "some"


# --- floats ---------------------------------------------------------------------------------------


def test_a_float_without_a_maximum_may_be_any_greater_number_or_nan():
    known = facts("double", 1.0)
    assert verdict(x(">", 1e300), known) == "some"
    assert verdict(x("<", 1.0), known) == "none"
    assert verdict(x(">=", 1.0), known) == "some"
    assert verdict(Not(x("<", 1.0)), known) == "all"


def test_a_float_between_bounds_may_still_be_nan():
    """Footers pass over NaN, and some writers give a maximum all the same."""
    known = facts("double", 1.0, 3.0)
    assert verdict(x("<=", 3.0), known) == "some"
    assert verdict(Not(x("<=", 3.0)), known) == "some"
    assert verdict(x("!=", 2.0), known) == "some"
    assert verdict(x("!=", 4.0), known) == "all"
    assert verdict(x(">", 3.0), known) == "none"


@pytest.mark.parametrize("op", ["=", "!=", "<", "<=", ">", ">="])
def test_a_comparison_with_nan_proves_nothing(op):
    assert verdict(x(op, NAN), facts("double", 1.0, 3.0)) == "some"
    assert verdict(x(op, NAN), partitioned("double", "1.0")) == "some"
    assert verdict(x(op, 1.0), partitioned("double", "NaN")) == "some"


@pytest.mark.parametrize("bound", ["NaN", "Infinity", "-Infinity", "text", True, None])
def test_words_for_special_floats_are_understood_or_open(bound):
    assert may_match(x(">", 5.0), facts("double", None, bound)) == (bound != "-Infinity")


def test_the_two_zeros_are_equal():
    assert verdict(x("=", 0.0), facts("double", -0.0, -0.0)) == "some"
    assert verdict(x("<", 0.0), facts("double", -0.0, 0.0)) == "none"
    assert verdict(x("=", -0.0), partitioned("double", "0.0")) == "all"


def test_a_32_bit_float_is_known_by_its_short_form():
    tenth = 0.10000000149011612  # what the file holds, and what 0.1 means for such a column
    assert verdict(x("=", tenth), facts("float", 0.1, 0.1)) == "some"
    assert verdict(x(">=", tenth), partitioned("float", "0.1")) == "all"


# --- text -----------------------------------------------------------------------------------------


def test_short_text_is_exact():
    known = facts("string", "b", "b")
    assert verdict(x("=", "b"), known) == "all"
    assert verdict(x(">", "b"), known) == "none"
    assert verdict(x("=", "bb"), known) == "none"


LONG = "a" * 32


@pytest.mark.parametrize(
    "maximum",
    [
        LONG,
        LONG + "\ufffd",
        LONG + "\x7f",
        LONG + "\U0010ffff",
        LONG[:-1] + "b",
        LONG[:-1] + "?\ufffd",
    ],
    ids=["cut", "old Spark", "ASCII", "Unicode", "raised", "half a pair"],
)
@pytest.mark.parametrize("rest", ["", "a", "z", "\uffff", "\U0001f33c"])
def test_a_cut_maximum_bounds_no_text_that_begins_like_it(maximum, rest):
    known = facts("string", "a", maximum)
    value = (LONG[:-1] if "?" in maximum else LONG) + rest
    assert may_match(x("=", value), known)
    assert may_match(x(">=", value), known)
    assert not must_match(x("<", value), known)
    assert verdict(x("=", "b"), known) == "none"


def test_a_cut_minimum_is_a_lower_bound_still():
    known = facts("string", LONG, "b")
    assert verdict(x("<", LONG), known) == "none"
    assert verdict(x("=", LONG), known) == "some"


def test_a_maximum_of_greatest_characters_alone_bounds_nothing():
    assert verdict(x("=", "\U0010ffff" * 99), facts("string", "", "\U0010ffff" * 64)) == "some"


def test_text_compares_by_code_point():
    assert verdict(x("=", "\U0001f33c"), facts("string", "a", "\uff5e")) == "none"


# --- times ----------------------------------------------------------------------------------------


def utc(*of):
    return dt.datetime(*of, tzinfo=dt.UTC)


NOON = "2026-01-01T12:00:00.000Z"


def test_a_maximum_in_milliseconds_is_widened_by_what_was_cut_off():
    known = facts("timestamp", NOON, NOON)
    assert verdict(x("=", utc(2026, 1, 1, 12, 0, 0, 999)), known) == "some"
    assert verdict(x("=", utc(2026, 1, 1, 12, 0, 0, 1000)), known) == "none"
    assert verdict(x("<", utc(2026, 1, 1, 12)), known) == "none"
    assert not must_match(x("=", utc(2026, 1, 1, 12)), known)


def test_a_minimum_before_1970_may_have_been_rounded_up():
    known = facts("timestamp", "1960-01-01T00:00:00.124Z", NOON)
    assert may_match(x("=", dt.datetime(1960, 1, 1, 0, 0, 0, 123456, dt.UTC)), known)


def test_a_maximum_in_microseconds_is_exact():
    text = "2026-01-01T11:59:59.999999Z"
    assert verdict(x(">=", utc(2026, 1, 1, 12)), facts("timestamp", text, text)) == "none"


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T12:00:00.000Z", "2026-01-01 12:00:00+00:00", "2026-01-01T04:00:00.000-08:00"],
)
def test_the_zone_of_a_timestamp_is_heeded(text):
    known = facts("timestamp", text, text)
    assert verdict(x(">", utc(2026, 1, 1, 12, 1, 1)), known) == "none"
    assert verdict(x("<", utc(2026, 1, 1, 11, 59)), known) == "none"


@pytest.mark.parametrize(
    ("text", "when"),
    [
        # Amsterdam was +00:19:32 until 1937, Dublin -00:25:21 until 1916, Monrovia -00:44:30 until 1972.
        ("1900-01-01T00:00:00.000+00:19", utc(1899, 12, 31, 23, 40, 28)),
        ("1900-01-01T00:00:00.000-00:25", utc(1900, 1, 1, 0, 25, 21)),
        ("1971-12-31T00:00:00.000-00:44", utc(1971, 12, 31, 0, 44, 30)),
        ("2026-01-01T00:00:00.000+00:19", utc(2025, 12, 31, 23, 40, 28)),
    ],
)
def test_an_offset_that_was_cut_to_minutes_may_be_a_minute_more(text, when):
    known = facts("timestamp", text, text)
    assert verdict(x("=", when), known) == "some"
    assert verdict(x("!=", when), known) == "some"
    assert verdict(x(">=", when), known) == "some"
    assert verdict(x("<=", when), known) == "some"
    assert not must_match(x("!=", when), known)


def test_a_time_in_utc_is_exact_but_for_its_milliseconds():
    text = "2026-01-01T00:00:00.001Z"
    known = facts("timestamp", text, text)
    assert verdict(x("<", utc(2026, 1, 1, 0, 0, 0, 1000)), known) == "none"
    assert verdict(x(">", utc(2026, 1, 1, 0, 0, 0, 1999)), known) == "none"


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00.000+00:19", "9999-12-31T23:59:59.999-08:00"])
def test_times_that_python_has_none_for_bound_nothing(text):
    known = facts("timestamp", text, text)
    assert verdict(x("=", utc(1, 1, 1)), known) == "some"
    assert verdict(x("=", utc(2026, 1, 1)), known) == "some"


def test_dates_of_the_julian_calendar_are_near():
    known = facts("date", "1500-01-10", "1500-01-10")
    assert verdict(x("=", dt.date(1500, 1, 1)), known) == "some"
    assert verdict(x("=", dt.date(1500, 1, 20)), known) == "some"
    assert verdict(x("=", dt.date(1500, 2, 1)), known) == "none"
    known = facts("date", "0001-01-01", "9999-12-31")
    assert verdict(x("<", dt.date(1, 1, 1)), known) == "some"
    assert verdict(x("=", dt.date(9999, 12, 31)), known) == "some"


@pytest.mark.parametrize("text", ["2026-01-01T12:00:00", "2026-01-01", "+12026-01-01T00:00:00Z", 5])
def test_a_timestamp_that_tells_no_instant_bounds_nothing(text):
    assert verdict(x("=", utc(1999, 1, 1)), facts("timestamp", text, text)) == "some"


@pytest.mark.parametrize(
    "text", ["2026-01-01T12:00:00.5", "2026-01-01 12:00:00.500", "2026-01-01T12:00:00.5Z"]
)
def test_a_time_without_a_zone_may_be_written_with_one_of_utc(text):
    known = facts("timestamp_ntz", text, text)
    assert verdict(x("=", dt.datetime(2026, 1, 1, 12, 0, 0, 500000)), known) == "some"
    assert verdict(x("<", dt.datetime(2026, 1, 1, 12)), known) == "none"


def test_dates():
    known = facts("date", "2026-01-01", "2026-01-31")
    assert verdict(x(">", dt.date(2026, 1, 31)), known) == "none"
    assert verdict(x("<=", dt.date(2026, 1, 31)), known) == "all"
    assert verdict(x("=", dt.datetime(2026, 2, 1)), known) == "some"


# --- other types ----------------------------------------------------------------------------------


def test_booleans():
    assert verdict(x("=", False), facts("boolean", True, True)) == "none"
    assert verdict(x("=", True), facts("boolean", nulls=0)) == "some"


@pytest.mark.parametrize("type_name", ["binary", "variant", "void", "array", "interval", ""])
def test_statistics_of_types_without_an_order_prove_nothing_but_nulls(type_name):
    known = facts(type_name, "a", "b")
    assert verdict(x("=", b"z"), known) == "some"
    assert verdict(IsNull("x"), known) == "none"


# --- nulls ----------------------------------------------------------------------------------------


def test_null_is_neither_true_nor_false():
    known = facts("long", 5, 5, nulls=1)
    assert verdict(x("=", 5), known) == "some"
    assert verdict(x("!=", 5), known) == "none"
    assert verdict(Not(x("=", 5)), known) == "none"
    assert verdict(Or((x("=", 5), Not(IsNull("x")))), known) == "some"


def test_a_column_of_nulls_alone_matches_nothing_but_is_null():
    known = facts("long", 1, 9, nulls=10)
    assert verdict(x("=", 5), known) == "none"
    assert verdict(Not(x("=", 5)), known) == "none"
    assert verdict(Not(In("x", (5,))), known) == "none"
    assert verdict(IsNull("x"), known) == "all"


def test_a_null_count_between_none_and_all_says_nothing():
    known = facts("long", 5, 5, nulls=3, tightBounds=False)
    assert verdict(IsNull("x"), known) == "some"
    assert verdict(x("=", 5), known) == "some"


@pytest.mark.parametrize("nulls", [None, -1, 11, True, 0.5, "0", {"y": 0}])
def test_an_impossible_null_count_says_nothing(nulls):
    assert verdict(IsNull("x"), facts("long", 1, 2, nulls=nulls)) == "some"


def test_without_a_row_count_only_the_absence_of_nulls_is_known():
    assert verdict(IsNull("x"), facts("long", nulls=10, rows=None)) == "some"
    assert verdict(IsNull("x"), facts("long", nulls=0, rows=None)) == "none"


def test_a_list_without_values_matches_nothing_and_its_negation_all_but_null():
    assert verdict(In("x", ()), facts("long", 1, 2)) == "none"
    assert verdict(Not(In("x", ())), facts("long", 1, 2)) == "all"
    assert verdict(Not(In("x", ())), facts("long", 1, 2, nulls=1)) == "some"


# --- partition values -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_name", "text", "value"),
    [
        ("string", "Zürich", "Zürich"),
        ("string", "a" * 40, "a" * 40),
        ("long", "-7", -7),
        ("byte", "7", 7),
        ("double", "1.5E10", 1.5e10),
        ("boolean", "TRUE", True),
        ("decimal(10,2)", "1.5", Decimal("1.50")),
        ("decimal(38,0)", str(2**63 - 1), Decimal(2**63 - 1)),
        ("date", "2026-01-01", dt.date(2026, 1, 1)),
        ("timestamp", "2026-01-01 12:00:00", utc(2026, 1, 1, 12)),
        ("timestamp", "2026-01-01 12:00:00.123456", utc(2026, 1, 1, 12, 0, 0, 123456)),
        ("timestamp", "2026-01-01T12:00:00.000000Z", utc(2026, 1, 1, 12)),
        ("timestamp", "2026-01-01T13:00:00+01:00", utc(2026, 1, 1, 12)),
        ("timestamp_ntz", "2026-01-01 12:00:00", dt.datetime(2026, 1, 1, 12)),
    ],
)
def test_a_partition_value_is_exact(type_name, text, value):
    known = partitioned(type_name, text)
    assert verdict(x("=", value), known) == "all"
    assert verdict(x("!=", value), known) == "none"
    assert verdict(IsNull("x"), known) == "none"


@pytest.mark.parametrize("type_name", ["string", "long", "date", "timestamp", "boolean", "binary"])
@pytest.mark.parametrize("text", [None, ""])
def test_an_empty_partition_value_is_null(type_name, text):
    known = partitioned(type_name, text)
    assert verdict(IsNull("x"), known) == "all"
    assert verdict(Not(In("x", ())), known) == "none"


@pytest.mark.parametrize(
    ("type_name", "text"),
    [("long", "x"), ("date", "1.1."), ("timestamp", "noon"), ("boolean", "1"), ("decimal(3,1)", "NaN"),
     ("timestamp_ntz", "2026-01-01T00:00:00+01:00"), ("binary", "b"), ("float", "1e99"), ("new", "1")],
)  # fmt: skip
def test_a_partition_value_that_cannot_be_read_proves_nothing(type_name, text):
    for predicate in (x("=", 1), Not(x("=", 1)), IsNull("x")):
        assert verdict(predicate, partitioned(type_name, text)) == "some"


def test_a_partition_value_comes_before_statistics():
    known = FileFacts({"x": "1"}, '{"minValues":{"x":5},"maxValues":{"x":5}}', {"x": "long"})
    assert verdict(x("=", 1), known) == "all"


# --- what is not known ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stats",
    [None, "", "{", "[]", "7", "null", '{"minValues":7,"nullCount":[]}', '{"x":"\\ud83c"}', "{}",
     "[" * 9999, '{"minValues":{"x":1e99999999999999999999}}', '{"minValues":{"x":9},"maxValues":{"x":1}}'],
)  # fmt: skip
def test_statistics_that_are_missing_or_damaged_prove_nothing(stats):
    known = FileFacts({}, stats, {"x": "long"})
    for predicate in (x("=", 5), Not(x("=", 5)), IsNull("x"), In("x", (5,))):
        assert verdict(predicate, known) == "some"


def test_of_an_unknown_column_nothing_is_proved():
    known = FileFacts({}, '{"minValues":{"x":1},"maxValues":{"x":1},"nullCount":{"x":0}}', {})
    for predicate in (x("=", 5), Not(x("=", 5)), IsNull("x")):
        assert verdict(predicate, known) == "some"


def test_a_file_without_rows_matches_all_and_nothing():
    known = facts("long", rows=0, nulls=0)
    assert not may_match(x("=", 5), known)
    assert must_match(x("=", 5), known)


def test_nested_columns_and_names_with_dots():
    stats = json.dumps(
        {"minValues": {"a.b": 1, "a": {"c.d": {"e": 5}}}, "maxValues": {"a": {"c.d": {"e": 6}}}}
    )
    known = FileFacts({}, stats, {"a.b": "long", "a.c.d.e": "long"})
    assert verdict(Comparison("a.b", "<", 1), known) == "none"
    assert verdict(Comparison("a.c.d.e", ">", 6), known) == "none"
    assert verdict(Comparison("a.c.d.e", "=", 6), known) == "some"


# --- connectives ----------------------------------------------------------------------------------

T, F, N, S = (
    Everything(),
    Nothing(),
    Comparison("n", "=", 1),
    x("=", 5),
)  # S: some rows are T, some F


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        *[(T, "all"), (F, "none"), (N, "none"), (S, "some")],
        *[(And(()), "all"), (Or(()), "none")],
        *[
            (And((T, T)), "all"),
            (And((T, F)), "none"),
            (And((S, T)), "some"),
            (And((S, F)), "none"),
        ],
        *[(Or((F, F)), "none"), (Or((T, F)), "all"), (Or((S, F)), "some"), (Or((S, T)), "all")],
        *[(Not(T), "none"), (Not(F), "all"), (Not(N), "none"), (Not(S), "some")],
        *[(And((T, N)), "none"), (Not(And((T, N))), "none"), (Not(And((F, N))), "all")],
        *[(Or((T, N)), "all"), (Or((F, N)), "none"), (Not(Or((F, N))), "none")],
        *[(Not(And((N, S))), "some"), (Or((N, Not(S))), "some")],
    ],
)
def test_connectives_are_kleenes(predicate, expected):
    types = {"x": "long", "n": "long"}
    stats = '{"numRecords":2,"minValues":{"x":5},"maxValues":{"x":6},"nullCount":{"x":0,"n":2}}'
    assert verdict(predicate, FileFacts({}, stats, types)) == expected


def test_the_columns_of_a_predicate():
    predicate = Or((Not(And((x("=", 1), IsNull("y")))), In("a.b", (1,)), Everything(), Nothing()))
    assert columns_of(predicate) == {"x", "y", "a.b"}


# --- against brute force --------------------------------------------------------------------------

SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("f", pa.float64()),
        ("g", pa.float32()),
        ("s", pa.string()),
        ("d", pa.date32()),
        ("t", pa.timestamp("us", tz="UTC")),
        ("m", pa.decimal128(20, 2)),
        ("b", pa.bool_()),
        ("p", pa.date32()),
        ("n", pa.struct([("i", pa.int32())])),
    ]
)
TYPES = type_names(SCHEMA)
_SUFFIXES = ["", "a", "\ufffd", "\x7f", "\U0001f33c", "\U0010ffff"]
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "i": st.sampled_from([-(2**63), -1, 0, 1, 2**53, 2**53 + 1, 2**63 - 1]),
    "f": st.sampled_from([-math.inf, -1.5, -0.0, 0.0, 0.1, 1e300, math.inf, NAN]),
    "g": st.sampled_from([-0.0, 0.0, 0.5, 0.10000000149011612, NAN]),
    "s": st.builds(
        lambda head, tail: head + tail,
        st.sampled_from(["", "a", "a" * 31, "a" * 32, "b" * 40]),
        st.sampled_from(_SUFFIXES),
    ),
    "d": st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 4)),
    "t": st.sampled_from(
        [utc(year, 1, 1, 0, 0, 0, us) for year in (1960, 2026) for us in (0, 1, 999, 1000, 1999)]
    ),
    "m": st.sampled_from([Decimal("-999999999999999999.99"), Decimal("0.00"), Decimal("0.01"),
                          Decimal("123456789012345678.90"), Decimal("123456789012345678.91")]),
    "b": st.booleans(),
    "p": st.dates(dt.date(2026, 1, 1), dt.date(2026, 1, 3)),
    "n.i": st.integers(-1, 2),
}  # fmt: skip


def is_nan(value):
    return isinstance(value, float) and math.isnan(value)


_columns = st.sampled_from(sorted(_VALUES))
_leaves = _columns.flatmap(
    lambda name: st.one_of(
        st.builds(
            Comparison,
            st.just(name),
            st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
            _VALUES[name].filter(lambda value: not is_nan(value)),
        ),
        st.builds(
            In,
            st.just(name),
            st.lists(_VALUES[name].filter(lambda value: not is_nan(value)), max_size=3).map(tuple),
        ),
        st.just(IsNull(name)),
    )
)
predicates = st.recursive(
    _leaves | st.just(Everything()) | st.just(Nothing()),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=5,
)


@st.composite
def rows_of_one_file(draw):
    """Rows whose columns are narrow more often than not, so that bounds have something to say."""
    size = draw(st.integers(0, 4))
    columns = {}
    for name, values in _VALUES.items():
        narrow = draw(st.lists(values, min_size=1, max_size=2))
        choices = [*narrow, *draw(st.sampled_from([[], [], [None]]))]
        columns[name] = draw(st.lists(st.sampled_from(choices), min_size=size, max_size=size))
    columns["p"] = [draw(st.none() | _VALUES["p"])] * size
    nested = columns.pop("n.i")
    structs = draw(st.booleans())
    columns["n"] = [None if structs and i is None else {"i": i} for i in nested]
    return pa.table(columns, schema=SCHEMA)


def holds(predicate, row):
    """SQL's truth of a predicate for a row: True, False or None."""
    match predicate:
        case Everything() | Nothing():
            return isinstance(predicate, Everything)
        case IsNull(column):
            return value_of(row, column) is None
        case Comparison(column, op, value):
            given = value_of(row, column)
            return None if given is None else COMPARE[op](given, value)
        case In(column, values):
            given = value_of(row, column)
            return None if given is None else any(given == value for value in values)
        case Not(child):
            truth = holds(child, row)
            return None if truth is None else not truth
        case And(children):
            truths = [holds(child, row) for child in children]
            return False if False in truths else None if None in truths else True
        case Or(children):
            truths = [holds(child, row) for child in children]
            return True if True in truths else None if None in truths else False


COMPARE = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def value_of(row, column):
    for name in column.split("."):
        row = None if row is None else row[name]
    return row


def our_facts(table):
    """What our writer says of a file of these rows, partitioned by `p`."""
    sink = io.BytesIO()
    pq.write_table(table.drop_columns(["p"]), sink)
    nan_free = [(name,) for name in ("f", "g") if not any(map(is_nan, table[name].to_pylist()))]
    footer = pq.read_metadata(io.BytesIO(sink.getvalue()))
    stats = FooterStatistics(table.schema).text(footer, nan_free=nan_free)
    value = table["p"][0] if table.num_rows else pa.scalar(None, pa.date32())
    return FileFacts({"p": partition.serialize(value)}, stats, TYPES)


def check_proofs(predicate, rows, known):
    matching = [holds(predicate, row) is True for row in rows]
    if not may_match(predicate, known):
        assert not any(matching)
    if must_match(predicate, known):
        assert all(matching)


@given(rows_of_one_file(), predicates)
def test_what_statistics_of_ours_prove_is_true_of_every_row(table, predicate):
    check_proofs(predicate, table.to_pylist(), our_facts(table))


@given(rows_of_one_file(), predicates, st.data())
def test_what_is_proved_holds_for_the_rows_that_a_deletion_vector_leaves(table, predicate, data):
    known = our_facts(table)
    wide = {**json.loads(known.stats), "tightBounds": False}
    left = [row for row in table.to_pylist() if data.draw(st.booleans())]
    check_proofs(predicate, left, FileFacts(known.partition_values, json.dumps(wide), TYPES))


def spark_facts(table):
    """Statistics as Spark and delta-rs write them: cut text, milliseconds, special floats as words."""
    known = our_facts(table)
    stats = json.loads(known.stats)
    for name in ("s", "t", "f"):
        values = [value for value in table[name].to_pylist() if value is not None]
        if not values:
            continue
        low, high = spark_bounds(name, values)
        stats["minValues"][name], stats["maxValues"][name] = low, high
    return FileFacts(known.partition_values, json.dumps(stats), TYPES)


def spark_bounds(name, values):
    if name == "s":
        return min(values)[:32], max(values)[:32] + "\ufffd" * (len(max(values)) > 32)
    if name == "t":
        return [
            f"{v:%Y-%m-%dT%H:%M:%S}.{v.microsecond // 1000:03}Z" for v in (min(values), max(values))
        ]
    ordered = sorted(values, key=lambda value: (is_nan(value), value))
    return [v if math.isfinite(v) else {"inf": "Infinity", "nan": "NaN"}.get(str(v), "-Infinity")
            for v in (ordered[0], ordered[-1])]  # fmt: skip


@given(rows_of_one_file(), predicates)
def test_what_statistics_of_spark_prove_is_true_of_every_row(table, predicate):
    check_proofs(predicate, table.to_pylist(), spark_facts(table))


@given(rows_of_one_file(), predicates)
def test_an_expression_keeps_the_very_rows_that_match(table, predicate):
    expression = predicate_expression(predicate, SCHEMA)
    marked = table.append_column("row", pa.array(range(table.num_rows), pa.int64()))
    expected = [n for n, row in enumerate(table.to_pylist()) if holds(predicate, row) is True]
    assert marked.filter(expression)["row"].to_pylist() == expected


# --- JSON -----------------------------------------------------------------------------------------


@given(predicates)
def test_a_predicate_survives_the_way_through_json(predicate):
    assert from_json(to_json(predicate)) == predicate


def test_bytes_and_times_survive_the_way_through_json():
    values = (
        b"\x00\xff",
        dt.datetime(2026, 1, 1, 12),
        utc(2026, 1, 1),
        Decimal("1.10"),
        "2026",
        1.0,
    )
    read = from_json(to_json(In("x", values)))
    assert [type(value) for value in read.values] == [type(value) for value in values]
    assert read == In("x", values)
    assert str(read.values[3]) == "1.10"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"7", b"{}", b'{"is":"comparison"}', b'{"is":"new","child":1}', b'{"date":"2026-01-01"}',
     b'{"is":"in","column":"x","values":[{"date":"x"}]}',
     b'{"is":"in","column":"x","values":[{"decimal":"x"}]}',
     b'{"is":"comparison","column":"x","op":"~","value":1}', b'{"is":"not","child":' * 9999],
)  # fmt: skip
def test_what_is_no_predicate_in_json_is_refused(data):
    with pytest.raises(InvalidFilter, match="not the JSON form"):
        from_json(data)


def test_predicates_are_hashable_values():
    assert {And((x("=", 1),)): 1}[And((x("=", 1),))] == 1
