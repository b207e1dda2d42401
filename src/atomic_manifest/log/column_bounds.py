"""What partition values and typed statistics say about one column of many files: `log.bounds`, in Arrow.

Invariant: for each file the outcomes are those of `log.bounds`, or more of them; never fewer. The rules,
and why they are what they are, are told there.

Error semantics: facts never raise, be they ever so corrupt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.log import bounds
from atomic_manifest.log.bounds import CUT_BYTES, CUT_MICROSECONDS, FLOAT_DIGITS, REPLACEMENT

Operator: TypeAlias = str
_Array: TypeAlias = Any  # pa.Array or pa.ChunkedArray; pyarrow ships no types

_MANY = 64  # values of an IN that are looked at one by one
_LAST = chr(0x10FFFF)
_FLOAT_ERROR = pa.scalar(Decimal("5e-16"), pa.decimal256(17, 16))  # more than 2**-51
_CAP = (Decimal(2**63 - 1), Decimal(9223372036854776000))
_FARTHEST = 2**62  # microseconds: beyond, there is no room for what is added
_COMPARED_AS: Mapping[str, pa.DataType] = {
    **dict.fromkeys(("byte", "short", "integer", "long"), pa.int64()),
    **dict.fromkeys(("float", "double"), pa.float64()),
    **dict.fromkeys(("timestamp", "timestamp_ntz"), pa.int64()),
    "boolean": pa.int8(),
    "string": pa.string(),
    "date": pa.date32(),
}
_BAD_VALUE = (ValueError, TypeError, OverflowError, ArithmeticError, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a predicate may be for rows of each file: arrays of booleans, none of them null.

    Attributes:
        null: Whether it may be NULL.
        false: Whether it may be FALSE.
        true: Whether it may be TRUE.
    """

    null: _Array
    false: _Array
    true: _Array

    def __invert__(self) -> "Outcomes":
        """Of the negation."""
        return Outcomes(self.null, self.true, self.false)

    def __and__(self, other: "Outcomes") -> "Outcomes":
        """Of the conjunction."""
        # NULL of one side stays, unless the other can only be FALSE.
        either = pc.or_(self.null, other.null)
        stays = pc.and_(pc.or_(self.true, self.null), pc.or_(other.true, other.null))
        return Outcomes(
            pc.and_(either, stays),
            pc.or_(self.false, other.false),
            pc.and_(self.true, other.true),
        )

    def take(self, indices: pa.Array) -> "Outcomes":
        """Those of other files, by position."""
        return Outcomes(self.null.take(indices), self.false.take(indices), self.true.take(indices))


def same(count: int, *, null: bool, false: bool, true: bool) -> Outcomes:
    """The same outcomes for `count` files."""
    return Outcomes(*(pa.repeat(each, count) for each in (null, false, true)))


