"""Filters that stay what they are however often they are evaluated.

A filter is evaluated several times: to plan, to read, again after a conflict. Its tuples and their values
may be readable once only (an iterator, a generator) or may change meanwhile. So whoever takes one from
a user binds it first.

Error semantics: `InvalidFilter` naming the column whose values cannot be read; any other thing that is no
filter is left as it is, for `filters` to refuse.
"""

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.errors import InvalidFilter

Filter: TypeAlias = pc.Expression | str | Iterable[Any] | None
"""SQL-like text (see `filter_text`); or tuples `(column, op, value)` in disjunctive normal form: a list
of them is their conjunction, a list of such lists a disjunction (as `pyarrow.parquet.read_table` takes
it); or an Arrow expression; or None for all rows. Other iterables will do for lists."""

MEMBERSHIPS = ("in", "not in")
"""The operators that take many values."""

_TRIPLE = 3


def bound(filter: Filter) -> Any:
    """The same filter, made of lists. One that was bound stays equal."""
    return Binder()(filter)


class Binder:
    """Binds the filters of work that may be done again, which then gives the same iterators again.

    What an iterator held is kept, and found again when it is met again.
    """

    def __init__(self) -> None:
        # With the iterators themselves, lest another one gets the place of one in memory.
        self._read: dict[int, tuple[Iterator[Any], list[Any]]] = {}

    def __call__(self, filter: Filter) -> Any:
        """See `bound`."""
        if filter is None or isinstance(filter, pc.Expression) or not _is_many(filter):
            return filter
        return [self._group(group) for group in self._list(filter)]

    def _group(self, group: Any) -> Any:
        if is_triple(group):
            return self._triple(group)
        if not _is_many(group):
            return group
        return [self._triple(each) if is_triple(each) else each for each in self._list(group)]

    def _triple(self, triple: Any) -> Any:
        name, op, value = triple
        if not isinstance(op, str) or op not in MEMBERSHIPS:
            return triple
        if not _is_many(value):
            raise InvalidFilter(f"column {name!r}: {op!r} takes a list of values, got {value!r}")
        try:
            return name, op, self._list(value)
        except TypeError as error:
            raise InvalidFilter(
                f"column {name!r}: {op!r} takes a list of values: {error}"
            ) from error

    def _list(self, values: Iterable[Any]) -> list[Any]:
        if isinstance(values, pa.Array | pa.ChunkedArray):
            found: list[Any] = values.to_pylist()
            return found
        if isinstance(values, Sized):
            return list(values)
        iterator = iter(values)
        if id(iterator) not in self._read:
            self._read[id(iterator)] = iterator, list(iterator)
        return self._read[id(iterator)][1]


def is_triple(value: Any) -> bool:
    """Whether a value is `(column, op, value)`."""
    return isinstance(value, tuple | list) and len(value) == _TRIPLE and isinstance(value[0], str)


def _is_many(value: Any) -> bool:
    """Whether a value is of several: no text, and none of which a part would be lost (a frame's rows)."""
    if isinstance(value, str | bytes | bytearray | Mapping) or hasattr(value, "__dataframe__"):
        return False
    return isinstance(value, Iterable)
