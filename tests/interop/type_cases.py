"""One array for every Arrow type: extremes, nulls and what is easily lost of its values."""

import datetime as dt
import math
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa

_EXACT = Context(prec=80)
_NAN, _INF = math.nan, math.inf
_SECONDS_OF_9999 = int(dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC).timestamp())
_SECONDS_OF_1 = int(dt.datetime(1, 1, 1, tzinfo=dt.UTC).timestamp())
_DAYS_OF_9999 = (dt.date(9999, 12, 31) - dt.date(1970, 1, 1)).days
_DAYS_OF_1 = (dt.date(1, 1, 1) - dt.date(1970, 1, 1)).days
_DAY_MS = 86_400_000


def _integers() -> dict[str, pa.Array]:
    found = {}
    for bits in (8, 16, 32, 64):
        signed, unsigned = getattr(pa, f"int{bits}")(), getattr(pa, f"uint{bits}")()
        high = 2 ** (bits - 1)
        found[f"int{bits}"] = pa.array([-high, high - 1, 0, None], signed)
        found[f"uint{bits}"] = pa.array([0, 2**bits - 1, None], unsigned)
    return found


def _floats() -> dict[str, pa.Array]:
    extremes = {
        "half float": (pa.float16(), [65504.0, 2.0**-24]),
        "float32": (pa.float32(), [3.4028234663852886e38, 2.0**-149]),
        "float64": (pa.float64(), [1.7976931348623157e308, 5e-324, 0.1]),
    }
    return {
        name: pa.array([*values, -0.0, _NAN, _INF, -_INF, None], kind)
        for name, (kind, values) in extremes.items()
    }


def _decimal(kind: pa.DataType) -> pa.Array:
    most = 10**kind.precision - 1
    values = [_EXACT.scaleb(Decimal(each), -kind.scale) for each in (most, -most, 1, 0)]
    return pa.array([*values, None], kind)


def _decimals() -> dict[str, pa.Array]:
    kinds = [
        pa.decimal32(9, 2), pa.decimal64(18, 0), pa.decimal128(5, 5), pa.decimal128(38, 0),
        pa.decimal128(38, 10), pa.decimal128(38, 38), pa.decimal256(38, 38),
        pa.decimal256(39, 0), pa.decimal256(76, 10), pa.decimal128(5, -2),
    ]  # fmt: skip
    found = {str(kind): _decimal(kind) for kind in kinds if kind.scale >= 0}
    negative = pa.decimal128(5, -2)
    return found | {str(negative): pa.array([Decimal("1E+4"), None], negative)}


def _times() -> dict[str, pa.Array]:
    units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    found = {
        "date32": pa.array([0, _DAYS_OF_1, _DAYS_OF_9999, None], pa.date32()),
        "date32, far": pa.array([-(2**31), 2**31 - 1, None], pa.date32()),
        "date64": pa.array([0, _DAYS_OF_1 * _DAY_MS, _DAYS_OF_9999 * _DAY_MS, None], pa.date64()),
        "date64, within a day": pa.array([1, None], pa.int64()).view(pa.date64()),
        "date64, far": pa.array([2**31 * _DAY_MS, None], pa.int64()).view(pa.date64()),
    }
    for unit, parts in units.items():
        for zone in (None, "UTC", "Europe/Berlin"):
            kind = pa.timestamp(unit, zone)
            # Nanoseconds in 64 bits end in 1677 and 2262.
            least, most = (
                (_SECONDS_OF_1, _SECONDS_OF_9999)
                if unit != "ns"
                else (-9_223_372_036, 9_223_372_036)
            )
            last = {"s": 0, "ms": 999, "us": 999_999, "ns": 999_999_000 - 145_225_000}[unit]
            values = [0, -parts, least * parts, most * parts + last, None]
            found[str(kind)] = pa.array(values, pa.int64()).cast(kind)
    fine = pa.array([1_001, -1, None], pa.int64())
    wide = pa.array([-(2**63), 2**63 - 1, None], pa.int64())
    found["timestamp[ns], finer than a microsecond"] = fine.cast(pa.timestamp("ns"))
    found["timestamp[ns, tz=UTC], finer than a microsecond"] = fine.cast(pa.timestamp("ns", "UTC"))
    found["timestamp[us], far"] = wide.cast(pa.timestamp("us"))
    found["timestamp[us, tz=UTC], far"] = wide.cast(pa.timestamp("us", "UTC"))
    found["timestamp[s], beyond microseconds"] = pa.array([2**62, None], pa.timestamp("s"))
    found |= {
        str(kind): pa.array([1, 3_600, None], kind)
        for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))
    }
    found |= {
        str(pa.duration(unit)): pa.array([1, None], pa.duration(unit))
        for unit in ("s", "ms", "us", "ns")
    }
    interval = pa.month_day_nano_interval()
    return found | {str(interval): pa.array([pa.MonthDayNano([1, 2, 3]), None], interval)}


