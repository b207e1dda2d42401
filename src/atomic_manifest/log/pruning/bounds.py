"""What partition values and file statistics say for certain about one column of a file.

Invariants: pure, no Arrow and no I/O. What is not certain is left open: text or JSON that is not a
value of the column's type is as good as none. Values of a type are put in a form that Python compares
as the table does (`comparable`).

What other writers' statistics ask for:

* Strings are cut. A minimum that was cut is still a lower bound. A maximum gets a tie-breaker, and not
  every writer's is large enough (Spark before 4.0: U+FFFD, and half a surrogate pair before it), so a
  maximum as long as a cut one stands for everything that begins with all but its last character.
* Timestamps are cut to milliseconds: a maximum of whole milliseconds gets 999 µs more, and before 1970
  a minimum gets as much less, for there writers may round towards zero. Their offset is cut to minutes,
  and old dates and times may be by another calendar than the rows: see `log.stats.times`.
* Decimals of more than 15 digits may have gone through a 64-bit float, and are widened by more than it
  loses, then narrowed to the column's scale. delta-rs caps them at the bounds of a 64-bit integer; a
  bound with such a value is none.
* A footer passes over NaN, so a bound of a float column says nothing of its NaN (`unordered`).
* A null count other than zero and `numRecords` says nothing: it may be older than the deletion vector.
"""

import datetime as dt
import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, DecimalException
from functools import cache
from typing import Any

from atomic_manifest.log.stats import times

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - counted from with and without zone
_MICROSECOND = dt.timedelta(microseconds=1)
CUT_MICROSECONDS = 999
CUT_BYTES = 32
REPLACEMENT = "\ufffd"
_LAST_CODE_POINT = 0x10FFFF
FLOAT_DIGITS = 15
_FLOAT_ERROR = Decimal(2) ** -51
_CAP = (Decimal(2**63 - 1), Decimal("9.223372036854776e18"))  # exact, and as a 64-bit float
_WIDE = 100
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_BOOLEANS = {"true": True, "false": False}
_BAD_VALUE = (ValueError, TypeError, OverflowError, KeyError, DecimalException)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The values that a column may have in a file.

    Attributes:
        nulls: Whether there may be nulls.
        values: Whether there may be anything but nulls.
        low: No value is less; None if that is not known.
        high: No value is greater; None if that is not known.
        open_high: Whether no value is equal to `high` either.
        unordered: Whether there may be NaN, which `low` and `high` do not bound.
    """

    nulls: bool = True
    values: bool = True
    low: Any = None
    high: Any = None
    open_high: bool = False
    unordered: bool = False

    def orderings(self, value: Any) -> frozenset[int]:
        """How values may compare to `value`: some of -1, 0 and 1. NaN, which does not, is left out."""
        low, high = self.low, self.high
        reaches = high is None or value < high or (value == high and not self.open_high)
        candidates = (
            (-1, low is None or low < value),
            (0, (low is None or low <= value) and reaches),
            (1, high is None or value < high),
        )
        return frozenset(ordering for ordering, possible in candidates if possible)


UNKNOWN = Bounds(unordered=True)
"""Nothing is known."""


def comparable(value: Any, type_name: str) -> Any:
    """A predicate's value in the form that compares with the bounds of a column.

    Args:
        value: As `predicate` has it.
        type_name: The column's Delta type.

    Returns:
        None if the value is not of the type, or the type has no order.
    """
    kind = _kind(type_name)
    return None if kind is None else _tried(kind.literal, value)


def of_partition(text: str | None, type_name: str) -> Bounds:
    """The bounds of a partition column, from the text of its value.

    Text is read as `log.metadata.partition` reads it: empty is null, a timestamp without a zone is in UTC.
    """
    if not text:
        return Bounds(values=False)
    kind = _kind(type_name)
    value = None if kind is None else _tried(kind.partition, text)
    if value is None:
        return UNKNOWN
    if isinstance(value, float) and math.isnan(value):
        return Bounds(nulls=False, unordered=True)
    return Bounds(nulls=False, low=value, high=value)


def of_statistics(stats: Mapping[str, Any], column: str, type_name: str) -> Bounds:
    """The bounds of a column from a file's statistics.

    Args:
        stats: The decoded JSON, its fractions as `Decimal`.
        column: Its dotted name.
        type_name: Its Delta type.
    """
    nulls, values = _null_count(stats, column)
    kind = _kind(type_name)
    unordered = type_name in _FLOATS
    if kind is None:
        return Bounds(nulls=nulls, values=values, unordered=True)
    low = _tried(kind.low, _find(stats.get("minValues"), column))
    high, open_high = _tried(kind.high, _find(stats.get("maxValues"), column)) or (None, False)
    if low is not None and high is not None and (high < low or (open_high and high == low)):
        low = high = None
    return Bounds(nulls, values, low, high, open_high=open_high, unordered=unordered)


def _null_count(stats: Mapping[str, Any], column: str) -> tuple[bool, bool]:
    """Whether there may be nulls, and whether there may be anything else."""
    count, rows = _find(stats.get("nullCount"), column), stats.get("numRecords")
    if type(count) is not int or (type(rows) is int and not 0 <= count <= rows):
        return True, True
    return count != 0, type(rows) is not int or count < rows


def _find(tree: Any, column: str) -> Any:
    """What a tree of nested objects holds for a dotted name; names may hold dots themselves."""
    if not isinstance(tree, dict):
        return None
    if column in tree:
        return tree[column]
    for dot in re.finditer(r"\.", column):
        found = _find(tree.get(column[: dot.start()]), column[dot.end() :])
        if found is not None:
            return found
    return None


def _tried(read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return None if value is None else read(value)
    except _BAD_VALUE:
        return None


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the values of one type are read. Each raises one of `_BAD_VALUE` for what is none."""

    literal: Callable[[Any], Any]
    partition: Callable[[str], Any]
    low: Callable[[Any], Any]
    high: Callable[[Any], tuple[Any, bool]]


