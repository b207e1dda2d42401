"""Adds columns to a schema, which is the one change that leaves every file of a table readable.

Invariants: a column that is there keeps its type, its nullability and its metadata; only one without a type
(`void`), which holds nothing, gets one. What is added comes last in its struct and is nullable, so that
files without it read as null. Names of columns are compared without regard to case, as Delta does.
"""

from collections.abc import Collection, Iterator

import pyarrow as pa

from atomic_manifest.errors import SchemaMismatch
from atomic_manifest.log.metadata.schema import LISTS, canonical, is_variant, meaning


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


def of_rows(schema: pa.Schema, partition_by: Collection[str] = ()) -> pa.Schema:
    """The columns that rows of this schema make of a table.

    Those of which all is null are left out, fields of structs too: nothing tells their type, and other
    engines cannot open a table with one of type `void`. They are missing, which reads as null. Unsigned
    integers of 64 bits are `long`, which each value has to fit.

    Args:
        schema: Of the rows.
        partition_by: Columns that are kept whatever they are.

    Returns:
        All columns, if only ones to partition by were left.
    """
    fields = [field if field.name in partition_by else _of_rows(field) for field in schema]
    kept = [field for field in fields if field is not None]
    if all(field.name in partition_by for field in kept):
        return schema
    return pa.schema(kept, metadata=schema.metadata)


def without_metadata(field: pa.Field) -> pa.Field:
    """The same field without what tables and engines note of columns, at any depth."""
    return field.remove_metadata().with_type(_bare(field.type))


def _bare(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind) and not is_variant(kind):
        return pa.struct(list(map(without_metadata, kind)))
    if pa.types.is_map(kind):
        return pa.map_(without_metadata(kind.key_field), without_metadata(kind.item_field))
    if kind.id in LISTS:
        return pa.list_(without_metadata(kind.value_field))
    return kind


def is_void(kind: pa.DataType) -> bool:
    """Whether a type tells nothing of what it may hold, in any layout."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return is_void(kind.value_type)
    return bool(pa.types.is_null(kind))


def _of_rows(field: pa.Field) -> pa.Field | None:
    return None if is_void(field.type) else field.with_type(_type_of_rows(field.type))


def _type_of_rows(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        plain = _type_of_rows(kind.value_type)
        return kind if plain == kind.value_type else plain
    if pa.types.is_uint64(kind):
        return pa.int64()
    if pa.types.is_struct(kind) and not is_variant(kind):
        fields = [found for field in kind if (found := _of_rows(field)) is not None]
        return pa.struct(fields) if fields else kind
    if pa.types.is_map(kind):
        key, item = kind.key_field, kind.item_field
        return pa.map_(
            key.with_type(_type_of_rows(key.type)), item.with_type(_type_of_rows(item.type))
        )
    if kind.id in LISTS and (inner := _type_of_rows(kind.value_type)) != kind.value_type:
        return pa.list_(kind.value_field.with_type(inner))
    return kind


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
    plain = canonical(pa.schema([field])).field(0).with_nullable(True)  # noqa: FBT003
    if pa.types.is_null(plain.type):
        raise SchemaMismatch(
            f"column {below + field.name!r} is new, and nothing tells its type: all of it is null",
            columns=(below + field.name,),
        )
    return plain


def _extended_type(table: pa.DataType, given: pa.DataType, path: str) -> pa.DataType:
    if isinstance(given, pa.BaseExtensionType) and (meant := meaning(given)) is not None:
        return _extended_type(table, meant, path)
    if pa.types.is_dictionary(given) or pa.types.is_run_end_encoded(given):
        return _extended_type(table, given.value_type, path)
    if pa.types.is_null(table) and not pa.types.is_null(given):
        return _added(pa.field(path, given), "").type
    if pa.types.is_struct(table) and pa.types.is_struct(given):
        return pa.struct(_extended(list(table), list(given), f"{path}."))
    if pa.types.is_list(table) and given.id in LISTS:
        inner = table.value_field
        grown = _extended_type(inner.type, given.value_type, f"{path}.element")
        return pa.list_(inner.with_type(grown))
    if pa.types.is_map(table) and pa.types.is_map(given):
        item = table.item_field
        grown = _extended_type(item.type, given.item_type, f"{path}.value")
        return pa.map_(table.key_field, item.with_type(grown))
    return table


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
    if pa.types.is_null(older):
        return True
    if pa.types.is_struct(kind) and pa.types.is_struct(older):
        return _holds(list(kind), list(older))
    if pa.types.is_list(kind) and pa.types.is_list(older):
        return _holds_field(kind.value_field, older.value_field)
    if pa.types.is_map(kind) and pa.types.is_map(older):
        return _holds_field(kind.key_field, older.key_field) and _holds_field(
            kind.item_field, older.item_field
        )
    return bool(kind == older)