_TEXTS = ["", "a", "žluťoučký kůň 🐎 is longer than twelve bytes", "\x00\n", None]
_BYTES = [b"", b"a", bytes(range(256)), None]


def _texts() -> dict[str, pa.Array]:
    texts, byte_strings = (
        {str(kind): pa.array(values, kind) for kind in kinds}
        for values, kinds in (
            (_TEXTS, (pa.string(), pa.large_string(), pa.string_view())),
            (_BYTES, (pa.binary(), pa.large_binary(), pa.binary_view())),
        )
    )
    fixed = {
        "string, none empty": pa.array(["a b", "x/y=z%41", "ü:?#", "'\"{}", " ", None]),
        "binary, UTF-8": pa.array([b"a b", "ü".encode(), None]),
        "fixed_size_binary[3]": pa.array([b"\x00\xff\x80", None], pa.binary(3)),
        "bool": pa.array([True, False, None]),
        "null": pa.nulls(2),
    }
    return texts | byte_strings | fixed


def _dictionary(values: pa.Array, index: pa.DataType) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([1, 0, None, 1], index), values)


def _run_ends(values: pa.Array, ends: pa.DataType) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 7], ends), values)


def _encoded() -> dict[str, pa.Array]:
    values = {
        "string": pa.array(["x", "y", None]),
        "string_view": pa.array(["x", "longer than twelve bytes", None], pa.string_view()),
        "binary_view": pa.array([b"x", b"longer than twelve bytes", None], pa.binary_view()),
        "int64": pa.array([2**63 - 1, -1, None]),
        "double": pa.array([_NAN, -0.0, None]),
        "bool": pa.array([True, False, None]),
        "decimal256(38, 2)": pa.array([Decimal("1.20"), Decimal("-0.01"), None]).cast(
            pa.decimal256(38, 2)
        ),
        "timestamp[ns]": pa.array([1_000, -1_000, None], pa.timestamp("ns")),
        "list<int64>": pa.array([[1, None], [], None]),
        "struct<a: int64>": pa.array([{"a": 1}, {"a": None}, None]),
    }
    indices = [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64()]
    found = {}
    for number, (name, each) in enumerate(values.items()):
        found[f"dictionary of {name}"] = _dictionary(each, indices[number % len(indices)])
        found[f"run_end_encoded of {name}"] = _run_ends(
            each, (pa.int16(), pa.int32(), pa.int64())[number % 3]
        )
    found["dictionary, ordered"] = pa.DictionaryArray.from_arrays(
        pa.array([1, 0]), pa.array(["a", "b"]), ordered=True
    )
    words = _dictionary(pa.array(["x", "y"]), pa.int32())
    found["run_end_encoded of dictionary"] = _run_ends(words.slice(0, 3), pa.int32())
    return found


