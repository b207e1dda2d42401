"""What an Arrow array says, told alike for all types that can say it: equal only if no value differs."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pyarrow as pa
from pyarrow import types

_PARTS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY = 86_400


def facts(array: pa.Array | pa.ChunkedArray) -> list[Any]:
    """One fact for each row; None for null.

    Numbers are exact fractions, with `-0.0`, NaN and infinities apart; moments are seconds since the
    epoch, of an instant or of a clock on a wall; structs tell their fields by name.
    """
    if isinstance(array, pa.ChunkedArray):
        return [fact for chunk in array.chunks for fact in facts(chunk)]
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        of_bytes = isinstance(kind, pa.Bool8Type)
        return facts(array.storage.cast(pa.bool_()) if of_bytes else array.storage)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _expanded(array)
    if types.is_struct(kind):
        return _structs(array)
    if types.is_map(kind):
        return [_pairs(row.values) if row.is_valid else None for row in array]
    if types.is_nested(kind):
        return [("list", *facts(row.values)) if row.is_valid else None for row in array]
    return _leaves(array)


def _expanded(array: pa.DictionaryArray | pa.RunEndEncodedArray) -> list[Any]:
    if types.is_dictionary(array.type):
        known = facts(array.dictionary)
        return [None if index is None else known[index] for index in array.indices.to_pylist()]
    values, found, start = facts(array.values), [], 0
    for value, end in zip(values, array.run_ends.to_pylist(), strict=True):
        found += [value] * (end - start)
        start = end
    return found[array.offset : array.offset + len(array)]


def _structs(array: pa.StructArray) -> list[Any]:
    names = [field.name for field in array.type]
    rows = zip(*map(facts, array.flatten()), strict=True) if names else [()] * len(array)
    return [
        ("struct", *sorted(zip(names, row, strict=True), key=str)) if valid else None
        for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)
    ]


def _pairs(entries: pa.StructArray) -> tuple[Any, ...]:
    return ("map", *zip(facts(entries.field(0)), facts(entries.field(1)), strict=True))


def _leaves(array: pa.Array) -> list[Any]:
    raw, tell = _reading(array)
    return [None if value is None else tell(value) for value in raw.to_pylist()]


def _reading(array: pa.Array) -> tuple[pa.Array, Callable[[Any], Any]]:
    """A view whose values Python shows without loss, and what they mean."""
    kind = array.type
    if types.is_timestamp(kind):
        clock = "wall clock" if kind.tz is None else "instant"
        return array.view(pa.int64()), lambda value: (clock, Fraction(value, _PARTS[kind.unit]))
    if types.is_time(kind) or types.is_duration(kind):
        bits = pa.int32() if kind.bit_width == 32 else pa.int64()
        name = "duration" if types.is_duration(kind) else "time"
        return array.view(bits), lambda value: (name, Fraction(value, _PARTS[kind.unit]))
    if types.is_date32(kind):
        return array.view(pa.int32()), lambda value: ("date", Fraction(value))
    if types.is_date64(kind):
        return array.view(pa.int64()), lambda value: ("date", Fraction(value, _DAY * 1000))
    if types.is_boolean(kind):
        return array, lambda value: ("boolean", value)
    if types.is_floating(kind):
        return array, _float
    if types.is_integer(kind) or types.is_decimal(kind):
        return array, Fraction
    return array, lambda value: value


def _float(value: Any) -> Any:
    number = float(value)
    if math.isnan(number):
        return "not a number"
    if math.isinf(number) or (number == 0 and math.copysign(1, number) < 0):
        return repr(number)
    return Fraction(number)
