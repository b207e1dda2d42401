"""Columns and predicates in the words of the log, where columns may be called otherwise than in the schema.

Invariant: a predicate over columns of the schema and its translation hold for the same rows.
"""

from collections.abc import Mapping

import msgspec
import pyarrow as pa

from atomic_manifest.data.filter.filter_terms import Terms, columns, type_names
from atomic_manifest.log.metadata.column_mapping import ColumnMapping
from atomic_manifest.log.pruning.predicate import And, Comparison, In, IsNull, Not, Or, Predicate
from atomic_manifest.log.pruning.pruner import Column


def described(schema: pa.Schema) -> Mapping[str, Column]:
    """The columns of which the log may tell something, by dotted physical name.

    Args:
        schema: A table's, in physical names.
    """
    known = columns(schema)
    return {
        name: Column(column.path, type_name, column.type)
        for name, type_name in type_names(schema).items()
        if (column := known[name]) is not None
    }


def physical_predicate(
    predicate: Predicate, schema: pa.Schema, mapping: ColumnMapping
) -> Predicate:
    """A predicate over physical names, by which partition values and statistics of the log go.

    Args:
        predicate: Over columns of `schema`.
        schema: The table's.
        mapping: The table's.
    """
    return _translated(predicate, Terms(schema), schema, mapping) if mapping.is_on else predicate


def _translated(
    predicate: Predicate, terms: Terms, schema: pa.Schema, mapping: ColumnMapping
) -> Predicate:
    match predicate:
        case And(children):
            return And(tuple(_translated(each, terms, schema, mapping) for each in children))
        case Or(children):
            return Or(tuple(_translated(each, terms, schema, mapping) for each in children))
        case Not(child):
            return Not(_translated(child, terms, schema, mapping))
        case Comparison(column) | In(column) | IsNull(column):
            name = _physical_name(terms.column(column).path, schema, mapping)
            return msgspec.structs.replace(predicate, column=name)
        case _:
            return predicate


def _physical_name(path: tuple[str, ...], schema: pa.Schema, mapping: ColumnMapping) -> str:
    field = schema.field(path[0])
    names = [mapping.physical_name(field)]
    for name in path[1:]:
        field = field.type.field(name)
        names.append(mapping.physical_name(field))
    return ".".join(names)