def _nested() -> dict[str, pa.Array]:
    pairs = pa.map_(pa.string(), pa.int64())
    lists: list[Any] = [[1, None], [], None, [2**63 - 1]]
    deep = pa.struct([("a", pa.large_list(pa.struct([("b", pairs), ("c", pa.string_view())])))])
    return {
        "list": pa.array(lists),
        "large_list": pa.array(lists, pa.large_list(pa.int64())),
        "list_view": pa.array(lists, pa.list_view(pa.int64())),
        "large_list_view": pa.array(lists, pa.large_list_view(pa.int64())),
        "fixed_size_list": pa.array([[1, 2], [None, 4], None], pa.list_(pa.int64(), 2)),
        "list of lists": pa.array([[[1.5, None], None, []], None, []]),
        "list of list views": pa.array([[[1], None, []], None], pa.list_(pa.list_view(pa.int32()))),
        "list of dictionaries": pa.ListArray.from_arrays(
            [0, 2, 4], _dictionary(pa.array(["x", "y"]), pa.int8())
        ),
        "list of run ends": pa.ListArray.from_arrays(
            pa.array([0, 2, 7], pa.int32()), _run_ends(pa.array(["x", "y", None]), pa.int32())
        ),
        "list of structs": pa.array([[{"a": 1}, None], [], None]),
        "list of nulls": pa.array([[None], [], None], pa.list_(pa.null())),
        "struct": pa.array([{"a": 1, "b": "x"}, {"a": None, "b": None}, None]),
        "struct of structs": pa.array([{"a": {"b": 1}}, {"a": None}, None]),
        "struct of uint8": pa.array([{"a": 255}, None], pa.struct([("a", pa.uint8())])),
        "struct of nulls": pa.array([{"a": None}], pa.struct([("a", pa.null())])),
        "struct<>": pa.array([{}], pa.struct([])),
        "map": pa.array([[("k", 1), ("l", None)], [], None], pairs),
        "map with sorted keys": pa.array(
            [[("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int64(), keys_sorted=True)
        ),
        "map of maps": pa.array([[("k", [("l", 1)])], [], None], pa.map_(pa.string(), pairs)),
        "map with number keys": pa.array([[(255, 1)], None], pa.map_(pa.uint8(), pa.float32())),
        "all of them": pa.array(
            [{"a": [{"b": [("k", 1)], "c": "x"}, None]}, {"a": []}, {"a": None}, None], deep
        ),
        "sparse_union": pa.UnionArray.from_sparse(
            pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
        ),
        "dense_union": pa.UnionArray.from_dense(
            pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]
        ),
    }


def _extensions() -> dict[str, pa.Array]:
    stored = {
        pa.uuid(): pa.array([bytes(range(16)), None], pa.binary(16)),
        pa.json_(): pa.array(['{"a": 1.0}', None]),
        pa.json_(pa.string_view()): pa.array(["[]", None], pa.string_view()),
        pa.bool8(): pa.array([1, 0, 7, None], pa.int8()),
        pa.opaque(pa.binary(), "geometry", "someone"): pa.array([b"x", None]),
        pa.fixed_shape_tensor(pa.int32(), [2, 2]): pa.array(
            [[1, 2, 3, 4], None], pa.list_(pa.int32(), 4)
        ),
    }
    found = {
        str(kind).removeprefix("extension<").removesuffix(">"): pa.ExtensionArray.from_storage(
            kind, storage
        )
        for kind, storage in stored.items()
    }
    ids = found["arrow.uuid"]
    return found | {
        "list of arrow.uuid": pa.ListArray.from_arrays([0, 2], ids),
        "dictionary of arrow.uuid": pa.DictionaryArray.from_arrays([0, 1, None], ids),
    }


CASES: dict[str, pa.Array] = {
    **_integers(),
    **_floats(),
    **_decimals(),
    **_times(),
    **_texts(),
    **_encoded(),
    **_nested(),
    **_extensions(),
}
"""By name: what is written."""

TARGETS: dict[str, pa.DataType] = {
    "byte": pa.int8(),
    "short": pa.int16(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "decimal(9,2)": pa.decimal128(9, 2),
    "decimal(38,10)": pa.decimal128(38, 10),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "array<long>": pa.list_(pa.field("element", pa.int64())),
    "struct<a:long>": pa.struct([pa.field("a", pa.int64())]),
    "map<string,long>": pa.map_(pa.string(), pa.int64()),
}
"""Columns of a table that is there, by their Delta types."""
