"""Columns of Python objects: mixed ones are refused, all others come back exactly."""

import datetime as dt
import itertools
from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atomic_manifest.data.input.objects import check_objects
from atomic_manifest.data.input.source import open_source
from atomic_manifest.errors import DataError

DAY, MOMENT = dt.date(2026, 1, 2), dt.datetime(2026, 1, 1, 5, 0, 0, 1)
VALUES = {
    "None": None,
    "NaN": float("nan"),
    "NaT": pd.NaT,
    "NA": pd.NA,
    "bool": True,
    "numpy bool": np.bool_(True),
    "int": 2,
    "int8": np.int8(3),
    "uint64": np.uint64(2**64 - 1),
    "long": 2**62 + 1,
    "too long": 2**64,
    "float": 1.5,
    "half": np.float16(0.1),
    "float32": np.float32(0.1),
    "float64": np.float64(2.5),
    "Decimal": Decimal("1.25"),
    "Decimal NaN": Decimal("NaN"),
    "str": "s",
    "numpy str": np.str_("t"),
    "bytes": b"b",
    "bytearray": bytearray(b"c"),
    "date": DAY,
    "datetime": MOMENT,
    "datetime UTC": MOMENT.replace(tzinfo=dt.UTC),
    "datetime +1": MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))),
    "Timestamp": pd.Timestamp(MOMENT),
    "Timestamp UTC": pd.Timestamp(MOMENT, tz="UTC"),
    "fine Timestamp": pd.Timestamp("2026-01-01T05:00:00.000000001"),
    "datetime64[D]": np.datetime64("2026-01-01"),
    "datetime64[us]": np.datetime64("2026-01-01T00:00:00.000001", "us"),
    "time": dt.time(1, 2, 3),
    "timedelta": dt.timedelta(1),
    "UUID": UUID(int=5),
    "list": [1],
    "list of dates": [DAY],
    "list of datetimes": [MOMENT],
    "tuple": (1.5,),
    "array": np.array([1]),
    "array of uint64": np.array([2**64 - 1], "uint64"),
    "array of days": np.array(["2026-01-01"], "datetime64[D]"),
    "array of objects": np.array([DAY], object),
    "dict": {"a": 1},
    "dict of dates": {"a": DAY},
    "dict of datetimes": {"a": MOMENT},
}


def is_null(value: object) -> bool:
    if isinstance(value, list | tuple | dict | np.ndarray):
        return False
    return bool(pd.isna(value))


def same(given: object, read: object) -> bool:
    """Whether Arrow gave back what it was given, in kind and in value."""
    if is_null(given):
        return is_null(read)
    match given:
        case bool() | np.bool_():
            alike = isinstance(read, bool) and read == bool(given)
        case dt.datetime() | np.datetime64():
            zones = [getattr(each, "tzinfo", None) is None for each in (given, read)]
            alike = len(set(zones)) == 1 and pd.Timestamp(given) == pd.Timestamp(read)
        case dt.date():
            alike = type(read) is dt.date and read == given
        case UUID():
            alike = read in (given, given.bytes)
        case list() | tuple() | np.ndarray():
            alike = isinstance(read, list) and all(map(same, given, read))
        case dict():
            alike = all(same(each, read[key]) for key, each in given.items())
        case _:
            alike = isinstance(read, str) == isinstance(given, str) and read == given
    return bool(alike)


@pytest.mark.parametrize("of_pandas", [True, False])
@pytest.mark.parametrize("first", VALUES)
def test_of_two_objects_in_a_column_both_come_back_or_the_column_is_refused(first, of_pandas):
    for second, value in VALUES.items():
        pair = [VALUES[first], value]
        objects = np.empty(2, object)
        objects[:] = pair
        column = pd.DataFrame({"x": pd.Series(objects, dtype=object)}) if of_pandas else {"x": pair}
        try:
            read = open_source(column).read_all()["x"]
        except DataError as error:
            read = None if error.column.partition(".")[0] == "x" else error
        assert read is None or all(map(same, pair, read.to_pylist())), (second, read)


@pytest.mark.parametrize(
    ("pair", "kinds"),
    list(itertools.chain.from_iterable(
        ((order, kinds) for order in (pair, pair[::-1]))
        for pair, kinds in [
            ([DAY, MOMENT], "dates and times without a time zone"),
            ([DAY, 5], "dates and integers"),
            ([MOMENT, MOMENT.replace(tzinfo=dt.UTC)], "times with a time zone and times without"),
            (["x", b"x"], "bytes and text"),
            ([True, 1.5], "booleans and floats"),
            ([1, UUID(int=5)], "integers and uuid.UUID"),
            ([0.5, np.uint64(7)], "floats and numpy.uint64"),
        ]
    )),
)  # fmt: skip
def test_the_kinds_that_are_mixed_are_named_with_the_column(pair, kinds):
    for values, path in (
        (pair, "x"),
        ([None, *pair], "x"),
        ([pair], "x"),
        ([{"a": {"b": value}} for value in pair], "x.a.b"),
    ):
        with pytest.raises(DataError, match=f"column '{path}' mixes {kinds}") as caught:
            check_objects(values, "x", nan_is_null=False)
        assert caught.value.column == path


def test_objects_in_the_index_and_in_categories_are_looked_at_too():
    mixed = pd.Index([DAY, MOMENT], dtype=object, name="k")
    frame = pd.DataFrame({"a": [1, 2]}, index=mixed)
    with pytest.raises(DataError, match="'k'"):
        open_source(frame)
    assert open_source(frame, preserve_index=False).read_all()["a"].to_pylist() == [1, 2]
    frame = pd.DataFrame({"c": pd.Categorical.from_codes([0, 1], mixed)})
    with pytest.raises(DataError, match="'c'"):
        open_source(frame)


def test_a_column_that_arrow_refuses_is_named_whatever_the_error():
    for values in ([2**64, 1], [2**53 + 1, 0.5], [object()]):
        frame = pd.DataFrame({"fine": [1] * len(values), "x": pd.Series(values, dtype=object)})
        for data in (frame, {"fine": [1] * len(values), "x": values}):
            with pytest.raises(DataError, match="column 'x': ") as caught:
                open_source(data)
            assert caught.value.column == "x"


def test_nan_is_null_in_pandas_and_a_number_elsewhere():
    frame = pd.DataFrame({"x": pd.Series([DAY, float("nan")], dtype=object)})
    assert open_source(frame).read_all()["x"].to_pylist() == [DAY, None]
    with pytest.raises(DataError, match="mixes dates and floats"):
        open_source({"x": [DAY, float("nan")]})
    assert open_source({"x": [1.5, float("nan")]}).read_all()["x"].null_count == 0


def test_arrays_of_arrow_in_a_mapping_are_taken_as_they_are():
    read = open_source({"x": pa.array([1], pa.int8()), "y": np.array([2], "int16")}).read_all()
    assert read.schema.types == [pa.int8(), pa.int16()]
