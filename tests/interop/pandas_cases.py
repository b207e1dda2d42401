"""Columns of pandas of every dtype, with what they say; `None` for those that are refused."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa

_UTC = dt.UTC
_MOMENT = dt.datetime(2026, 10, 25, 0, 30, 1)  # twice on the clocks of Berlin
_FINE = "2026-01-01T00:00:00.000000001"
_LATER = dt.timezone(dt.timedelta(hours=1))


def _objects(*values: Any) -> pd.Series:
    found = np.empty(len(values), object)
    found[:] = values
    return pd.Series(found, dtype=object)


def _numbers() -> dict[str, tuple[pd.Series, pa.Array | None]]:
    found: dict[str, tuple[pd.Series, pa.Array | None]] = {}
    for bits in (8, 16, 32, 64):
        least, most, whole = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 2**bits - 1
        for name, values in (("Int", [least, most, None]), ("UInt", [0, whole, None])):
            kind = f"{name}{bits}"
            expected = None if kind == "UInt64" else pa.array(values, pa.int64())
            found[kind.lower()] = (
                pd.Series(values[:2], dtype=kind.lower()),
                None if expected is None else expected.slice(0, 2),
            )
            found[kind] = pd.Series(values, dtype=kind), expected
    # NaN is how these dtypes say null, to pyarrow as well.
    floats = [0.5, -0.0, float("nan"), float("inf")]
    null = pa.array([0.5, -0.0, None, float("inf")])
    for kind in ("float16", "float32", "float64", "Float32", "Float64"):
        found[kind] = pd.Series(floats, dtype=kind), null
    both = pd.arrays.FloatingArray(np.array([np.nan, 1.0]), np.array([False, True]))
    found["Float64 with NaN and NA"] = pd.Series(both), pa.array([float("nan"), None])
    found["bool"] = pd.Series([True, False]), pa.array([True, False])
    found["boolean"] = pd.Series([True, None], dtype="boolean"), pa.array([True, None])
    found["complex128"] = pd.Series([1 + 2j]), None
    found["Sparse[int64]"] = pd.Series([0, 1], dtype="Sparse[int64]"), None
    return found


def _times() -> dict[str, tuple[pd.Series, pa.Array | None]]:
    found: dict[str, tuple[pd.Series, pa.Array | None]] = {}
    for unit in ("s", "ms", "us", "ns"):
        naive = pd.Series([_MOMENT, None]).astype(f"datetime64[{unit}]")
        aware = pa.array([_MOMENT, None], pa.timestamp("us")).view(pa.timestamp("us", "UTC"))
        found[f"datetime64[{unit}]"] = naive, pa.array([_MOMENT, None], pa.timestamp("us"))
        utc = naive.dt.tz_localize("UTC")
        found[f"datetime64[{unit}, UTC]"] = utc, aware
        berlin = utc.dt.tz_convert("Europe/Berlin")
        found[f"datetime64[{unit}, Europe/Berlin]"] = berlin, aware
    found["datetime64[ns], finer than a microsecond"] = pd.Series(pd.to_datetime([_FINE])), None
    found["timedelta64[ns]"] = pd.Series(pd.to_timedelta([1], unit="ns")), None
    found["period[M]"] = pd.Series(pd.period_range("2026-01", periods=2, freq="M")), None
    found["interval[int64]"] = pd.Series(pd.interval_range(0, 2)), None
    return found


def _texts() -> dict[str, tuple[pd.Series, pa.Array | None]]:
    texts = ["a", None, "žluť 🐎"]
    named = {kind: pd.Series(texts, dtype=kind) for kind in ("str", "string[python]")}
    named["string[pyarrow]"] = pd.Series(texts, dtype="string[pyarrow]")
    found: dict[str, tuple[pd.Series, pa.Array | None]] = {
        kind: (series, pa.array(texts)) for kind, series in named.items()
    }
    found["category of text"] = pd.Series(texts, dtype="category"), pa.array(texts)
    ordered = pd.Categorical(["a", "b"], categories=["b", "a"], ordered=True)
    found["category, ordered"] = pd.Series(ordered), pa.array(["a", "b"])
    found["category of int64"] = pd.Series([7, 8], dtype="category"), pa.array([7, 8])
    found["category of datetime64[ns], finer than a microsecond"] = (
        pd.Series(pd.to_datetime([_FINE]), dtype="category"),
        None,
    )
    found["category of intervals"] = pd.Series(pd.cut([1, 2, 3], 2)), None
    return found


def _plain_objects() -> dict[str, tuple[pd.Series, pa.Array | None]]:
    fine = pd.Timestamp(_FINE)
    moments = [_MOMENT.replace(tzinfo=_UTC), _MOMENT.replace(tzinfo=_LATER)]
    kept: dict[str, tuple[pd.Series, pa.Array | None]] = {
        "text": (_objects("a", None, float("nan"), pd.NA), pa.array(["a", None, None, None])),
        "bytes": (_objects(b"\xff", None), pa.array([b"\xff", None])),
        "int": (_objects(2**63 - 1, None, np.int8(1)), pa.array([2**63 - 1, None, 1])),
        "int and float": (_objects(2**53, 0.5), pa.array([float(2**53), 0.5])),
        "bool": (_objects(True, None, float("nan")), pa.array([True, None, None])),
        "Decimal": (
            _objects(Decimal("1.25"), Decimal("-3.1"), Decimal("NaN")),
            pa.array([Decimal("1.25"), Decimal("-3.10"), None]),
        ),
        "Decimal and int": (_objects(Decimal("1.5"), 3), pa.array([Decimal("1.5"), Decimal(3)])),
        "date": (_objects(dt.date(9999, 1, 1), pd.NaT), pa.array([dt.date(9999, 1, 1), None])),
        "datetime": (
            _objects(dt.datetime(9999, 1, 1, microsecond=1), None),
            pa.array([dt.datetime(9999, 1, 1, microsecond=1), None]),
        ),
        "datetime of several zones": (
            _objects(*moments),
            pa.array(moments, pa.timestamp("us", "UTC")),
        ),
        "dict": (_objects({"a": 1}, None, {"b": "x"}), pa.array([{"a": 1}, None, {"b": "x"}])),
        "list": (_objects([1, None], None, []), pa.array([[1, None], None, []])),
        "ndarray": (_objects(np.array([1, 2]), None), pa.array([[1, 2], None])),
        "UUID": (_objects(UUID(int=5)), pa.array([UUID(int=5).bytes])),
        "nothing but null": (_objects(None, None), pa.nulls(2)),
    }
    mixed: dict[str, pd.Series] = {
        "int beyond 64 bits": _objects(2**64),
        "int that no float holds, and float": _objects(2**53 + 1, 0.5),
        "int and text": _objects(1, "x"),
        "text and bytes": _objects("x", b"x"),
        "bool and int": _objects(True, 2),
        "bool and float": _objects(1.5, True),
        "Decimal and float": _objects(Decimal("1.5"), 0.1),
        "date and datetime": _objects(_MOMENT.date(), _MOMENT),
        "date and int": _objects(_MOMENT.date(), 5),
        "datetime and int": _objects(_MOMENT, 5),
        "datetime with and without zone": _objects(_MOMENT, *moments),
        "Timestamp finer than a microsecond": _objects(fine),
        "int and UUID": _objects(1, UUID(int=5)),
        "lists of dates and datetimes": _objects([_MOMENT.date()], [_MOMENT]),
        "dicts of dates and datetimes": _objects({"a": _MOMENT.date()}, {"a": _MOMENT}),
        "time": _objects(dt.time(1, 2, 3)),
        "timedelta": _objects(dt.timedelta(1)),
        "other objects": _objects(object),
    }
    return {
        f"object: {name}": case
        for name, case in (kept | {name: (each, None) for name, each in mixed.items()}).items()
    }


def _of_arrow() -> dict[str, tuple[pd.Series, pa.Array | None]]:
    arrays = {
        "double": pa.array([float("nan"), None, -0.0]),
        "large_string": pa.array(["a", None], pa.large_string()),
        "decimal128(38, 10)": pa.array([Decimal("1.0000000001"), None], pa.decimal128(38, 10)),
        "timestamp[ns, tz=UTC]": pa.array([1_000, None], pa.timestamp("ns", "UTC")),
        "dictionary": pa.array(["a", None]).dictionary_encode(),
        "list<int64>": pa.array([[1], None]),
        "struct<a: int64>": pa.array([{"a": 1}, None]),
    }
    refused = {
        "time64[us]": pa.array([1], pa.time64("us")),
        "timestamp[ns], finer than a microsecond": pa.array([1], pa.timestamp("ns")),
    }
    found: dict[str, tuple[pd.Series, pa.Array | None]] = {}
    for name, array in (arrays | refused).items():
        series = pd.Series(pd.arrays.ArrowExtensionArray(array))
        found[f"{name}[pyarrow]"] = series, None if name in refused else array
    return found


PANDAS_CASES = {**_numbers(), **_times(), **_texts(), **_plain_objects(), **_of_arrow()}
"""By name: a column, and the values that must come back."""
