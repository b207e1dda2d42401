"""File statistics as typed columns (`stats_parsed`), from and to the JSON text of `add.stats`.

Tables say which of the two their checkpoints hold (`delta.checkpoint.writeStatsAsJson`,
`delta.checkpoint.writeStatsAsStruct`); either may be all there is.

Rules: the columns are those that statistics cover, under their physical names. Bounds are of integers,
floats, decimals, strings, dates and timestamps. What the text says of a column is kept exactly or, where
the column's type cannot hold it, left out; a decimal with too many digits is widened, and so is a time
whose offset may have been cut (`times`). Text that is no
JSON object has no statistics.

Error semantics: none of its own.
"""

import math
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, DecimalException
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from atomic_manifest.log.stats.lines import from_lines
from atomic_manifest.log.stats.moments import from_texts
from atomic_manifest.log.stats.times import OFFSET_MICROSECONDS, has_offset
from atomic_manifest.threads import in_parallel

_ENCODE = msgspec.json.Encoder(decimal_format="number")
_DECODE = msgspec.json.Decoder(float_hook=Decimal)
_ROWS = 32_768  # parsed at once
_MICROSECONDS = 26  # characters of a timestamp with microseconds, without a zone
_BAD_VALUE = (ValueError, TypeError, OverflowError, DecimalException)


def to_json(parsed: pa.StructArray) -> pa.Array:
    """JSON text for each row of `stats_parsed`, null where it is null."""
    return pa.array([row and _text(row) for row in parsed.to_pylist()], pa.string())


def _text(row: dict[str, Any]) -> str:
    return _ENCODE.encode(_known(row)).decode()


def _known(value: Any) -> Any:
    """The value without what JSON has no form for: nulls, bytes, and floats that are not finite."""
    if not isinstance(value, dict):
        return value
    return {
        name: _known(inner)
        for name, inner in value.items()
        if inner is not None
        and not isinstance(inner, bytes)
        and not (isinstance(inner, float) and not math.isfinite(inner))
    }


def from_json(texts: pa.Array, type_: pa.StructType) -> pa.StructArray:
    """The statistics of each text as columns, null where the text is null or no JSON object.

    Args:
        texts: Of `add.stats`.
        type_: See `typed_columns.statistics_type`.
    """
    parts = [texts.slice(start, _ROWS) for start in range(0, len(texts), _ROWS)]
    if len(parts) <= 1:
        return _parsed(texts, type_)
    parsed = in_parallel(
        "statistics", lambda part: _parsed(part, type_), parts, os.cpu_count() or 1
    )
    return pa.concat_arrays(parsed)


def _parsed(texts: pa.Array, type_: pa.StructType) -> pa.StructArray:
    found = from_lines(texts, type_)
    if found is not None:
        return found
    try:
        return _fast(texts, type_)
    except pa.ArrowException:  # one text that is unlike the others spoils all of them
        return _slow(texts, type_)


def aligned(parsed: pa.Array, type_: pa.DataType) -> pa.Array:
    """Statistics in the columns of another schema, as far as they are there and fit."""
    if parsed.type == type_:
        return parsed
    if not pa.types.is_struct(type_):
        return _cast_or_null(parsed, type_)
    if not pa.types.is_struct(parsed.type):
        return pa.nulls(len(parsed), type_)
    columns = [
        aligned(pc.struct_field(parsed, field.name), field.type)
        if parsed.type.get_field_index(field.name) >= 0
        else pa.nulls(len(parsed), field.type)
        for field in type_
    ]
    return pa.StructArray.from_arrays(columns, fields=list(type_), mask=parsed.is_null())


def _cast_or_null(values: pa.Array, type_: pa.DataType) -> pa.Array:
    try:
        return values.cast(type_)
    except pa.ArrowException:
        return pa.nulls(len(values), type_)


def _fast(texts: pa.Array, type_: pa.StructType) -> pa.StructArray:
    count = len(texts)
    lines = pc.fill_null(texts, "{}")
    if pc.starts_with(lines, "{").true_count < count:  # of a first line `null` Arrow's reader dies
        raise pa.ArrowInvalid("a text is no JSON object")
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), lines), "\n")
    data = joined[0].as_buffer() if count else pa.py_buffer(b"")
    if not data.size:
        return _slow(texts, type_)
    table = pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(use_threads=False, block_size=data.size + 1),
        parse_options=pj.ParseOptions(
            explicit_schema=pa.schema([(field.name, _as_read(field.type)) for field in type_]),
            unexpected_field_behavior="ignore",
        ),
    )
    if table.num_rows != count:
        raise pa.ArrowInvalid("a text is more or less than one line")
    columns = [
        _typed(table[field.name].combine_chunks(), field.type, field.name) for field in type_
    ]
    return pa.StructArray.from_arrays(columns, fields=list(type_), mask=texts.is_null())


