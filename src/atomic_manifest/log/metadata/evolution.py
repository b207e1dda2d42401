"""Adding columns to a schema, which is the one change that leaves every file of a table readable.

Invariants: a column that is there keeps its type, its nullability and its metadata; what is added comes
last in its struct and is nullable, so that files without it read as null. Names of columns are
compared without regard to case, as Delta does.
"""

from collections.abc import Iterator

import pyarrow as pa

from atomic_manifest.errors import SchemaMismatch
from atomic_manifest.log.metadata.schema import canonical


def extended(table: pa.Schema, given: pa.Schema) -> pa.Schema:
    """The table's schema with the columns it lacks, nested ones too.

    Args:
        table: As `Snapshot.schema` gives it.
        given: Of rows that are to be written.

    Returns:
        `table` itself if nothing is new.

    Raises:
        SchemaMismatch: A new column's name differs from another's only by case, or nothing tells its
            type because all its values are null.
        InvalidSchema: A new column is of a type that a Delta table cannot hold.
    """
    fields = _extended(list(table), list(given), "")
    return table if fields == list(table) else pa.schema(fields, metadata=table.metadata)


def holds(table: pa.Schema, older: pa.Schema) -> bool:
    """Whether files written for the schema `older` are right in a table of schema `table`."""
    return _holds(list(table), list(older))


def _extended(table: list[pa.Field], given: list[pa.Field], below: str) -> list[pa.Field]:
    names = {field.name: field for field in given}
    fields = [
        field.with_type(_extended_type(field.type, names[field.name].type, below + field.name))
        if field.name in names
        else field
        for field in table
    ]
    return fields + list(_new(table, given, below))


def _new(table: list[pa.Field], given: list[pa.Field], below: str) -> Iterator[pa.Field]:
    there = {field.name.lower(): field.name for field in table}
    for field in given:
        known = there.setdefault(field.name.lower(), field.name)
        if known != field.name:
            raise SchemaMismatch(
                f"column {below + field.name!r}: the name differs only by case from {known!r}",
                columns=(below + field.name,),
            )
        if all(field.name != other.name for other in table):
            yield _added(field, below)


def _added(field: pa.Field, below: str) -> pa.Field:
    plain = canonical(pa.schema([field.remove_metadata()])).field(0).with_nullable(True)  # noqa: FBT003
    if pa.types.is_null(plain.type):
        raise SchemaMismatch(
            f"column {below + field.name!r} is new, and nothing tells its type: all of it is null",
            columns=(below + field.name,),
        )
    return plain


def _extended_type(table: pa.DataType, given: pa.DataType, path: str) -> pa.DataType:
    if pa.types.is_struct(table) and pa.types.is_struct(given):
        return pa.struct(_extended(list(table), list(given), f"{path}."))
    if pa.types.is_list(table) and _is_list(given):
        inner = table.value_field
        grown = _extended_type(inner.type, given.value_type, f"{path}.element")
        return pa.list_(inner.with_type(grown))
    if pa.types.is_map(table) and pa.types.is_map(given):
        item = table.item_field
        grown = _extended_type(item.type, given.item_type, f"{path}.value")
        return pa.map_(table.key_field, item.with_type(grown))
    return table


def _is_list(kind: pa.DataType) -> bool:
    return any(
        check(kind)
        for check in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    )


def _holds(table: list[pa.Field], older: list[pa.Field]) -> bool:
    known = {field.name: field for field in older}
    if known.keys() - {field.name for field in table}:
        return False
    return all(
        _holds_field(field, known[field.name]) if field.name in known else field.nullable
        for field in table
    )


def _holds_field(field: pa.Field, older: pa.Field) -> bool:
    if older.nullable and not field.nullable:
        return False
    return field.metadata == older.metadata and _holds_type(field.type, older.type)


def _holds_type(kind: pa.DataType, older: pa.DataType) -> bool:
    if pa.types.is_struct(kind) and pa.types.is_struct(older):
        return _holds(list(kind), list(older))
    if pa.types.is_list(kind) and pa.types.is_list(older):
        return _holds_field(kind.value_field, older.value_field)
    if pa.types.is_map(kind) and pa.types.is_map(older):
        return _holds_field(kind.key_field, older.key_field) and _holds_field(
            kind.item_field, older.item_field
        )
    return bool(kind == older)
