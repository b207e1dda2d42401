"""Names of columns, and schemas, as users give them: read once, for they may be readable once only."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from atomic_manifest.errors import DataError, InvalidSchema


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


def schema_of(given: Any) -> pa.Schema:
    """The schema that an argument holds.

    Args:
        given: A schema, or what `pyarrow.schema` makes one of: fields, pairs or a mapping.

    Raises:
        InvalidSchema: It is neither.
    """
    if isinstance(given, pa.Schema):
        return given
    try:
        return pa.schema(given)
    except (TypeError, ValueError, AttributeError, pa.ArrowException) as error:
        raise InvalidSchema(f"no schema: {given!r} ({error})", columns=()) from error
