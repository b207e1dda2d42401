import datetime as dt
import io
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_manifest.log.stats.footer import FooterStatistics

UTC = pa.timestamp("us", "UTC")
NTZ = pa.timestamp("us")


def _footer(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return pq.read_metadata(sink)


def _stats(table, *, schema=None, indexed_columns=32, nan_free=(), **options):
    footer = _footer(table, **options)
    statistics = FooterStatistics(schema or table.schema, indexed_columns)
    text = statistics.text(footer, nan_free=nan_free)
    return json.loads(text, parse_float=Decimal)


def test_all_columns_of_a_small_file():
    table = pa.table(
        {
            "i": pa.array([3, None, -1], pa.int32()),
            "s": ["b", "a", None],
            "d": [dt.date(1960, 1, 2), dt.date(2020, 1, 1), None],
            "t": pa.array([1, 2_000_000, None], UTC),
            "n": pa.array([1, 2_000_000, None], NTZ),
            "c": [Decimal("1.50"), Decimal("-2.25"), None],
            "b": [True, None, None],
            "x": [b"a", b"b", b"c"],
            "e": pa.array([None, None, None], pa.int64()),
        }
    )
    assert _stats(table) == {
        "numRecords": 3,
        "minValues": {
            "i": -1,
            "s": "a",
            "d": "1960-01-02",
            "t": "1970-01-01T00:00:00.000Z",
            "n": "1970-01-01T00:00:00.000",
            "c": Decimal("-2.25"),
        },
        "maxValues": {
            "i": 3,
            "s": "b",
            "d": "2020-01-01",
            "t": "1970-01-01T00:00:02.000Z",
            "n": "1970-01-01T00:00:02.000",
            "c": Decimal("1.50"),
        },
        "nullCount": {"i": 1, "s": 1, "d": 1, "t": 1, "n": 1, "c": 1, "b": 2, "x": 0, "e": 3},
        "tightBounds": True,
    }


def test_structs_nest_and_lists_and_maps_are_left_out():
    struct = pa.struct([("a.b", pa.int64()), ("l", pa.list_(pa.int64())), ("z", pa.string())])
    table = pa.table(
        {
            "s": pa.array([{"a.b": 1, "l": [1], "z": "x"}, None], struct),
            "m": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
            "after": [7, 8],
        }
    )
    stats = _stats(table)
    assert stats["minValues"] == {"s": {"a.b": 1, "z": "x"}, "after": 7}
    assert stats["nullCount"] == {"s": {"a.b": 1, "z": 1}, "after": 0}


def test_a_dot_in_a_name_is_not_taken_for_a_path():
    table = pa.table({"a.b": [1, 2], "a": pa.array([{"b": 5}, {"b": 6}])})
    assert _stats(table)["maxValues"] == {"a.b": 2, "a": {"b": 6}}


def test_only_the_first_leaf_columns_are_indexed_lists_counting_as_one():
    table = pa.table(
        {"l": [[1]], "s": pa.array([{"a": 1, "b": 2}]), "c": [3], "d": [4]},
    )
    assert _stats(table, indexed_columns=3)["minValues"] == {"s": {"a": 1, "b": 2}}
    assert _stats(table, indexed_columns=0)["nullCount"] == {}
    assert list(_stats(table, indexed_columns=-1)["nullCount"]) == ["s", "c", "d"]
    wide = pa.table({f"c{number:02}": [1] for number in range(40)})
    assert len(_stats(wide)["minValues"]) == 32


def test_partition_columns_do_not_count_for_they_are_not_in_the_file():
    table = pa.table({"b": [1], "c": [2]})
    schema = pa.schema([("a", pa.string()), ("b", pa.int64()), ("c", pa.int64())])
    assert _stats(table, schema=schema, indexed_columns=1)["minValues"] == {"b": 1}


def test_row_groups_are_taken_together():
    table = pa.table({"i": [5, 1, None, None, 9, 2], "s": ["x", "a", None, None, "z", "b"]})
    stats = _stats(table, row_group_size=2)
    assert stats["minValues"] == {"i": 1, "s": "a"}
    assert stats["maxValues"] == {"i": 9, "s": "z"}
    assert stats["nullCount"] == {"i": 2, "s": 2}


def test_an_empty_file_has_no_bounds():
    stats = _stats(pa.table({"i": pa.array([], pa.int64())}))
    assert stats["numRecords"] == 0
    assert stats["nullCount"] == {"i": 0}
    assert stats["minValues"] == {}


def test_a_file_written_without_statistics_has_only_its_row_count():
    stats = _stats(pa.table({"i": [1, 2]}), write_statistics=False)
    assert stats == {
        "numRecords": 2,
        "minValues": {},
        "maxValues": {},
        "nullCount": {},
        "tightBounds": True,
    }


def test_a_float_has_a_maximum_only_if_it_is_known_to_hold_no_nan():
    table = pa.table({"f": [1.0, float("nan"), 3.0], "g": [1.0, 2.0, 3.0]})
    stats = _stats(table, nan_free={("g",)})
    assert stats["minValues"] == {"f": 1, "g": 1}
    assert stats["maxValues"] == {"g": 3}


def test_infinite_bounds_are_left_out():
    table = pa.table({"f": [float("-inf"), float("inf")]})
    stats = _stats(table, nan_free={("f",)})
    assert stats["minValues"] == {}
    assert stats["maxValues"] == {}


def test_dates_and_times_beyond_iso_years_are_left_out():
    table = pa.table({"d": pa.array([0, 2**30], pa.date32()), "t": pa.array([-(2**62), 0], UTC)})
    stats = _stats(table)
    assert stats["minValues"] == {"d": "1970-01-01"}
    assert stats["maxValues"] == {"t": "1970-01-01T00:00:00.000Z"}


@pytest.mark.parametrize(
    ("unit", "low", "high"),
    [
        ("ms", "1969-12-31T23:59:59.999", "1970-01-01T00:00:00.001"),
        ("us", "1969-12-31T23:59:59.999", "1970-01-01T00:00:00.001"),
        ("ns", "1969-12-31T23:59:59.999", "1970-01-01T00:00:00.001"),
    ],
)
def test_bounds_of_finer_times_are_widened_to_milliseconds(unit, low, high):
    stats = _stats(pa.table({"t": pa.array([-1, 1], pa.timestamp(unit))}))
    assert stats["minValues"] == {"t": low}
    assert stats["maxValues"] == {"t": high}


def test_times_in_a_file_that_does_not_say_the_unit_have_no_bounds():
    file = pa.table({"t": pa.array([1, 2], pa.int64())})
    stats = _stats(file, schema=pa.schema([("t", NTZ)]))
    assert stats["minValues"] == {}
    assert stats["nullCount"] == {"t": 0}


def test_decimals_keep_every_digit():
    value = Decimal(12345678901234567890123456789012345678)
    stats = _stats(pa.table({"c": pa.array([value], pa.decimal128(38, 0))}))
    assert stats["maxValues"] == {"c": value}


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("a" * 32, "a" * 32, "a" * 32),
        ("a" * 33, "a" * 32, "a" * 31 + "b"),
        ("a" + "\U0010ffff" * 40, "a" + "\U0010ffff" * 31, "b"),
        ("\ud7ff" * 33, "\ud7ff" * 32, "\ud7ff" * 31 + "\ue000"),
        ("\U0010ffff" * 33, "\U0010ffff" * 32, None),
    ],
)
def test_long_strings_are_cut_and_the_maximum_raised_above_them(text, low, high):
    stats = _stats(pa.table({"s": [text]}))
    assert stats["minValues"] == {"s": low}
    assert stats["maxValues"] == ({} if high is None else {"s": high})


