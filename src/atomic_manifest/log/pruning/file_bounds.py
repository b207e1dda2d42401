"""Where the bounds of columns come from: partition values, typed statistics, footers of checkpoints.

Invariant: as `column_bounds`. The rules, and why they are what they are, are told in `bounds`.

What a footer says of the statistics of many files bounds them all only after it was widened by the most
that any of them may be: a time by what it was cut by, whether it looks cut or not; text so long that a
text that was cut may begin like it. Of floats it says nothing, for it passes over NaN, which as a bound
means that there is none.

Error semantics: facts never raise, be they ever so corrupt.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.log.pruning import bounds
from atomic_manifest.log.pruning.bounds import (
    CUT_BYTES,
    CUT_MICROSECONDS,
    FLOAT_DIGITS,
    REPLACEMENT,
)
from atomic_manifest.log.pruning.column_bounds import BAD_VALUE, COMPARED_AS, ColumnBounds
from atomic_manifest.log.pruning.row_group import LeafStatistics
from atomic_manifest.log.stats import times

_Array: TypeAlias = Any  # pa.Array or pa.ChunkedArray; pyarrow ships no types

_EPOCH = dt.date(1970, 1, 1)
_LAST = chr(0x10FFFF)
_FLOAT_ERROR = pa.scalar(Decimal("5e-16"), pa.decimal256(17, 16))  # more than 2**-51
_CAP = (Decimal(2**63 - 1), Decimal(9223372036854776000))
_FARTHEST = 2**62  # microseconds: beyond, there is no room for what is added
_FARTHEST_DAYS = 2**31 - 1
_DAY = 24 * 60 * 60 * 1_000_000
_CUT_BEGINS = CUT_BYTES // 2  # bytes that a cut text keeps for certain, without its last characters


def of_partitions(texts: Sequence[str | None], type_name: str) -> ColumnBounds:
    """The bounds of a partition column for each text of its values. See `bounds.of_partition`."""
    found = [bounds.of_partition(text, type_name) for text in texts]
    lows = [_as_arrow([each.low], type_name) for each in found]
    low = None
    if lows and any(each is not None for each in lows):
        low = _as_arrow([each.low for each in found], type_name)
    return ColumnBounds(
        type_name,
        pa.array([each.nulls for each in found], pa.bool_()),
        pa.array([each.values for each in found], pa.bool_()),
        pa.array([each.unordered for each in found], pa.bool_()),
        low,
        low,
    )


def _as_arrow(values: Sequence[Any], type_name: str) -> pa.Array | None:
    try:
        if type_name.startswith("decimal"):
            return pa.array(values)
        return pa.array(values, COMPARED_AS.get(type_name, pa.null()))
    except BAD_VALUE:
        return None


def of_statistics(stats: pa.StructArray, path: Sequence[str], type_name: str) -> ColumnBounds:
    """The bounds of a column from typed statistics. See `bounds.of_statistics`.

    Args:
        stats: `stats_parsed`, in the types of the table.
        path: Of the column.
        type_name: Its Delta type.
    """
    nulls, values = _null_counts(stats, path)
    unordered = pa.repeat(type_name in ("float", "double") or not is_ordered(type_name), len(stats))
    low, high = _leaf(stats, ("minValues", *path)), _leaf(stats, ("maxValues", *path))
    if low is None or high is None or not is_ordered(type_name):
        return ColumnBounds(type_name, nulls, values, unordered)
    prefix = None
    if type_name == "string":
        low, high, prefix = _texts(low, high)
    elif type_name.startswith("timestamp"):
        low, high = _times(low, high, zoned=type_name == "timestamp")
    elif type_name == "date":
        low, high = _dates(low, high)
    elif type_name.startswith("decimal"):
        low, high = _decimals(low), _decimals(high)
        low, high = _widened(low, "up"), _widened(high, "down")
    else:
        low, high = _plain(low, type_name), _plain(high, type_name)
    low, high = _consistent(low, high)
    return ColumnBounds(type_name, nulls, values, unordered, low, high, prefix)


def of_footers(
    statistics: Sequence[LeafStatistics | None],
    counts: Sequence[LeafStatistics | None],
    type_name: str,
    type_: pa.DataType,
) -> ColumnBounds:
    """The bounds of a column in all files of a group of rows, for each group.

    Args:
        statistics: What the footer says of the minima, with its own minimum, and of the maxima, with its
            own maximum, as one; None where one of the files has none.
        counts: What it says of the null counts; None as well.
        type_name: The column's Delta type.
        type_: Its Arrow type.
    """
    count = len(counts)
    nulls = pa.array([each is None or each.maximum != 0 for each in counts], pa.bool_())
    some = pa.repeat(True, count)  # noqa: FBT003 - a value
    floats = type_name in ("float", "double")
    unordered = pa.repeat(floats or not is_ordered(type_name), count)
    nothing = ColumnBounds(type_name, nulls, some, unordered)
    if floats or not is_ordered(type_name):
        return nothing
    try:
        low = pa.array([each and each.minimum for each in statistics], type_)
        high = pa.array([each and each.maximum for each in statistics], type_)
        low, high, prefix = _of_many(low, high, type_name)
    except BAD_VALUE:
        return nothing
    return ColumnBounds(type_name, nulls, some, unordered, *_consistent(low, high), prefix)


def _of_many(low: pa.Array, high: pa.Array, type_name: str) -> tuple[Any, Any, pa.Array | None]:
    """The least minimum and the greatest maximum of many files, widened. See the module."""
    if type_name == "string":
        long = pc.greater_equal(pc.binary_length(high), _CUT_BEGINS)
        begins = pc.utf8_slice_codeunits(high, start=0, stop=_CUT_BEGINS // 4)
        return low, pc.if_else(long, None, high), pc.if_else(long, begins, None)
    if type_name.startswith("timestamp"):
        low, high = _far_times(low, high, zoned=type_name == "timestamp")
        return *_sound(pc.subtract(low, CUT_MICROSECONDS), pc.add(high, CUT_MICROSECONDS)), None
    if type_name == "date":
        return *_dates(low, high), None
    if type_name.startswith("decimal"):
        low, high = (_uncapped(_decimals(each)) for each in (low, high))
        return _widened(low, "up"), _widened(high, "down"), None
    return _plain(low, type_name), _plain(high, type_name), None


def _moved(values: pa.Array, microseconds: int) -> pa.Array:
    return pc.add(_microseconds(values), microseconds)


def _uncapped(values: pa.Array) -> pa.Array:
    if values.type.precision - 1 <= FLOAT_DIGITS:
        return values
    capped = pc.greater_equal(pc.abs(values), _CAP[0])
    return pc.if_else(capped, pa.scalar(None, values.type), values)


def of_partition_footers(
    statistics: Sequence[LeafStatistics | None], type_name: str, type_: pa.DataType
) -> ColumnBounds:
    """The bounds of a partition column in all files of a group of rows, for each group.

    Args:
        statistics: What the footer says of its typed values.
        type_name: The column's Delta type.
        type_: Its Arrow type.
    """
    count = len(statistics)
    some = pa.repeat(True, count)  # noqa: FBT003 - a value
    nothing = ColumnBounds(type_name, some, some, some)
    known = [each or LeafStatistics(None, None, None) for each in statistics]
    try:
        low = pa.array([each.minimum for each in known], type_)
        high = pa.array([each.maximum for each in known], type_)
        if type_name == "timestamp":  # by whose clock, only its writer knows
            low, high = _sound(_moved(low, -_DAY), _moved(high, _DAY))
        elif type_name.startswith("timestamp"):
            low, high = _microseconds(low), _microseconds(high)
        elif type_name in COMPARED_AS:
            low, high = low.cast(COMPARED_AS[type_name]), high.cast(COMPARED_AS[type_name])
        elif not is_ordered(type_name):
            return nothing
    except BAD_VALUE:
        return nothing
    # An empty text is null.
    nulls = [each.null_count != 0 or each.minimum in (None, "") for each in known]
    unordered = pa.repeat(type_name in ("float", "double"), count)
    low, high = _consistent(low, high)
    return ColumnBounds(type_name, pa.array(nulls, pa.bool_()), some, unordered, low, high)


def is_ordered(type_name: str) -> bool:
    """Whether statistics bound the values of a Delta type."""
    return type_name in COMPARED_AS or type_name.startswith("decimal(")


def _leaf(stats: pa.StructArray, path: Sequence[str]) -> pa.Array | None:
    type_ = stats.type
    for name in path:
        if not pa.types.is_struct(type_) or type_.get_field_index(name) < 0:
            return None
        type_ = type_.field(name).type
    return pc.struct_field(stats, list(path))


def _null_counts(stats: pa.StructArray, path: Sequence[str]) -> tuple[_Array, _Array]:
    """Where there may be nulls, and where there may be anything else."""
    everywhere = pa.repeat(True, len(stats))  # noqa: FBT003 - a value
    count, rows = _leaf(stats, ("nullCount", *path)), _leaf(stats, ("numRecords",))
    if count is None or rows is None:
        return everywhere, everywhere
    possible = pc.and_(pc.greater_equal(count, 0), pc.less_equal(count, rows))
    possible = pc.or_kleene(pc.is_null(rows), possible)
    none = pc.and_(possible, pc.equal(count, 0))
    all_ = pc.and_(possible, pc.greater_equal(count, rows))
    return (
        pc.invert(pc.fill_null(none, False)),  # noqa: FBT003 - a value
        pc.invert(pc.fill_null(all_, False)),  # noqa: FBT003 - a value
    )


def _plain(values: pa.Array, type_name: str) -> pa.Array:
    values = values.cast(COMPARED_AS[type_name])
    if pa.types.is_floating(values.type):
        return pc.if_else(pc.is_nan(values), None, values)
    return values


def _texts(low: pa.Array, high: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array | None]:
    contradict = pc.fill_null(pc.less(high, low), False)  # noqa: FBT003 - a value
    low, high = pc.if_else(contradict, None, low), pc.if_else(contradict, None, high)
    cut = pc.or_(
        pc.greater_equal(pc.binary_length(high), CUT_BYTES), pc.ends_with(high, REPLACEMENT)
    )
    if not pc.any(cut).as_py():
        return low, high, None
    prefix = pc.utf8_slice_codeunits(pc.utf8_rtrim(high, characters=REPLACEMENT), start=0, stop=-1)
    prefix = pc.utf8_rtrim(prefix, characters=_LAST)
    prefix = pc.if_else(pc.and_(cut, pc.not_equal(prefix, "")), prefix, None)
    return low, pc.if_else(cut, None, high), prefix


def _times(low: pa.Array, high: pa.Array, *, zoned: bool) -> tuple[pa.Array, pa.Array]:
    low, high = _far_times(low, high, zoned=zoned)
    early = pc.and_(_whole(low), pc.less(low, 0))
    low = pc.if_else(early, pc.subtract(low, CUT_MICROSECONDS), low)
    return _sound(low, pc.if_else(_whole(high), pc.add(high, CUT_MICROSECONDS), high))


def _far_times(low: pa.Array, high: pa.Array, *, zoned: bool) -> tuple[pa.Array, pa.Array]:
    """Bounds in microseconds, moved by what times of before may be wrong by: see `log.stats.times`."""
    low, high = _microseconds(low), _microseconds(high)
    rules = [(times.TIMES_AGREE_SINCE, times.TIMES_DIFFER_MICROSECONDS)]
    if zoned:
        rules.append((times.OFFSETS_WHOLE_SINCE, times.OFFSET_MICROSECONDS))
    for since, by in rules:
        low = pc.if_else(pc.less(low, since), pc.subtract(low, by), low)
        high = pc.if_else(pc.less(high, since), pc.add(high, by), high)
    return low, high


def _dates(low: pa.Array, high: pa.Array) -> tuple[pa.Array, pa.Array]:
    """As `_far_times`, for dates."""
    since, by = (times.DATES_AGREE_SINCE - _EPOCH).days, times.DATES_DIFFER.days
    low, high = (each.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()) for each in (low, high))
    low = pc.if_else(pc.less(low, since), pc.subtract(low, by), low)
    high = pc.if_else(pc.less(high, since), pc.add(high, by), high)
    low = pc.if_else(pc.less(low, -_FARTHEST_DAYS), None, low)
    return low.cast(pa.int32()).cast(pa.date32()), high.cast(pa.int32()).cast(pa.date32())


def _microseconds(values: pa.Array) -> pa.Array:
    return values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64())


def _sound(low: pa.Array, high: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Times without those so far away that what was added may have gone round."""
    near = [pc.and_(pc.greater(each, -_FARTHEST), pc.less(each, _FARTHEST)) for each in (low, high)]
    return pc.if_else(near[0], low, None), pc.if_else(near[1], high, None)


