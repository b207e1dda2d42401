"""What a predicate may be for the rows of many files, from the bounds of their columns, in Arrow.

Invariant: for each file the outcomes are those of `bounds`, or more of them; never fewer. The rules,
and why they are what they are, are told there.

Error semantics: facts never raise, be they ever so corrupt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.log.pruning import bounds

Operator: TypeAlias = str
_Array: TypeAlias = Any  # pa.Array or pa.ChunkedArray; pyarrow ships no types

_MANY = 64  # values of an IN that are looked at one by one
COMPARED_AS: Mapping[str, pa.DataType] = {
    **dict.fromkeys(("byte", "short", "integer", "long"), pa.int64()),
    **dict.fromkeys(("float", "double"), pa.float64()),
    **dict.fromkeys(("timestamp", "timestamp_ntz"), pa.int64()),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "date": pa.date32(),
}
"""The Arrow types in which bounds are, by Delta type; those of decimals are decimals."""

BAD_VALUE = (ValueError, TypeError, OverflowError, ArithmeticError, pa.ArrowException)
"""What values raise that are none of their type."""


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
        except BAD_VALUE:
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
            ordered = _unsigned_zero(
                pa.array(sorted(each.as_py() for each in given), given[0].type)
            )
            overlaps = pc.and_(
                _known(self.low, len(everywhere), lambda low: pc.less_equal(low, ordered[-1])),
                self._reaches(ordered[0]),
            )
            if self.low is None or self.high is None:
                return overlaps, everywhere
            single = pc.fill_null(pc.equal(self.low, self.high), False)  # noqa: FBT003 - a value
            found = pc.is_in(_unsigned_zero(self.low.cast(ordered.type)), value_set=ordered)
        except BAD_VALUE:
            return everywhere, everywhere
        return pc.and_(overlaps, pc.or_(pc.invert(single), found)), everywhere

    def _scalar(self, value: Any) -> pa.Scalar | None:
        found = bounds.comparable(value, self.type_name)
        if found is None or found != found:  # noqa: PLR0124 - NaN
            return None
        try:
            if self.type_name.startswith("decimal"):
                return pa.scalar(found)
            return pa.scalar(found, COMPARED_AS[self.type_name])
        except BAD_VALUE:
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


def _unsigned_zero(values: _Array) -> _Array:
    """Floats without -0.0, which Arrow's hashes tell from zero."""
    return pc.add(values, 0.0) if pa.types.is_floating(values.type) else values
