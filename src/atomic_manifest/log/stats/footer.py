"""File statistics from the Parquet footer (protocol, "Per-file Statistics").

Invariants: a bound always holds for every value of the file; what cannot be bounded for certain is
left out, which readers take as "not known".

Rules:

* Bounds of integers, floats, decimals, dates, timestamps and strings; null counts of these and of
  booleans and binaries. Lists and maps have neither. Structs nest.
* Some leaf columns are covered, by their paths or as the first so many: see `indexed`.
* Strings are cut to 32 characters; a maximum that was cut is raised to the next text of at most that
  length, by code point, and left out where there is none.
* Parquet footers pass over NaN, which Spark, DuckDB and Polars sort above every number, and Arrow
  nowhere. A float has no bounds where the caller knows of NaN (`Unsaid`), and a maximum only where it
  knows that there is none.
* Timestamps have milliseconds, as the protocol wants: a minimum is rounded down, a maximum up. Spark takes
  the digits of microseconds for as many milliseconds, where its legacy parser reads them.

Error semantics: none of its own; statistics the footer lacks are left out.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from atomic_manifest.log.metadata.partition import iso_date, iso_timestamp
from atomic_manifest.log.stats.indexed import INDEXED_COLUMNS

_Path: TypeAlias = tuple[str, ...]
_Bounds: TypeAlias = tuple[int | None, Any, Any]
"""Null count, minimum and maximum of a column, as JSON values; None is unknown."""


@dataclass(frozen=True, slots=True)
class Unsaid:
    """What is known of a column in a row group whose footer says nothing of it.

    Attributes:
        nulls: How many values are null.
        value: What all the others are; None if nothing bounds them.
    """

    nulls: int
    value: float | None


Indexed: TypeAlias = int | Collection[_Path]
"""Of how many leaf columns there are statistics, from the first (-1: of all), or of which."""

_PREFIX = 32
_MILLISECONDS = 23  # characters of a time that has them
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_ENCODE = msgspec.json.Encoder(decimal_format="number")
_TO_MICROSECONDS = {"milliseconds": (1000, 1), "microseconds": (1, 1), "nanoseconds": (1, 1000)}


class FooterStatistics:
    """What footers tell of files of one schema. Safe to share between threads.

    Args:
        schema: The table's schema, or the files'; columns that a file lacks (those of the
            partitioning) are passed over.
        indexed_columns: How many leaf columns get statistics; -1 for all
            (`delta.dataSkippingNumIndexedCols`). Or the paths of those that do.
    """

    def __init__(self, schema: pa.Schema, indexed_columns: Indexed = INDEXED_COLUMNS) -> None:
        self._schema = schema
        self._indexed_columns = indexed_columns
        # Of the file asked last: files of one write are alike, and there may be very many of them.
        self._last: tuple[pq.ParquetSchema, list[_Column]] | None = None

    def text(
        self,
        metadata: pq.FileMetaData,
        *,
        nan_free: Collection[_Path] = (),
        unsaid: Sequence[Mapping[_Path, Unsaid]] = (),
    ) -> str:
        """The JSON text of `add.stats` for a Parquet file.

        Args:
            metadata: The file's footer.
            nan_free: Paths of the float columns known to hold no NaN, which get a maximum too.
            unsaid: What else is known of each row group; none if the footer says it all.
        """
        every = range(metadata.num_row_groups)
        known = unsaid if len(unsaid) == len(every) else [{}] * len(every)
        groups = [
            _Group(group, group.num_rows, more)
            for group, more in zip(map(metadata.row_group, every), known, strict=True)
            if group.num_rows
        ]
        null_counts: dict[str, Any] = {}
        minima: dict[str, Any] = {}
        maxima: dict[str, Any] = {}
        for column in self._columns(metadata):
            null_count, minimum, maximum = _bounds(groups, column)
            _put(null_counts, column.path, null_count)
            _put(minima, column.path, minimum)
            if not column.has_nan or column.path in nan_free:
                _put(maxima, column.path, maximum)
        document = {
            "numRecords": metadata.num_rows,
            "minValues": minima,
            "maxValues": maxima,
            "nullCount": null_counts,
            "tightBounds": True,
        }
        return _ENCODE.encode(document).decode()

    def _columns(self, metadata: pq.FileMetaData) -> "list[_Column]":
        """The columns of a file that get statistics."""
        last, schema = self._last, metadata.schema
        if last is not None and last[0].equals(schema):
            return last[1]
        positions = _leaf_positions(schema)
        present = (column for column in _columns(self._schema, ()) if column[0] in positions)
        columns = [
            _Column(
                path,
                positions[path],
                _kind(type_, schema.column(positions[path])),
                pa.types.is_floating(type_),
            )
            for path, type_ in _first(present, self._indexed_columns)
            if not pa.types.is_nested(type_)
        ]
        self._last = schema, columns
        return columns


def _leaf_positions(schema: pq.ParquetSchema) -> dict[_Path, int]:
    """Where in the footer a column starts. By position, for names may hold the dots of a path."""
    positions: dict[_Path, int] = {}

    def visit(field: pa.Field, path: _Path, position: int) -> int:
        here = (*path, field.name)
        if pa.types.is_struct(field.type):
            for child in field.type:
                position = visit(child, here, position)
            return position
        positions[here] = position
        return position + _leaves(field.type)

    position = 0
    for field in schema.to_arrow_schema():
        position = visit(field, (), position)
    return positions


def _leaves(type_: pa.DataType) -> int:
    if not pa.types.is_nested(type_):
        return 1
    return sum(_leaves(type_.field(index).type) for index in range(type_.num_fields))


def covered(schema: pa.Schema, indexed_columns: Indexed) -> Iterator[tuple[_Path, pa.DataType]]:
    """Path and type of each leaf column that the statistics of a file of this schema can cover."""
    return _first(_columns(schema, ()), indexed_columns)


def _first(
    columns: Iterator[tuple[_Path, pa.DataType]], limit: Indexed
) -> Iterator[tuple[_Path, pa.DataType]]:
    if not isinstance(limit, int):
        return (column for column in columns if column[0] in limit)
    return columns if limit < 0 else islice(columns, limit)


def _columns(fields: Any, path: _Path) -> Iterator[tuple[_Path, pa.DataType]]:
    for field in fields:
        if pa.types.is_struct(field.type):
            yield from _columns(field.type, (*path, field.name))
        else:
            yield (*path, field.name), field.type


def _put(tree: dict[str, Any], path: _Path, value: Any) -> None:
    if value is None:
        return
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


@dataclass(frozen=True, slots=True)
class _Group:
    metadata: pq.RowGroupMetaData
    num_rows: int
    unsaid: Mapping[_Path, Unsaid]


def _bounds(groups: Sequence[_Group], column: "_Column") -> _Bounds:
    """What all row groups together say of a column."""
    kind, null_count = column.kind, 0
    low = high = None
    for group in groups:
        unsaid = group.unsaid.get(column.path)
        if unsaid is not None:
            null_count += unsaid.nulls
            if (value := unsaid.value) is None:
                kind = None
                continue
            low = value if low is None else min(low, value)
            high = value if high is None else max(high, value)
            continue
        statistics = group.metadata.column(column.position).statistics
        if statistics is None or not statistics.has_null_count:
            return None, None, None
        nulls = statistics.null_count
        null_count += nulls
        if kind is None or nulls == group.num_rows:
            continue
        pair = kind.low_high(statistics) if statistics.has_min_max else None
        if pair is None:
            kind = None
            continue
        low = pair[0] if low is None else min(low, pair[0])
        high = pair[1] if high is None else max(high, pair[1])
    if kind is None or low is None:
        return null_count, None, None
    return null_count, kind.lower(low), kind.upper(high)


def _values(statistics: Any) -> tuple[Any, Any]:
    return statistics.min, statistics.max


def _floats(statistics: Any) -> tuple[float, float] | None:
    low, high = statistics.min, statistics.max
    return None if math.isnan(low) or math.isnan(high) else (low, high)


def _raw(statistics: Any) -> tuple[Any, Any]:
    return statistics.min_raw, statistics.max_raw


def _microseconds(unit: str, statistics: Any) -> tuple[int, int]:
    factor, divisor = _TO_MICROSECONDS[unit]
    return statistics.min_raw * factor // divisor, -(-statistics.max_raw * factor // divisor)


def _same(value: Any) -> Any:
    return value


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _date(days: int) -> str | None:
    try:
        return iso_date(days)
    except OverflowError:
        return None


def _milliseconds(suffix: str, microseconds: int) -> str | None:
    try:
        text = iso_timestamp(microseconds // 1000 * 1000)
    except OverflowError:
        return None
    return text[:_MILLISECONDS] + suffix


def _milliseconds_above(suffix: str, microseconds: int) -> str | None:
    return _milliseconds(suffix, -(-microseconds // 1000) * 1000)


def _prefix(raw: bytes) -> str | None:
    try:
        return raw.decode()[:_PREFIX]
    except UnicodeDecodeError:
        return None


def _prefix_above(raw: bytes) -> str | None:
    prefix = _prefix(raw)
    if prefix is None or prefix.encode() == raw:
        return prefix
    return _successor(prefix)


def _successor(prefix: str) -> str | None:
    """The least text, no longer than `prefix`, above everything that begins with it."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1]) + 1
        if code in _SURROGATES:
            code = _SURROGATES.stop
        if code <= _LAST_CODE_POINT:
            return prefix[: end - 1] + chr(code)
    return None