def _whole(values: pa.Array) -> pa.Array:
    """Which microseconds are whole milliseconds."""
    return pc.equal(pc.multiply(pc.divide(values, 1000), 1000), values)


def _decimals(values: pa.Array) -> pa.Array:
    type_ = values.type
    return values.cast(pa.decimal256(type_.precision + 1, type_.scale))


def _widened(values: pa.Array, towards: str) -> pa.Array:
    """Bounds moved outwards by what a 64-bit float may have lost, and back to the column's scale."""
    type_ = values.type
    if type_.precision - 1 <= FLOAT_DIGITS:
        return values
    size = pc.abs(values)
    capped = pc.and_(*(test(size, cap) for test, cap in zip(_BETWEEN, _CAP, strict=True)))
    error = pc.multiply(size, _FLOAT_ERROR)
    moved = pc.subtract(values, error) if towards == "up" else pc.add(values, error)
    moved = pc.round(moved, ndigits=type_.scale, round_mode=towards)
    return pc.if_else(capped, pa.scalar(None, moved.type), moved)


_BETWEEN = (pc.greater_equal, pc.less_equal)


def _consistent(low: pa.Array, high: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Bounds that contradict each other are none."""
    contradict = pc.fill_null(pc.less(high, low), False)  # noqa: FBT003 - a value
    if not pc.any(contradict).as_py():
        return low, high
    return (
        pc.if_else(contradict, pa.scalar(None, low.type), low),
        pc.if_else(contradict, pa.scalar(None, high.type), high),
    )
