"""Terms of a filter: a column of a table and the values it is compared with.

Invariants: the values of a term are of the column's type (see `log.pruning.predicate.Scalar`), exactly. A
number or time that lies between two values of the type, or beyond them all, is rounded and the operator
turned so that the term says the same: `x < 1.5` of whole numbers is `x <= 1`, `x = 1.5` holds for none.
Only floats round to the nearest value of the type, as they do when they are stored.

What is taken for a column of a type: for numbers any number, and its text; for a `date` dates, times
without a zone, ISO 8601 text of both; for a `timestamp` dates and times, those without a zone in UTC, and
their ISO 8601 text; for a `timestamp_ntz` the same without a zone; for booleans `true` and `false` as text,
too; for text a whole number, which then is its digits and can be equal or not, but not less; for the
rest their own kind.

Error semantics: `InvalidFilter` naming the column.
"""

import datetime as dt
import json
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, DecimalException
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from atomic_manifest.errors import InvalidFilter
from atomic_manifest.log.metadata.schema import TYPE_CHANGES, is_variant, to_delta
from atomic_manifest.log.names import matches
from atomic_manifest.log.pruning.predicate import (
    Comparison,
    In,
    IsNull,
    Not,
    Operator,
    Predicate,
    Scalar,
)

Path: TypeAlias = tuple[str, ...]
_Limit: TypeAlias = Literal["above", "below"]
_PLAIN = (bool, int, float, Decimal, str, bytes, dt.date)
_CONTEXT = Context(400, ROUND_FLOOR)
_BAD_VALUE = (ValueError, TypeError, KeyError, OverflowError, DecimalException, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a filter names: a top-level one, or a field of a struct."""

    path: Path
    type: pa.DataType


def columns(schema: pa.Schema) -> Mapping[str, Column | None]:
    """All columns by dotted name; None for a name that more than one has."""
    found: dict[str, Column | None] = {}
    for column in _walk(schema, ()):
        name = ".".join(column.path)
        found[name] = None if name in found else column
    return found


def _walk(fields: Iterable[pa.Field], path: Path) -> Iterator[Column]:
    for field in fields:
        here = (*path, field.name)
        yield Column(here, field.type)
        if pa.types.is_struct(field.type) and not is_variant(field.type):
            yield from _walk(field.type, here)


def type_names(schema: pa.Schema) -> dict[str, str]:
    """Delta's name of the type of every column of a primitive type, by dotted name.

    Left out, for nothing can be said of them, are names that more than one column has, and columns that
    were `float` before they were `double`: statistics that say 1.1 of a file of the narrower type mean
    a value that is a little greater.
    """
    known = columns(schema)
    found = _type_names(json.loads(to_delta(schema))["fields"], ())
    return {name: type_name for name, type_name in found if known[name] is not None}


def _type_names(fields: Iterable[Any], path: Path) -> Iterator[tuple[str, str]]:
    for field in fields:
        here, node = (*path, field["name"]), field["type"]
        if isinstance(node, str):
            if not _was_float(field):
                yield ".".join(here), node
        elif node["type"] == "struct":
            yield from _type_names(node["fields"], here)


def _was_float(field: Mapping[str, Any]) -> bool:
    changes = field["metadata"].get(TYPE_CHANGES)
    if not isinstance(changes, list):
        return False
    return any(isinstance(each, dict) and each.get("fromType") == "float" for each in changes)


class Terms:
    """Makes the terms of filters on a table.

    Args:
        schema: The table's.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._columns = columns(schema)

    def column(self, name: str) -> Column:
        """The column of this dotted name.

        Raises:
            InvalidFilter: There is none, or more than one.
        """
        column = self._columns[self.name(name)]
        if column is None:
            raise InvalidFilter(f"filter on column {name!r}: more than one column has this name")
        return column

    def name(self, name: str) -> str:
        """The dotted name as the table has it, which is given in any case.

        Raises:
            InvalidFilter: There is no such column, or several if case does not count.
        """
        if name in self._columns:
            return name
        found = matches(name, self._columns)
        if not found:
            raise InvalidFilter(f"filter on column {name!r}, which the table lacks")
        if len(found) > 1:
            raise InvalidFilter(f"filter on column {name!r}: this may be any of {', '.join(found)}")
        return found[0]

    def comparison(self, name: str, op: Operator, value: Any) -> Predicate:
        """`name op value`.

        Raises:
            InvalidFilter: No such column, or a value that its type cannot be compared with.
        """
        name = self.name(name)
        exact, limit = self._value(name, value)
        if isinstance(exact, str) and op not in ("=", "!=") and not isinstance(_plain(value), str):
            raise InvalidFilter(
                f"column {name!r} is text, which {op!r} does not order as numbers: {value!r}"
            )
        if limit is None:
            return Comparison(name, op, exact)
        if op in ("=", "!="):
            never = op == "="
        elif exact is not None:
            # Between this value and the next greater one.
            return Comparison(name, "<=" if op in ("<", "<=") else ">", exact)
        else:
            never = (limit == "above") == (op in (">", ">="))
        nowhere = In(name, ())
        return nowhere if never else Not(nowhere)

    def membership(self, name: str, values: Iterable[Any]) -> Predicate:
        """`name IN (values)`. Values that no row can have are left out.

        Raises:
            InvalidFilter: No such column, or a value that its type cannot be compared with.
        """
        name = self.name(name)
        found = [self._value(name, value) for value in values]
        return In(name, tuple(dict.fromkeys(value for value, limit in found if limit is None)))

    def is_null(self, name: str) -> Predicate:
        """`name IS NULL`.

        Raises:
            InvalidFilter: No such column.
        """
        self.column(name)
        return IsNull(self.name(name))

    def _value(self, name: str, value: Any) -> tuple[Scalar | None, _Limit | None]:
        column = self.column(name)
        if value is None:
            raise InvalidFilter(f"column {name!r}: nothing compares with null; ask IS NULL of it")
        read = next((read for test, read in _READERS if test(column.type)), None)
        if read is None:
            raise InvalidFilter(f"column {name!r} of type {column.type} cannot be compared")
        try:
            return read(_plain(value), column.type)
        except _BAD_VALUE as error:
            raise InvalidFilter(
                f"column {name!r} of type {column.type} cannot be compared with {value!r}"
            ) from error


def _plain(value: Any) -> Any:
    """The Python scalar that a value of Arrow, NumPy or pandas is."""
    plain = value if isinstance(value, dt.datetime) or type(value) in _PLAIN else _unwrapped(value)
    if not isinstance(plain, dt.datetime):
        return plain
    if getattr(plain, "nanosecond", 0):
        raise ValueError
    return dt.datetime.fromisoformat(plain.isoformat())


def _unwrapped(value: Any) -> Any:
    if isinstance(value, pa.Scalar):
        return value.as_py()
    # Days and seconds of NumPy, which Arrow does not take.
    item = value.item() if hasattr(value, "item") else None
    return item if isinstance(item, dt.date) else pa.scalar(value).as_py()


_Read: TypeAlias = tuple[Scalar | None, _Limit | None]
"""A value of a type, with None. Or what a value that is none of the type is above or below: the next
less one of the type ("above"), or, with None, all of them."""


def _of(kind: type) -> Callable[[Any, pa.DataType], _Read]:
    def read(value: Any, _: pa.DataType) -> _Read:
        if type(value) is not kind:
            raise TypeError
        found: Any = value
        return found, None

    return read


def _text(value: Any, _: pa.DataType) -> _Read:
    if type(value) is int or (type(value) is Decimal and value.as_tuple().exponent == 0):
        return str(value), None
    return _of(str)(value, _)


def _boolean(value: Any, _: pa.DataType) -> _Read:
    if isinstance(value, str):
        return {"true": True, "false": False}[value.lower()], None
    return _of(bool)(value, _)


def _integer(value: Any, type_: pa.DataType) -> _Read:
    signed = pa.types.is_signed_integer(type_)
    bits = type_.bit_width - int(signed)
    found, limit = _number(value, 0, Decimal(-(2**bits) * int(signed)), Decimal(2**bits - 1))
    return (None if found is None else int(found)), limit


def _decimal(value: Any, type_: pa.DataType) -> _Read:
    greatest = Decimal((0, (9,) * type_.precision, -type_.scale))
    return _number(value, type_.scale, greatest.copy_negate(), greatest)


def _number(
    value: Any, scale: int, least: Decimal, greatest: Decimal
) -> tuple[Decimal | None, _Limit | None]:
    value = Decimal(value) if isinstance(value, str) else value
    if type(value) not in (int, float, Decimal):
        raise TypeError
    # By its digits: a float of 0.1 means one tenth.
    exact = Decimal(repr(value) if isinstance(value, float) else value)
    if exact.is_nan():
        raise ValueError
    if exact > greatest:
        return None, "above"
    if exact < least:
        return None, "below"
    rounded = _CONTEXT.quantize(exact, Decimal(1).scaleb(-scale))
    return rounded, None if rounded == exact else "above"


def _float(value: Any, type_: pa.DataType) -> _Read:
    value = Decimal(value) if isinstance(value, str) else value
    if type(value) not in (int, float, Decimal):
        raise TypeError
    number = float(Decimal(value))
    if type_.bit_width < 64:  # noqa: PLR2004
        number = float(struct.unpack("<f", struct.pack("<f", number))[0])
    if math.isnan(number) or (math.isinf(number) and not Decimal(value).is_infinite()):
        raise ValueError
    return number, None


def _date(value: Any, _: pa.DataType) -> _Read:
    found: Any = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    if type(found) is dt.date:
        return found, None
    midnight = _moment(found).replace(hour=0, minute=0, second=0, microsecond=0)
    if found.tzinfo is not None:
        raise ValueError
    return found.date(), None if found == midnight else "above"


def _timestamp(value: Any, type_: pa.DataType) -> _Read:
    moment = _moment(dt.datetime.fromisoformat(value) if isinstance(value, str) else value)
    if type_.tz is not None:
        zoned = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
        return zoned.astimezone(dt.UTC), None
    if moment.tzinfo is not None:
        raise ValueError
    return moment, None


def _moment(value: Any) -> dt.datetime:
    if type(value) is dt.date:
        return dt.datetime.combine(value, dt.time())
    if type(value) is not dt.datetime:
        raise TypeError
    return value


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], _Read]], ...] = (
    (pa.types.is_boolean, _boolean),
    (pa.types.is_integer, _integer),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_floating, _float),
    (lambda type_: pa.types.is_string(type_) or pa.types.is_large_string(type_), _text),
    (pa.types.is_date, _date),
    (pa.types.is_timestamp, _timestamp),
    (lambda type_: pa.types.is_binary(type_) or pa.types.is_large_binary(type_), _of(bytes)),
)