@dataclass(frozen=True, slots=True)
class _Kind:
    """How columns of some types give their bounds.

    `low_high` takes them out of a row group's statistics, as values that compare as the column's do;
    `lower` and `upper` turn the least and the greatest into JSON.
    """

    low_high: Callable[[Any], tuple[Any, Any] | None]
    lower: Callable[[Any], Any]
    upper: Callable[[Any], Any]


_NUMBER = _Kind(_values, _same, _same)
_FLOAT = _Kind(_floats, _finite, _finite)
_TEXT = _Kind(_raw, _prefix, _prefix_above)
_DATE = _Kind(_raw, _date, _date)


def _kind(type_: pa.DataType, column: pq.ColumnSchema) -> _Kind | None:
    """That of a column of this type, which a file has stored as it says; None if it has no bounds."""
    types = pa.types
    if types.is_integer(type_) or types.is_decimal(type_):
        return _NUMBER
    if types.is_floating(type_):
        return _FLOAT
    if types.is_string(type_) or types.is_large_string(type_):
        return _TEXT
    if types.is_date32(type_):
        return _DATE
    if types.is_timestamp(type_):
        unit = json.loads(column.logical_type.to_json()).get("timeUnit")
        if unit not in _TO_MICROSECONDS:
            return None
        suffix = "" if type_.tz is None else "Z"
        return _Kind(
            partial(_microseconds, unit),
            partial(_milliseconds, suffix),
            partial(_milliseconds_above, suffix),
        )
    return None


@dataclass(frozen=True, slots=True)
class _Column:
    """A leaf column that gets statistics.

    Attributes:
        path: Its names.
        position: Where in a footer it is.
        kind: How it gives its bounds; None if it has none.
        has_nan: Whether it can hold NaN.
    """

    path: _Path
    position: int
    kind: _Kind | None
    has_nan: bool
