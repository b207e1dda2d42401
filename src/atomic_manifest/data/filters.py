"""Filters as users give them, checked against the table and made one Arrow expression.

Error semantics: `InvalidFilter` naming the column or the part that is wrong, before a file is read.
"""

import re
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atomic_manifest.errors import InvalidFilter

Filter: TypeAlias = pc.Expression | list[Any] | None
"""An Arrow expression, or tuples `(column, op, value)` in disjunctive normal form: a list of them is
their conjunction, a list of such lists a disjunction (as `pyarrow.parquet.read_table` takes it)."""

_MISSING = re.compile(
    r"No match for (?:FieldRef\.Name\((?P<name>.*?)\)|(?P<ref>.*?)) in ", re.DOTALL
)
_TRIPLE = 3


def to_expression(filter: Filter, schema: pa.Schema) -> pc.Expression | None:
    """Make a filter an expression over the table's columns.

    Args:
        filter: See `Filter`.
        schema: The table's schema.

    Raises:
        InvalidFilter: A column the table lacks, a shape that is no filter, or a comparison that the
            column's type cannot take.
    """
    if filter is None:
        return None
    expression = filter if isinstance(filter, pc.Expression) else _from_tuples(filter, schema)
    _check(expression, schema)
    return expression


def _from_tuples(filter: Any, schema: pa.Schema) -> pc.Expression:
    if not isinstance(filter, list | tuple) or not filter:
        raise InvalidFilter(
            f"a filter is an expression or a list of (column, op, value), got {filter!r}"
        )
    groups = [filter] if _is_triple(filter[0]) else filter
    for group in groups:
        if not isinstance(group, list | tuple) or not group:
            raise InvalidFilter(f"not a list of (column, op, value): {group!r}")
        for predicate in group:
            if not _is_triple(predicate):
                raise InvalidFilter(f"not a (column, op, value): {predicate!r}")
            if predicate[0] not in schema.names:
                raise InvalidFilter(f"filter on column {predicate[0]!r}, which the table lacks")
    try:
        return pq.filters_to_expression([list(group) for group in groups])
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise InvalidFilter(f"filter {filter!r}: {error}") from error


def _is_triple(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == _TRIPLE and isinstance(value[0], str)


def _check(expression: pc.Expression, schema: pa.Schema) -> None:
    """Bind the expression to the table's columns, which is the only way to look into it."""
    try:
        schema.empty_table().filter(expression)
    except (ValueError, TypeError, LookupError, NotImplementedError) as error:
        missing = _MISSING.search(str(error))
        if missing:
            name = missing["name"] or missing["ref"]
            raise InvalidFilter(f"filter on column {name!r}, which the table lacks") from error
        raise InvalidFilter(f"filter {expression}: {error}") from error
