"""What an operation did, as values: reads with the rows they returned, and writes.

Rows are those of the one table that histories are about: `COLUMNS`. All of it has a JSON form (msgspec),
so that it can be kept in a file.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

COLUMNS = ("part", "key", "value")

Row: TypeAlias = tuple[str, int, int]
"""One row: its `part`, `key` and `value`."""

Term: TypeAlias = tuple[str, str, str | int]
"""A column, a comparison of `OPERATORS`, a value of the column's type."""

Where: TypeAlias = tuple[tuple[Term, ...], ...]
"""Which rows: those for which all terms of one of the groups hold. No row is null anywhere."""

EVERYTHING: Where = ((),)
"""Every row: one group of no terms."""

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Read(msgspec.Struct, frozen=True, tag="read"):
    """The rows that matched `where` when they were read."""

    where: Where
    rows: tuple[Row, ...]


class Append(msgspec.Struct, frozen=True, tag="append"):
    """Rows added."""

    rows: tuple[Row, ...]


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """Rows that matched removed; `deleted` is how many were told, None if nothing was."""

    where: Where
    deleted: int | None = None


class Overwrite(msgspec.Struct, frozen=True, tag="overwrite"):
    """Rows that matched replaced by `rows`."""

    rows: tuple[Row, ...]
    where: Where


class OverwriteParts(msgspec.Struct, frozen=True, tag="overwrite parts"):
    """All rows of the parts that `rows` are in replaced by them."""

    rows: tuple[Row, ...]


Step: TypeAlias = Read | Append | Delete | Overwrite | OverwriteParts


def matches(where: Where, row: Row) -> bool:
    """Whether a row is one of those."""
    values = dict(zip(COLUMNS, row, strict=True))
    return any(
        all(OPERATORS[compare](values[column], value) for column, compare, value in terms)
        for terms in where
    )


def as_text(where: Where) -> str:
    """The same as a filter for the library."""
    if where == EVERYTHING:
        return "true"
    groups = (
        " and ".join(f"{column} {compare} {value!r}" for column, compare, value in terms)
        for terms in where
    )
    return " or ".join(f"({group})" for group in groups)


def is_blind(steps: tuple[Step, ...]) -> bool:
    """Whether they depend on nothing that the table holds."""
    return all(isinstance(step, Append) for step in steps)
