"""Filters as users give them, checked against the table: as predicates and as Arrow expressions.

A filter is SQL-like text (`filter_text`), tuples in disjunctive normal form, or an Arrow expression.
Text and tuples become a predicate, whose rows are those for which it is TRUE, and the predicate an
expression that keeps the very same rows; an Arrow expression cannot be looked into, so it can only be
read with.

Tuples mean what `pyarrow.parquet.read_table` takes them to mean. One thing is not SQL's: null is none
of the values of a `not in`, so rows with null match (unless null is among the values).

NaN differs from everything and is neither less nor greater, as in Arrow. Arrow's datasets forget that
where they prune by Parquet statistics, so an expression of ours asks for NaN by name where it matches.
Even so a dataset drops the NaN of a row group that holds but one other value, and of zeros it knows
only one: where `outdoes_bounds` says that a filter may want them, rows are filtered after they were read.

Error semantics: `InvalidFilter` naming the column or the part that is wrong, before a file is read.
"""

import math
import re
from collections.abc import Mapping
from functools import reduce
from operator import and_, or_
from typing import Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.data.filter.binding import MEMBERSHIPS, Filter, bound, is_triple
from atomic_manifest.data.filter.filter_terms import Column, Terms, type_names
from atomic_manifest.data.filter.filter_text import parse
from atomic_manifest.errors import InvalidFilter
from atomic_manifest.log.pruning.predicate import (
    And,
    Comparison,
    Everything,
    In,
    IsNull,
    Not,
    Nothing,
    Operator,
    Or,
    Predicate,
)

__all__ = [
    "Filter",
    "bound",
    "columns_in",
    "outdoes_bounds",
    "predicate_expression",
    "to_expression",
    "to_predicate",
    "type_names",
]

_MISSING = re.compile(
    r"No match for (?:FieldRef\.Name\((?P<name>.*?)\)|(?P<ref>.*?)) in ", re.DOTALL
)
_OPERATORS: Mapping[str, Operator] = {"==": "=", **{op: op for op in get_args(Operator)}}
_FUNCTIONS = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


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
    if isinstance(filter, pc.Expression):
        _check(filter, schema)
        return filter
    return predicate_expression(to_predicate(filter, schema), schema)


def to_predicate(filter: Filter, schema: pa.Schema) -> Predicate:
    """Make a filter a predicate over the table's columns.

    Args:
        filter: See `Filter`; None is every row.
        schema: The table's schema.

    Raises:
        InvalidFilter: As `to_expression` does; and for an Arrow expression.
    """
    if filter is None:
        return Everything()
    if isinstance(filter, pc.Expression):
        raise InvalidFilter(
            f"an Arrow expression cannot be looked into; give text or tuples instead of {filter}"
        )
    terms = Terms(schema)
    return parse(filter, terms) if isinstance(filter, str) else _from_tuples(bound(filter), terms)


def outdoes_bounds(filter: Filter, schema: pa.Schema, *, unsure: bool = True) -> bool:
    """Whether rows may match a filter that Arrow rules out by the bounds of floats.

    Args:
        filter: See `Filter`. Of an Arrow expression this is only known if it looks at one column.
        schema: The table's.
        unsure: What to say where it is not known.

    Raises:
        InvalidFilter: As `to_expression`.
    """
    if not isinstance(filter, pc.Expression):
        return _takes_nan(to_predicate(filter, schema), Terms(schema), negated=False)
    names = columns_in(filter, schema)
    if not any(_holds_floats(schema.field(name).type) for name in names):
        return False
    field = schema.field(next(iter(names)))
    if len(names) > 1 or not pa.types.is_floating(field.type):
        return unsure
    probe = pa.table({field.name: pa.array([math.nan, 0.0, -0.0]).cast(field.type)})
    try:
        nan, zero, negative = (probe.slice(row, 1).filter(filter).num_rows for row in range(3))
    except (ValueError, TypeError, LookupError, NotImplementedError):
        return unsure
    return bool(nan) or zero != negative


def _holds_floats(type_: pa.DataType) -> bool:
    if pa.types.is_nested(type_):
        return any(_holds_floats(type_.field(number).type) for number in range(type_.num_fields))
    return bool(pa.types.is_floating(type_))


def _takes_nan(predicate: Predicate, terms: Terms, *, negated: bool) -> bool:
    match predicate:
        case Not(child):
            return _takes_nan(child, terms, negated=not negated)
        case And(children) | Or(children):
            return any(_takes_nan(child, terms, negated=negated) for child in children)
        case Comparison(name) | In(name):
            return _nan_passes(predicate, terms.column(name), negated=negated)
    return False


def _nan_passes(term: Comparison | In, column: Column, *, negated: bool) -> bool:
    """Whether a term holds for NaN, which differs from everything, in a column that may have it."""
    differs = isinstance(term, Comparison) and term.op == "!="
    return differs is not negated and pa.types.is_floating(column.type)


