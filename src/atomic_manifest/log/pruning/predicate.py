"""Predicates over rows, and what a file's partition values and statistics say about them.

Invariants:

* Pure: no Arrow and no I/O. Predicates are immutable, hashable values and have a JSON form.
* SQL's three-valued logic: a row matches a predicate that is TRUE for it, not one that is NULL.
* `may_match` is False only if no row of the file matches, `must_match` True only if every row does.
  Whatever is not known, or not understood, counts against the answer that would be acted upon.
* NaN compares as in IEEE 754 and Arrow: it differs from everything, and is neither less nor greater.
  To engines for which NaN is the greatest value (Spark) `may_match` does justice too, as long as the
  file's statistics are by the protocol, which lets a file with NaN have no smaller maximum.

How it works: of each part of a predicate the set of outcomes (TRUE, FALSE, NULL) that rows of the file
may have is bounded from above, the leaves by `bounds`, the connectives by Kleene's tables.

Error semantics: facts never raise, be they ever so corrupt; `from_json` raises `InvalidFilter`.
"""

import base64
import datetime as dt
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, reduce
from typing import Any, Literal, TypeAlias

import msgspec

from atomic_manifest.errors import InvalidFilter
from atomic_manifest.log.names import matches
from atomic_manifest.log.pruning import bounds
from atomic_manifest.log.pruning.bounds import Bounds

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]

Scalar: TypeAlias = bool | int | float | Decimal | str | bytes | dt.date | dt.datetime
"""A value to compare with. A `timestamp` is a datetime in UTC, a `timestamp_ntz` one without a zone."""


class _Node(msgspec.Struct, frozen=True, tag=str.lower, tag_field="is", gc=False):
    """Shared encoding rules of all predicates. `gc`: trees have no cycles."""


class Everything(_Node, frozen=True):
    """TRUE for every row."""


class Nothing(_Node, frozen=True):
    """FALSE for every row."""


class Comparison(_Node, frozen=True):
    """A column compared with a value, which is never null; NULL where the column is null.

    Attributes:
        column: Its name; dotted, if it is a field of a struct.
        op: How to compare.
        value: Of the column's type.
    """

    column: str
    op: Operator
    value: Any


class In(_Node, frozen=True):
    """Whether a column equals one of `values`, of which none is null; NULL where the column is null.

    Without values it is FALSE wherever the column is not null.
    """

    column: str
    values: tuple[Any, ...]


class IsNull(_Node, frozen=True):
    """Whether a column is null; never NULL itself."""

    column: str


class And(_Node, frozen=True):
    """The conjunction of `children`; without any it is TRUE."""

    children: tuple["Predicate", ...]


class Or(_Node, frozen=True):
    """The disjunction of `children`; without any it is FALSE."""

    children: tuple["Predicate", ...]


class Not(_Node, frozen=True):
    """TRUE and FALSE swapped; NULL stays NULL."""

    child: "Predicate"


Predicate: TypeAlias = Everything | Nothing | Comparison | In | IsNull | And | Or | Not


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the log says of a file.

    Attributes:
        partition_values: Serialized value by partition column, as the file's action has them.
        stats: JSON text of its statistics; None if it has none.
        types: Delta's name of the type (`date`, `decimal(10,2)`) by dotted column, for those of
            primitive types. Of a column that is not here nothing is known.
    """

    partition_values: Mapping[str, str | None]
    stats: str | None
    types: Mapping[str, str]


def may_match(predicate: Predicate, facts: FileFacts) -> bool:
    """Whether a row of the file may match; False is certain."""
    return bool(_outcomes(predicate, _File(facts)) & _TRUE)


def must_match(predicate: Predicate, facts: FileFacts) -> bool:
    """Whether all rows of the file match; True is certain."""
    return not _outcomes(predicate, _File(facts)) & ~_TRUE


def columns_of(predicate: Predicate) -> frozenset[str]:
    """The columns that a predicate looks at."""
    return frozenset(_columns(predicate))


def _columns(predicate: Predicate) -> Iterator[str]:
    match predicate:
        case Comparison(column) | In(column) | IsNull(column):
            yield column
        case And(children) | Or(children):
            for child in children:
                yield from _columns(child)
        case Not(child):
            yield from _columns(child)


# --- outcomes ------------------------------------------------------------------------------------

_NULL, _FALSE, _TRUE = 1, 2, 4
"""Outcomes that rows may have. A set of them is the sum."""

_HOLDS: Mapping[str, frozenset[int]] = {
    "=": frozenset({0}),
    "!=": frozenset({-1, 1}),
    "<": frozenset({-1}),
    "<=": frozenset({-1, 0}),
    ">": frozenset({1}),
    ">=": frozenset({0, 1}),
}
"""How a column's value may compare to the given one (-1 is less) for an operator to hold."""

_STATISTICS = msgspec.json.Decoder(float_hook=Decimal)
_UNREADABLE = (msgspec.DecodeError, ArithmeticError, ValueError, RecursionError)


