"""Numbers, times and names that users give, in the forms that NumPy, pandas and ISO 8601 have of them.

NumPy and pandas are not imported: a scalar of theirs says by itself what it is.

Error semantics: `DataError` naming the argument.
"""

import operator
from contextlib import suppress
from datetime import date, datetime
from datetime import time as time_of_day
from typing import Any

from atomic_manifest.errors import DataError


def whole_number(argument: str, given: Any) -> int:
    """An integer of Python, NumPy or Arrow.

    Raises:
        DataError: It is none; a truth value or a float is none, either.
    """
    with suppress(TypeError):
        if not isinstance(given, bool):
            return operator.index(given)
    raise DataError(f"{argument} is a whole number, got {given!r}")


def moment(given: Any) -> datetime | None:
    """A time: a `datetime`, a date (its midnight), one of pandas or NumPy, or ISO 8601 text; else None.

    Digits below a microsecond are cut off. What names no zone stays without.
    """
    if given != given:  # noqa: PLR0124 - not a time
        return None
    if type(given).__name__ == "datetime64":
        given = given.astype("datetime64[us]").item()
    if isinstance(given, str):
        try:
            return datetime.fromisoformat(given)
        except ValueError:
            return None
    if isinstance(given, datetime):
        return datetime.fromisoformat(given.isoformat())
    return datetime.combine(given, time_of_day()) if isinstance(given, date) else None


def plain(value: Any) -> Any:
    """A scalar of NumPy or pandas as Python and JSON have it, for `msgspec`'s `enc_hook`.

    Raises:
        TypeError: It is no such scalar.
    """
    if isinstance(value, datetime):
        return value.isoformat()
    if getattr(value, "shape", None) != ():
        raise TypeError(f"{type(value).__name__} is nothing that JSON can say")
    return value.item()