@dataclass(frozen=True, slots=True)
class ColumnBounds:
    """`bounds.Bounds` of one column of many files.

    Attributes:
        type_name: The column's Delta type.
        nulls: As `Bounds.nulls`; these three are booleans, and never null.
        values: As `Bounds.values`.
        unordered: As `Bounds.unordered`.
        low: As `Bounds.low`, null where it is not known; None if it is nowhere.
        high: As `Bounds.high`, in the same way; no value is greater, but one may be equal.
        prefix: Where the maximum is of text that was cut: values are less than it or begin with it.
    """

    type_name: str
    nulls: _Array
    values: _Array
    unordered: _Array
    low: _Array | None = None
    high: _Array | None = None
    prefix: _Array | None = None

    def is_null(self) -> Outcomes:
        """Of `IS NULL`."""
        never = pa.repeat(False, len(self.nulls))  # noqa: FBT003 - a value
        return Outcomes(never, self.values, self.nulls)

    def compared(self, op: Operator, values: Sequence[Any]) -> Outcomes:
        """Of whether the column compares so to any one of the values."""
        true, false = pa.repeat(False, len(self.nulls)), pa.repeat(True, len(self.nulls))  # noqa: FBT003
        if len(values) > _MANY and op == "=":
            true, false = self._among(values)
        else:
            for value in values:
                holds, fails = self._compared(op, value)
                true, false = pc.or_(true, holds), pc.and_(false, fails)
        return Outcomes(self.nulls, pc.and_(self.values, false), pc.and_(self.values, true))

    def _compared(self, op: Operator, value: Any) -> tuple[_Array, _Array]:
        """Where it may hold, and where it may not."""
        everywhere = pa.repeat(True, len(self.nulls))  # noqa: FBT003 - a value
        given = self._scalar(value)
        if given is None:
            return everywhere, everywhere
        try:
            less, equal, greater = self._below(given), self._may_equal(given), self._above(given)
        except _BAD_VALUE:
            return everywhere, everywhere
        holds, fails = {
            "=": (equal, pc.or_(less, greater)),
            "!=": (pc.or_(less, greater), equal),
            "<": (less, pc.or_(equal, greater)),
            "<=": (pc.or_(less, equal), greater),
            ">": (greater, pc.or_(equal, less)),
            ">=": (pc.or_(equal, greater), less),
        }[op]
        if op == "!=":
            return pc.or_(holds, self.unordered), fails
        return holds, pc.or_(fails, self.unordered)

    def _among(self, values: Sequence[Any]) -> tuple[_Array, _Array]:
        """As `_compared`, for `=` to one of many values."""
        everywhere = pa.repeat(True, len(self.nulls))  # noqa: FBT003 - a value
        given = [each for each in map(self._scalar, values) if each is not None]
        if len(given) < len(values):
            return everywhere, everywhere
        try:
            ordered = pa.array(sorted(each.as_py() for each in given), given[0].type)
            overlaps = pc.and_(
                _known(self.low, len(everywhere), lambda low: pc.less_equal(low, ordered[-1])),
                self._reaches(ordered[0]),
            )
            if self.low is None or self.high is None:
                return overlaps, everywhere
            single = pc.fill_null(pc.equal(self.low, self.high), False)  # noqa: FBT003 - a value
            found = pc.is_in(self.low.cast(ordered.type), value_set=ordered)
        except _BAD_VALUE:
            return everywhere, everywhere
        return pc.and_(overlaps, pc.or_(pc.invert(single), found)), everywhere

    def _scalar(self, value: Any) -> pa.Scalar | None:
        found = bounds.comparable(value, self.type_name)
        if found is None or found != found:  # noqa: PLR0124 - NaN
            return None
        try:
            if self.type_name.startswith("decimal"):
                return pa.scalar(found)
            return pa.scalar(found, _COMPARED_AS[self.type_name])
        except _BAD_VALUE:
            return None

    def _below(self, value: pa.Scalar) -> _Array:
        """Where a value of the column may be less."""
        return _known(self.low, len(self.nulls), lambda low: pc.less(low, value))

    def _above(self, value: pa.Scalar) -> _Array:
        """Where a value of the column may be greater."""
        found = _known(self.high, len(self.nulls), lambda high: pc.greater(high, value))
        return pc.and_(found, self._within_prefix(value))

    def _may_equal(self, value: pa.Scalar) -> _Array:
        low = _known(self.low, len(self.nulls), lambda low: pc.less_equal(low, value))
        return pc.and_(low, self._reaches(value))

    def _reaches(self, value: pa.Scalar) -> _Array:
        """Where a value of the column may be as great."""
        found = _known(self.high, len(self.nulls), lambda high: pc.greater_equal(high, value))
        return pc.and_(found, self._within_prefix(value))

    def _within_prefix(self, value: pa.Scalar) -> _Array:
        if self.prefix is None:
            return pa.repeat(True, len(self.nulls))  # noqa: FBT003 - a value
        text = value.as_py()
        own = pa.array([text[:end] for end in range(len(text) + 1)], pa.string())
        begins = pc.is_in(self.prefix, value_set=own)
        return pc.fill_null(pc.or_(pc.greater(self.prefix, value), begins), True)  # noqa: FBT003


def _known(limit: _Array | None, count: int, test: Any) -> _Array:
    """Where a test of a limit holds, or the limit is not known."""
    if limit is None:
        return pa.repeat(True, count)  # noqa: FBT003 - a value
    return pc.fill_null(test(limit), True)  # noqa: FBT003 - a value


def unknown(type_name: str, count: int) -> ColumnBounds:
    """Nothing is known of `count` files."""
    yes = pa.repeat(True, count)  # noqa: FBT003 - a value
    return ColumnBounds(type_name, yes, yes, yes)


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
        return pa.array(values, _COMPARED_AS.get(type_name, pa.null()))
    except _BAD_VALUE:
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
        low, high = _times(low, high)
    elif type_name.startswith("decimal"):
        low, high = _decimals(low), _decimals(high)
        low, high = _widened(low, "up"), _widened(high, "down")
    else:
        low, high = _plain(low, type_name), _plain(high, type_name)
    low, high = _consistent(low, high)
    return ColumnBounds(type_name, nulls, values, unordered, low, high, prefix)


def is_ordered(type_name: str) -> bool:
    """Whether statistics bound the values of a Delta type."""
    return type_name in _COMPARED_AS or type_name.startswith("decimal(")


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
    values = values.cast(_COMPARED_AS[type_name])
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


def _times(low: pa.Array, high: pa.Array) -> tuple[pa.Array, pa.Array]:
    low, high = (
        each.cast(pa.timestamp("us", each.type.tz)).cast(pa.int64()) for each in (low, high)
    )
    early = pc.and_(_whole(low), pc.less(low, 0))
    low = pc.if_else(early, pc.subtract(low, CUT_MICROSECONDS), low)
    high = pc.if_else(_whole(high), pc.add(high, CUT_MICROSECONDS), high)
    sound = pc.and_(pc.greater(low, -_FARTHEST), pc.less(low, _FARTHEST))
    low = pc.if_else(sound, low, None)
    sound = pc.and_(pc.greater(high, -_FARTHEST), pc.less(high, _FARTHEST))
    return low, pc.if_else(sound, high, None)


def _whole(times: pa.Array) -> pa.Array:
    """Which microseconds are whole milliseconds."""
    return pc.equal(pc.multiply(pc.divide(times, 1000), 1000), times)


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