class _File:
    """The bounds of a file's columns; statistics are decoded once, and only if asked for."""

    def __init__(self, facts: FileFacts) -> None:
        self._facts = facts

    @cached_property
    def _statistics(self) -> Mapping[str, Any]:
        try:
            stats = _STATISTICS.decode(self._facts.stats or "{}")
        except _UNREADABLE:
            return {}
        return stats if isinstance(stats, dict) else {}

    def bounds(self, column: str) -> Bounds:
        type_name = self._facts.types.get(column)
        if type_name is None:
            return bounds.UNKNOWN
        found = matches(column, self._facts.partition_values)
        if len(found) == 1:
            return bounds.of_partition(self._facts.partition_values[found[0]], type_name)
        return bounds.of_statistics(self._statistics, column, type_name)

    def comparisons(self, column: str, op: Operator, values: Iterable[Scalar]) -> int:
        """The outcomes of whether a column compares so to any one of the values."""
        known, type_name = self.bounds(column), self._facts.types.get(column, "")
        outcomes = _NULL if known.nulls else 0
        if not known.values:
            return outcomes
        found = [_compare(known, op, bounds.comparable(value, type_name)) for value in values]
        outcomes |= _TRUE if any(each & _TRUE for each in found) else 0
        return outcomes | (_FALSE if all(each & _FALSE for each in found) else 0)


def _compare(column: Bounds, op: Operator, value: Any) -> int:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _TRUE | _FALSE
    orderings, holds = column.orderings(value), _HOLDS[op]
    outcomes = (_TRUE if orderings & holds else 0) | (_FALSE if orderings - holds else 0)
    if column.unordered:
        outcomes |= _TRUE if op == "!=" else _FALSE
    return outcomes


def _outcomes(predicate: Predicate, file: _File) -> int:
    match predicate:
        case Everything():
            return _TRUE
        case Nothing():
            return _FALSE
        case And(children):
            return reduce(_and, (_outcomes(child, file) for child in children), _TRUE)
        case Or(children):
            return _not(reduce(_and, (_not(_outcomes(child, file)) for child in children), _TRUE))
        case Not(child):
            return _not(_outcomes(child, file))
        case IsNull(column):
            known = file.bounds(column)
            return (_TRUE if known.nulls else 0) | (_FALSE if known.values else 0)
        case Comparison(column, op, value):
            return file.comparisons(column, op, (value,))
        case In(column, values):
            return file.comparisons(column, "=", values)


def _not(outcomes: int) -> int:
    swapped = (_TRUE if outcomes & _FALSE else 0) | (_FALSE if outcomes & _TRUE else 0)
    return outcomes & _NULL | swapped


def _and(left: int, right: int) -> int:
    outcomes = (left & right & _TRUE) | ((left | right) & _FALSE)
    # NULL of one side stays, unless the other can only be FALSE.
    other = _TRUE | _NULL
    return outcomes | ((left | right) & _NULL if left & other and right & other else 0)


# --- JSON ----------------------------------------------------------------------------------------

_Write: TypeAlias = Callable[[Any], str]
_Read: TypeAlias = Callable[[str], Any]

_TAGGED: Mapping[type, tuple[str, _Write, _Read]] = {
    dt.datetime: ("timestamp", dt.datetime.isoformat, dt.datetime.fromisoformat),
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    Decimal: ("decimal", str, Decimal),
    float: ("double", float.__repr__, float),
    bytes: ("binary", lambda value: base64.b64encode(value).decode(), base64.b64decode),
}
"""Values that JSON has no form of its own for; they are written as `{"date": "2026-01-01"}`."""

_READ = {name: read for name, _, read in _TAGGED.values()}
_INVALID = (msgspec.MsgspecError, ArithmeticError, ValueError, TypeError, RecursionError)


def to_json(predicate: Predicate) -> bytes:
    """The JSON form of a predicate."""
    return msgspec.json.encode(_tagged(msgspec.to_builtins(predicate, builtin_types=_TAGGED)))


def from_json(data: bytes) -> Predicate:
    """Read a predicate's JSON form.

    Raises:
        InvalidFilter: It is none.
    """
    try:
        predicate: Predicate = msgspec.convert(_untagged(msgspec.json.decode(data)), Predicate)
    except _INVALID as error:
        raise InvalidFilter(f"not the JSON form of a predicate: {error}") from error
    return predicate


def _tagged(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _tagged(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_tagged(value) for value in node]
    if type(node) in _TAGGED:
        name, write, _ = _TAGGED[type(node)]
        return {name: write(node)}
    return node


def _untagged(node: Any) -> Any:
    if isinstance(node, list):
        return [_untagged(value) for value in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1 and (name := next(iter(node))) in _READ:
        return _READ[name](node[name])
    return {key: _untagged(value) for key, value in node.items()}