def test_strings_of_a_file_that_are_not_utf8_have_no_bounds():
    stats = _stats(pa.table({"s": [b"\xff"]}), schema=pa.schema([("s", pa.string())]))
    assert stats["minValues"] == {}
    assert stats["maxValues"] == {}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
columns = st.one_of(
    st.tuples(st.just(pa.string()), st.lists(st.none() | texts, max_size=6)),
    st.tuples(st.just(pa.string()), st.lists(texts.map(lambda t: "\U0010fffe" * 31 + t))),
    st.tuples(st.just(pa.int8()), st.lists(st.none() | st.integers(-128, 127))),
    st.tuples(st.just(pa.int64()), st.lists(st.none() | st.integers(-(2**63), 2**63 - 1))),
    st.tuples(st.just(pa.float64()), st.lists(st.none() | st.floats())),
    st.tuples(st.just(pa.float32()), st.lists(st.none() | st.floats(width=32))),
    st.tuples(st.just(pa.date32()), st.lists(st.none() | st.dates())),
    st.tuples(st.just(NTZ), st.lists(st.none() | st.datetimes())),
    st.tuples(
        st.just(pa.decimal128(12, 3)),
        st.lists(st.none() | st.decimals(-(10**8), 10**8, places=3)),
    ),
)


@settings(deadline=None)
@given(columns, st.integers(1, 3))
def test_bounds_hold_for_every_value_whatever_the_data(column, row_group_size):
    type_, values = column
    table = pa.table({"c": pa.array(values, type_)})
    stats = _stats(table, row_group_size=row_group_size)
    assert stats["numRecords"] == len(values)
    assert stats["nullCount"] == {"c": values.count(None)}
    read = {
        pa.date32(): dt.date.fromisoformat,
        NTZ: dt.datetime.fromisoformat,
        pa.float64(): float,
        pa.float32(): float,
    }.get(type_, lambda bound: bound)
    present = [value for value in table["c"].to_pylist() if value is not None]
    if "c" in stats["minValues"]:
        assert all(read(stats["minValues"]["c"]) <= v for v in present if v == v)  # noqa: PLR0124 - not NaN
    if "c" in stats["maxValues"]:
        assert all(v <= read(stats["maxValues"]["c"]) for v in present)
    elif present and type_ == pa.string():
        assert max(present) >= "\U0010ffff" * 32
