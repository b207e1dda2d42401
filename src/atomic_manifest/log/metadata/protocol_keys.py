"""Takes what the Delta protocol says of a table's columns out of a schema.

Column mapping, types of before, expressions of generated columns, defaults and the like are facts of one
table's log: in the schema of rows they would tell a new table that its files are another's. Comments and
what users keep with a column stay.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import pyarrow as pa

_PREFIXES = (b"delta.", b"parquet.field.")
_KEYS = frozenset({b"CURRENT_DEFAULT", b"EXISTS_DEFAULT"})


_IsForeign: TypeAlias = Callable[[bytes], bool]


def is_of_protocol(key: bytes) -> bool:
    """Whether the protocol defines a key of a column's metadata."""
    return key.startswith(_PREFIXES) or key in _KEYS


def is_of_files(key: bytes) -> bool:
    """Whether a key tells how the files of one table have a column, as names in them and older types."""
    return key.startswith((b"delta.columnMapping.", b"parquet.field.", b"delta.typeChanges"))


def without_protocol_keys(
    schema: pa.Schema, is_foreign: Callable[[bytes], bool] = is_of_protocol
) -> pa.Schema:
    """The same columns without such keys, at any depth; `schema` itself if there are none."""
    fields = _bare_fields(schema, is_foreign)
    return schema if fields is None else pa.schema(fields, metadata=schema.metadata)


def _bare_fields(given: Iterable[pa.Field], is_foreign: _IsForeign) -> list[pa.Field] | None:
    """The fields without protocol keys; None if they have none."""
    fields = list(given)
    bare = [_bare(field, is_foreign) for field in fields]
    if not any(bare):
        return None
    return [new or old for new, old in zip(bare, fields, strict=True)]


def _bare(field: pa.Field, is_foreign: _IsForeign) -> pa.Field | None:
    metadata, type_ = field.metadata or {}, _bare_type(field.type, is_foreign)
    kept = {key: value for key, value in metadata.items() if not is_foreign(key)}
    if type_ is None and len(kept) == len(metadata):
        return None
    return pa.field(field.name, type_ or field.type, nullable=field.nullable, metadata=kept or None)


def _bare_type(type_: pa.DataType, is_foreign: _IsForeign) -> pa.DataType | None:
    if pa.types.is_struct(type_):
        fields = _bare_fields(type_, is_foreign)
        return fields and pa.struct(fields)
    if pa.types.is_map(type_):
        fields = _bare_fields((type_.key_field, type_.item_field), is_foreign)
        return fields and pa.map_(*fields, keys_sorted=type_.keys_sorted)
    if pa.types.is_fixed_size_list(type_):
        fields = _bare_fields((type_.value_field,), is_foreign)
        return fields and pa.list_(fields[0], type_.list_size)
    if pa.types.is_dictionary(type_):
        value = _bare_type(type_.value_type, is_foreign)
        return value and pa.dictionary(type_.index_type, value, type_.ordered)
    for is_kind, make in _LISTS:
        if is_kind(type_):
            fields = _bare_fields((type_.value_field,), is_foreign)
            return fields and make(fields[0])
    return None


_LISTS = (
    (pa.types.is_list, pa.list_),
    (pa.types.is_large_list, pa.large_list),
    (pa.types.is_list_view, pa.list_view),
    (pa.types.is_large_list_view, pa.large_list_view),
)
