"""Names of columns as users give them."""

from collections.abc import Iterable, Mapping
from typing import Any

from atomic_manifest.errors import DataError


def names_of(argument: str, given: Any) -> list[Any]:
    """The names that an argument holds, read once; whether each is a name is not asked.

    Args:
        argument: What the user calls it, for the message.
        given: A list of names, or any other iterable of them.

    Raises:
        DataError: A single name, which is a sequence of names of one letter; a mapping; or no iterable.
    """
    if isinstance(given, str):
        raise DataError(f"{argument} is a list of names, got {given!r}: give [{given!r}]")
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise DataError(f"{argument} is a list of names, got {given!r}")
    # NumPy's texts are encoded by no one.
    return [str(name) if isinstance(name, str) else name for name in given]