def _from_tuples(filter: Any, terms: Terms) -> Predicate:
    if not isinstance(filter, list) or not filter:
        raise InvalidFilter(
            "a filter is SQL-like text, a list of (column, op, value) or an expression, "
            f"got {filter!r}"
        )
    groups = [filter] if is_triple(filter[0]) else filter
    found = [_conjunction(group, terms) for group in groups]
    return found[0] if len(found) == 1 else Or(tuple(found))


def _conjunction(group: Any, terms: Terms) -> Predicate:
    if not isinstance(group, list) or not group:
        raise InvalidFilter(f"not a list of (column, op, value): {group!r}")
    for triple in group:
        if not is_triple(triple):
            raise InvalidFilter(f"not a (column, op, value): {triple!r}")
    found = [_term(triple, terms) for triple in group]
    return found[0] if len(found) == 1 else And(tuple(found))


def _term(triple: Any, terms: Terms) -> Predicate:
    name, op, value = triple
    if isinstance(op, str) and op in _OPERATORS:
        return terms.comparison(name, _OPERATORS[op], value)
    if not isinstance(op, str) or op not in MEMBERSHIPS:
        raise InvalidFilter(f"column {name!r}: no such operator: {op!r}")
    given = [each for each in value if each is not None]
    found, with_null = terms.membership(name, given), len(given) < len(value)
    if op == "in":
        return Or((found, terms.is_null(name))) if with_null else found
    return Not(found) if with_null else Or((Not(found), terms.is_null(name)))


def predicate_expression(predicate: Predicate, schema: pa.Schema) -> pc.Expression:
    """The expression that keeps the rows for which a predicate is TRUE.

    Args:
        predicate: As `to_predicate` makes it.
        schema: The table's schema.

    Raises:
        InvalidFilter: A column the table lacks, or a value that is not of its type.
    """
    expression = _expression(predicate, Terms(schema), negated=False)
    _check(expression, schema)
    return expression


def _expression(predicate: Predicate, terms: Terms, *, negated: bool) -> pc.Expression:
    """Pushes `Not` down to the leaves, for above them FALSE and NULL need no telling apart."""
    match predicate:
        case Everything() | Nothing():
            return pc.scalar(isinstance(predicate, Everything) is not negated)
        case Not(child):
            return _expression(child, terms, negated=not negated)
        case And(children) | Or(children):
            conjoined = isinstance(predicate, And) is not negated
            parts = [_expression(child, terms, negated=negated) for child in children]
            return reduce(and_ if conjoined else or_, parts) if parts else pc.scalar(conjoined)
        case IsNull(name):
            field = _field(terms.column(name))
            return field.is_valid() if negated else field.is_null()
        case Comparison(name, op, value):
            column = terms.column(name)
            found = _FUNCTIONS[op](_field(column), _array((value,), column, name)[0])
            found = ~found if negated else found
            return _with_nan(found, predicate, column, negated=negated)
        case In(name, values):
            column = terms.column(name)
            found = _membership(column, name, values, negated=negated)
            return _with_nan(found, predicate, column, negated=negated)


def _membership(
    column: Column, name: str, values: tuple[Any, ...], *, negated: bool
) -> pc.Expression:
    field = _field(column)
    if 0.0 in values and pa.types.is_floating(column.type):
        values = (*values, 0.0, -0.0)  # which Arrow's hashes tell apart
    found = field.isin(_array(values, column, name))
    return ~found & field.is_valid() if negated else found


def _with_nan(
    expression: pc.Expression, term: Comparison | In, column: Column, *, negated: bool
) -> pc.Expression:
    """See the module: NaN, where it matches, asked for by name."""
    passes = _nan_passes(term, column, negated=negated)
    return expression | pc.is_nan(_field(column)) if passes else expression


def _field(column: Column) -> pc.Expression:
    return pc.field(*column.path)


def _array(values: tuple[Any, ...], column: Column, name: str) -> pa.Array:
    try:
        return pa.array(values, column.type)
    except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        raise InvalidFilter(f"column {name!r} of type {column.type}: {error}") from error


def columns_in(expression: pc.Expression, schema: pa.Schema) -> frozenset[str]:
    """The top-level columns of `schema` that an expression looks at, or more of them."""
    found: dict[str, pa.Field] = {}
    while True:
        try:
            pa.schema(list(found.values())).empty_table().filter(expression)
        except (ValueError, TypeError, LookupError, NotImplementedError) as error:
            missing = _MISSING.search(str(error))
            name = missing["name"] if missing else None
            if name is None or name in found or name not in schema.names:
                return frozenset(schema.names)
            found[name] = schema.field(name)
        else:
            return frozenset(found)


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
