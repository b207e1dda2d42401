"""Columns of Python objects, looked at before Arrow guesses a type for them.

Arrow takes a type from some of the values and then bends the others to it: of a date and a moment it
makes two dates, of a date and the number 5 the 6th of January 1970, of moments with and without a time
zone moments of one kind. Here such columns are refused.

Invariants: a column that passes holds values of one kind, at any depth, or numbers of kinds that Arrow
checks value by value. pandas and NumPy are not imported.

Error semantics: `DataError` naming the column and two of the kinds.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from decimal import Decimal
from itertools import chain
from typing import Any

from atomic_manifest.errors import DataError

_MISSING = frozenset({"NoneType", "NAType"})
_NO_MOMENT = "NaTType"
_DECIMALS, _FLOATS, _INTEGERS = "decimals", "floats", "integers"
_LISTS, _MAPPINGS, _MOMENTS = "lists", "mappings", "moments"
# Subclasses come before the classes they are of.
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "booleans"),
    (int, _INTEGERS),
    (float, _FLOATS),
    (str, "text"),
    ((bytes, bytearray, memoryview), "bytes"),
    (Decimal, _DECIMALS),
    (dt.datetime, _MOMENTS),
    (dt.date, "dates"),
    (dt.time, "times of day"),
    (dt.timedelta, "durations"),
    (Mapping, _MAPPINGS),
    ((list, tuple, set, frozenset), _LISTS),
)
_EXACT = ({_INTEGERS, _FLOATS}, {_INTEGERS, _DECIMALS})
_OF_NUMPY = {"bool": "booleans", "bool_": "booleans", "ndarray": _LISTS}
_BASES_OF_NUMPY = {"integer": _INTEGERS, "floating": _FLOATS}
# Arrow reads these right only among themselves.
_ODD_OF_NUMPY = frozenset({"uint64", "ulonglong", "float16", "longdouble", "timedelta64"})


def check_objects(values: Collection[Any], column: str, *, nan_is_null: bool) -> None:
    """Refuse objects that Arrow would bend to one type.

    Args:
        values: Of one column; `None` and what pandas takes for it do not count.
        column: Its name.
        nan_is_null: Whether NaN is null too, as in columns of pandas.

    Raises:
        DataError: See the module.
    """
    kinds = {type_: _kind(type_) for type_ in set(map(type, values))}
    if nan_is_null:
        kinds = {type_: kind for type_, kind in kinds.items() if _counts(type_, kind, values)}
    present = {kind for kind in kinds.values() if kind is not None}
    if _MOMENTS in present:
        present = (present - {_MOMENTS}) | _moments(_of_kind(_MOMENTS, kinds, values), column)
    if len(present) > 1 and not any(present <= exact for exact in _EXACT):
        one, other, *_ = sorted(present)
        raise DataError(f"column {column!r} mixes {one} and {other}", column=column)
    if _LISTS in present:
        elements = chain.from_iterable(map(_elements, _of_kind(_LISTS, kinds, values)))
        check_objects(list(elements), column, nan_is_null=nan_is_null)
    if _MAPPINGS in present:
        held = _of_kind(_MAPPINGS, kinds, values)
        for name in dict.fromkeys(chain.from_iterable(held)):
            below = [each[name] for each in held if name in each]
            check_objects(below, f"{column}.{name}", nan_is_null=nan_is_null)


def _of_kind(kind: str, kinds: Mapping[type, str | None], values: Collection[Any]) -> list[Any]:
    types = {type_ for type_, each in kinds.items() if each == kind}
    return [value for value in values if type(value) in types]


def _counts(type_: type, kind: str | None, values: Collection[Any]) -> bool:
    """Whether there is a value of a type that pandas does not take for null."""
    if kind == _NO_MOMENT:
        return False
    if kind not in {_FLOATS, _DECIMALS}:
        return True
    return any(value == value for value in values if type(value) is type_)  # noqa: PLR0124 - not NaN


def _elements(value: Any) -> Any:
    """The elements of a list; of an array of NumPy's own types one, for they are of one kind."""
    kind = getattr(value, "dtype", None)
    if kind is None:
        return value
    if not value.ndim:
        return ()
    return value if kind.kind == "O" else value[:1]


def _kind(type_: type) -> str | None:
    """The kind of the values of a type; None if they are missing ones."""
    if type_.__name__ in _MISSING:
        return None
    if type_.__name__ == _NO_MOMENT:
        return _NO_MOMENT
    for types, kind in _KINDS:
        if issubclass(type_, types):
            return kind
    own = f"{type_.__module__}.{type_.__qualname__}"
    if type_.__module__ != "numpy" or type_.__name__ in _ODD_OF_NUMPY:
        return own
    bases = (_BASES_OF_NUMPY.get(base.__name__) for base in type_.__mro__)
    return _OF_NUMPY.get(type_.__name__) or next(filter(None, bases), own)


def _moments(values: Collection[dt.datetime], column: str) -> set[str]:
    """The kinds of moments there are."""
    if any(getattr(value, "nanosecond", 0) for value in values):
        raise DataError(
            f"column {column!r} has objects with digits below a microsecond, which Arrow would drop: "
            "make it one of type datetime64[ns]",
            column=column,
        )
    names = {True: "times without a time zone", False: "times with a time zone"}
    return {names[value.tzinfo is None] for value in values}