def _as_read(type_: pa.DataType) -> pa.DataType:
    """The type to read JSON as: dates and times are text in it."""
    if pa.types.is_struct(type_):
        return pa.struct([(field.name, _as_read(field.type)) for field in type_])
    return pa.string() if pa.types.is_temporal(type_) else type_


def _typed(values: pa.Array, type_: pa.DataType, kind: str) -> pa.Array:
    if pa.types.is_struct(type_):
        columns = [_typed(pc.struct_field(values, field.name), field.type, kind) for field in type_]
        return pa.StructArray.from_arrays(columns, fields=list(type_), mask=values.is_null())
    if pa.types.is_floating(type_):
        return pc.if_else(pc.is_finite(values), values, None)
    return from_texts(values, type_, kind) if pa.types.is_temporal(type_) else values.cast(type_)


def _slow(texts: pa.Array, type_: pa.StructType) -> pa.StructArray:
    return pa.array([_row(text, type_) for text in texts.to_pylist()], type_)


def _row(text: str | None, type_: pa.StructType) -> dict[str, Any] | None:
    try:
        found = None if text is None else _DECODE.decode(text)
    except (msgspec.MsgspecError, DecimalException, RecursionError):
        return None
    return _object(found, type_, upper=False) if isinstance(found, dict) else None


def _object(found: Any, type_: pa.StructType, *, upper: bool) -> dict[str, Any] | None:
    if not isinstance(found, dict):
        return None
    values: dict[str, Any] = {}
    for field in type_:
        value, is_upper = found.get(field.name), upper or field.name == "maxValues"
        if pa.types.is_struct(field.type):
            values[field.name] = _object(value, field.type, upper=is_upper)
        else:
            values[field.name] = _value(value, field.type, upper=is_upper)
    return values


def _value(value: Any, type_: pa.DataType, *, upper: bool) -> Any:
    if value is None:
        return None
    try:
        if pa.types.is_decimal(type_):
            value = _decimal(value, type_, ROUND_CEILING if upper else ROUND_FLOOR)
        elif pa.types.is_timestamp(type_):
            value = _time(value, type_, upper=upper)
        else:
            value = next(read for matches, read in _READERS if matches(type_))(value, type_)
        return pa.scalar(value, type_).as_py()  # out of the type's range is as good as none
    except (*_BAD_VALUE, StopIteration, pa.ArrowException):
        return None


def _exact(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise TypeError
    return value


def _decimal(value: Any, type_: pa.DataType, rounding: str) -> Decimal:
    number = Decimal(_exact(value, int, Decimal, str))
    context = Context(prec=type_.precision, rounding=rounding)
    return number.quantize(Decimal(1).scaleb(-type_.scale), context=context)


def _integer(value: Any, _: pa.DataType) -> int:
    number = Decimal(_exact(value, int, Decimal))
    if number != int(number):
        raise ValueError
    return int(number)


def _float(value: Any, type_: pa.DataType) -> float:
    number = float(_exact(value, int, Decimal))
    if not math.isfinite(pa.scalar(number, type_).as_py()):
        raise ValueError
    return number


def _time(value: Any, type_: pa.DataType, *, upper: bool) -> datetime:
    text = str(_exact(value, str))
    if len(text.rstrip("Z").partition("+")[0]) > _MICROSECONDS:
        raise ValueError
    moment = datetime.fromisoformat(text)
    if type_.tz is None:
        if moment.utcoffset():
            raise ValueError
        return moment.replace(tzinfo=None)
    if moment.tzinfo is None:
        raise ValueError
    moment = moment.astimezone(UTC)
    if not has_offset(text):
        return moment
    slack = timedelta(microseconds=OFFSET_MICROSECONDS)
    return moment + slack if upper else moment - slack


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], Any]], ...] = (
    (pa.types.is_integer, _integer),
    (pa.types.is_floating, _float),
    (pa.types.is_boolean, lambda value, _: _exact(value, bool)),
    (pa.types.is_string, lambda value, _: _exact(value, str)),
    (pa.types.is_date, lambda value, _: date.fromisoformat(_exact(value, str))),
)
