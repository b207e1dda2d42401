"""Types that drift from day to day: every value that fits is taken, whatever type it comes in."""

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import atomic_manifest as am
import atomic_manifest.pandas
from atomic_manifest.errors import DataError, SchemaMismatch

FIRST = pd.DataFrame({"id": [1, 2], "price": [1.5, 2.5], "count": [1, 2], "note": ["a", "b"]})
DAYS = {
    "whole prices": {"id": [3], "price": [2], "count": [3], "note": ["c"]},
    "a missing count": {"id": [3], "price": [1.0], "count": [None], "note": ["c"]},
    "a count that is missing beside others": {
        "id": [3, 4], "price": [1.0, 2.0], "count": [3, None], "note": ["c", "d"]
    },
    "counts as floats": {"id": [3], "price": [1.0], "count": [4.0], "note": ["c"]},
    "no notes": {"id": [3], "price": [1.0], "count": [5], "note": [None]},
    "notes that are NaN": {"id": [3], "price": [1.0], "count": [5], "note": [math.nan]},
    "prices as decimals": {"id": [3], "price": [Decimal("2.50")], "count": [5], "note": ["c"]},
}  # fmt: skip

_numbers = iter(range(10**6))


def new_url() -> str:
    return f"memory://values-that-fit-{next(_numbers)}"


def appended(url: str, frame: pd.DataFrame) -> None:
    am.append(url, frame)


def overwritten(url: str, frame: pd.DataFrame) -> None:
    am.Table.open(url).overwrite(frame, where=f"id >= {frame['id'].min()}")


def in_transaction(url: str, frame: pd.DataFrame) -> None:
    with am.Table.open(url).transaction() as tx:
        tx.append(frame)


def as_dataset(url: str, frame: pd.DataFrame) -> None:
    am.write_dataset(frame, url, existing_data_behavior="overwrite_or_ignore")


def by_accessor(url: str, frame: pd.DataFrame) -> None:
    frame.atomic.append(url)


def in_a_stream(url: str, frame: pd.DataFrame) -> None:
    am.append(url, (part for part in [frame.iloc[:0], frame]))


@pytest.mark.parametrize("dtype", [object, "float64", "int64", "str"])
def test_a_day_without_rows_is_taken(dtype: Any) -> None:
    url = new_url()
    am.append(url, FIRST)
    empty = pd.DataFrame({name: pd.Series([], dtype=dtype) for name in FIRST})
    appended(url, empty)
    in_transaction(url, empty)
    in_a_stream(url, empty)
    assert am.read_table(url).num_rows == 2


WRITES = [appended, overwritten, in_transaction, as_dataset, by_accessor, in_a_stream]


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
@pytest.mark.parametrize("day", DAYS)
def test_a_day_whose_every_value_fits_is_taken(
    day: str, write: Callable[[str, pd.DataFrame], None]
) -> None:
    url, frame = new_url(), pd.DataFrame(DAYS[day])
    am.append(url, FIRST)
    schema = am.Table.open(url).schema
    write(url, frame)
    table = am.Table.open(url)
    assert table.schema == schema
    read = table.to_arrow(filter="id >= 3").sort_by("id").to_pylist()
    for row, given in zip(read, frame.astype(object).to_dict("records"), strict=True):
        for name, value in given.items():
            assert row[name] == (None if pd.isna(value) else value)


def test_what_does_not_fit_is_refused_by_name_with_value_and_row() -> None:
    url = new_url()
    am.append(url, FIRST)
    days = [FIRST, FIRST.assign(count=[3.0, 7.5])]
    with pytest.raises(DataError, match=r"column 'count': .*7\.5.*row 3 \(counted from 0\)"):
        am.append(url, iter(days))
    with pytest.raises(SchemaMismatch, match="column 'note' is string, got int64"):
        am.append(url, FIRST.assign(note=[1, 2]))
    with pytest.raises(SchemaMismatch, match="column 'count' is int64, got (large_)?string"):
        am.append(url, FIRST.assign(count=["1", "2"]))
    table = am.Table.open(url)
    assert (table.version, table.to_arrow().num_rows) == (0, 2)


def test_nan_is_null_where_pandas_says_so_and_no_integer_elsewhere() -> None:
    url = new_url()
    am.append(url, pa.table({"i": [1]}))
    am.append(url, pd.DataFrame({"i": [2.0, math.nan]}))
    with pytest.raises(DataError, match=r"column 'i': .*nan.* row 1 "):
        am.append(url, pa.table({"i": [2.0, math.nan]}))
    assert am.read_table(url)["i"].to_pylist() == [1, 2, None]


def nested(kind: pa.DataType, given: Any) -> pa.Array:
    # Arrow makes no decimal of a float, and no float of a decimal.
    value = Decimal(given) if pa.types.is_decimal(kind) and given is not None else given
    value = float(value) if pa.types.is_floating(kind) and given is not None else value
    inner = pa.struct([("m", pa.map_(pa.string(), pa.list_(kind)))])
    return pa.array([{"m": [("k", [value, None])]}, None], inner)


@pytest.mark.parametrize(
    ("source", "target", "value"),
    [
        (pa.int64(), pa.int8(), 7),
        (pa.uint64(), pa.int16(), 7),
        (pa.float64(), pa.int32(), 7.0),
        (pa.int64(), pa.float32(), 7),
        (pa.float64(), pa.float32(), 0.5),
        (pa.int64(), pa.decimal128(5, 2), 7),
        (pa.float64(), pa.decimal128(5, 2), 7.25),
        (pa.decimal128(38, 10), pa.decimal128(5, 2), Decimal("7.25")),
        (pa.decimal128(38, 10), pa.float64(), Decimal("7.25")),
        (pa.decimal128(38, 10), pa.int8(), Decimal(7)),
        (pa.date32(), pa.string(), None),
        (pa.string(), pa.int64(), None),
    ],
)
def test_values_fit_at_any_depth(source: pa.DataType, target: pa.DataType, value: Any) -> None:
    url = new_url()
    am.Table.create(url, pa.schema([("x", nested(target, None).type)]))
    am.append(url, pa.table({"x": nested(source, value)}))
    assert am.read_table(url)["x"].to_pylist() == nested(target, value).to_pylist()


def test_a_partition_column_takes_the_values_that_fit() -> None:
    url = new_url()
    am.append(url, pa.table({"day": pa.array([1], pa.int32()), "v": [1]}), partition_by=["day"])
    am.append(url, pa.table({"day": [2.0], "v": [2]}))
    am.write_dataset(
        pa.table({"day": pa.array([3], pa.uint32()), "v": [3]}),
        url,
        partitioning=["day"],
        existing_data_behavior="overwrite_or_ignore",
    )
    assert sorted(am.read_table(url)["day"].to_pylist()) == [1, 2, 3]


def test_dates_and_moments_stay_apart() -> None:
    url = new_url()
    am.append(url, pa.table({"d": [dt.date(2026, 1, 1)]}))
    with pytest.raises(SchemaMismatch, match="'d' is date32"):
        am.append(url, pa.table({"d": [dt.datetime(2026, 1, 1)]}))
    am.append(url, pa.table({"d": pa.nulls(1, pa.timestamp("us"))}))
    assert am.read_table(url)["d"].to_pylist() == [dt.date(2026, 1, 1), None]