def _kind(type_name: str) -> _Kind | None:
    match = _DECIMAL.fullmatch(type_name)
    return _decimal_kind(int(match[1]), int(match[2])) if match else _KINDS.get(type_name)


def _exactly(*types: type) -> Callable[[Any], Any]:
    """Reads a value of one of these very types: a bool is no int, a datetime no date."""

    def read(value: Any) -> Any:
        if type(value) not in types:
            raise TypeError
        return value

    return read


def _closed(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, bool]]:
    return lambda value: (read(value), False)


def _integer(value: Any) -> Any:
    return _finite(_exactly(int, Decimal)(value))


def _finite(value: Any) -> Any:
    if not Decimal(value).is_finite():
        raise ValueError
    return value


def _double(value: Any) -> float:
    return float(_exactly(int, float, Decimal, str)(value))


def _single(value: Any) -> float:
    """The 32-bit float that is meant: writers print its short form, `0.1`."""
    number = _double(value)
    return float(struct.unpack("<f", struct.pack("<f", number))[0])


def _ordered(read: Callable[[Any], float]) -> Callable[[Any], float]:
    def bound(value: Any) -> float:
        number = read(value)
        if math.isnan(number):
            raise ValueError
        return number

    return bound


def _high_text(value: Any) -> tuple[str, bool]:
    text = str(_exactly(str)(value))
    if len(text.encode()) < CUT_BYTES and not text.endswith(REPLACEMENT):
        return text, False
    prefix = text.rstrip(REPLACEMENT)[:-1].rstrip(chr(_LAST_CODE_POINT))
    if not prefix:
        raise ValueError
    return prefix[:-1] + chr(ord(prefix[-1]) + 1), True


def _instant(value: Any) -> int:
    """Microseconds since the epoch of a datetime or its ISO text; one without a zone is in UTC."""
    moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    if _exactly(dt.datetime)(moment).tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return int((moment - _EPOCH) // _MICROSECOND)


def _zoned(value: Any) -> int:
    """An instant whose zone is told: whose clock a bare text is by, only its writer knows."""
    moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    if _exactly(dt.datetime)(moment).tzinfo is None:
        raise ValueError
    return _instant(moment)


def _wall_clock(value: Any) -> int:
    """A time without a zone. Some writers put a `Z` behind it all the same."""
    moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    if _exactly(dt.datetime)(moment).utcoffset():
        raise ValueError
    return _instant(moment)


def _low_time(read: Callable[[Any], int]) -> Callable[[Any], int]:
    def low(value: Any) -> int:
        time = read(value)
        cut = CUT_MICROSECONDS if time < 0 and time % 1000 == 0 else 0
        return time - cut - _slack(value, time)

    return low


def _high_time(read: Callable[[Any], int]) -> Callable[[Any], tuple[int, bool]]:
    def high(value: Any) -> tuple[int, bool]:
        time = read(value)
        cut = CUT_MICROSECONDS if time % 1000 == 0 else 0
        return time + cut + _slack(value, time), False

    return high


def _slack(value: Any, time: int) -> int:
    old = times.TIMES_DIFFER_MICROSECONDS if time < times.TIMES_AGREE_SINCE else 0
    offset = isinstance(value, str) and times.has_offset(value)
    return old + (times.OFFSET_MICROSECONDS if offset else 0)


def _old_date(sign: int) -> Callable[[Any], dt.date]:
    """Reads a date that is a bound."""

    def read(value: Any) -> dt.date:
        date = dt.date.fromisoformat(value)
        return date + sign * times.DATES_DIFFER if date < times.DATES_AGREE_SINCE else date

    return read


@cache
def _decimal_kind(precision: int, scale: int) -> _Kind:
    unit = Decimal(1).scaleb(-scale)

    def number(value: Any) -> Decimal:
        return Decimal(_finite(_exactly(int, Decimal, str)(value)))

    def widened(value: Any, sign: int) -> Decimal:
        bound = number(value)
        if precision <= FLOAT_DIGITS:
            return bound
        if _CAP[0] <= abs(bound) <= _CAP[1]:
            raise ValueError
        context = Context(_WIDE, ROUND_FLOOR if sign > 0 else ROUND_CEILING)
        error = context.multiply(abs(bound), _FLOAT_ERROR * sign)
        return context.quantize(context.add(bound, error), unit)

    return _Kind(
        number, number, lambda low: widened(low, -1), lambda high: (widened(high, 1), False)
    )


def _same(read: Callable[[Any], Any], partition: Callable[[str], Any]) -> _Kind:
    return _Kind(read, partition, read, _closed(read))


_FLOATS = ("float", "double")
_TEXT = _exactly(str)
_KINDS = {
    **dict.fromkeys(("byte", "short", "integer", "long"), _same(_integer, int)),
    "float": _Kind(_single, _single, _ordered(_single), _closed(_ordered(_single))),
    "double": _Kind(_double, _double, _ordered(_double), _closed(_ordered(_double))),
    "boolean": _same(_exactly(bool), lambda text: _BOOLEANS[text.lower()]),
    "string": _Kind(_TEXT, _TEXT, _TEXT, _high_text),
    "date": _Kind(
        _exactly(dt.date),
        dt.date.fromisoformat,
        _old_date(-1),
        _closed(_old_date(1)),
    ),
    "timestamp": _Kind(_zoned, _instant, _low_time(_zoned), _high_time(_zoned)),
    "timestamp_ntz": _Kind(
        _wall_clock, _wall_clock, _low_time(_wall_clock), _high_time(_wall_clock)
    ),
}
