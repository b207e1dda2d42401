"""Delta schema JSON to Arrow and back (protocol, "Schema Serialization Format").

Invariants: `to_delta(to_arrow(text))` says the same as `text` for every Delta type, and
`canonical(schema)` is idempotent. A column's metadata is JSON in the log and bytes in Arrow: each key
is kept, its value JSON-encoded (`{"id": 1}` becomes `{b"id": b"1"}`); a value that Arrow brings and
that is not JSON is taken as a JSON string. What Arrow and Parquet themselves say of a column, and the
metadata of a schema as a whole (pandas' own), are not the table's and are left out. A `variant` is a
struct of the two binaries `metadata` and `value`; its first child carries the mark that tells it from a
struct of the same shape.

Error semantics: whatever a Delta table cannot hold raises `InvalidSchema` with the dotted path of
every column at fault (`a.element.b`).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import pyarrow as pa

from atomic_manifest.errors import InvalidSchema

_Path: TypeAlias = tuple[str, ...]
_Problems: TypeAlias = list[tuple[str, str]]

TYPE_CHANGES = "delta.typeChanges"
"""The key of a column's metadata that tells the types it had before (protocol, "Type Change Metadata")."""

_VARIANT_MARK = b"atomic_manifest.variant"
_VARIANT = pa.struct(
    [
        pa.field("metadata", pa.binary(), nullable=False, metadata={_VARIANT_MARK: b"true"}),
        pa.field("value", pa.binary(), nullable=False),
    ]
)
_PRIMITIVES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "void": pa.null(),
    "variant": _VARIANT,
}
_DECIMAL = re.compile(r"decimal(?:\(\s*(\d+)\s*,\s*(\d+)\s*\))?")
_MAX_PRECISION = 38

_NAMES: dict[int, str] = {
    pa.lib.Type_STRING: "string",
    pa.lib.Type_LARGE_STRING: "string",
    pa.lib.Type_STRING_VIEW: "string",
    pa.lib.Type_BINARY: "binary",
    pa.lib.Type_LARGE_BINARY: "binary",
    pa.lib.Type_BINARY_VIEW: "binary",
    pa.lib.Type_FIXED_SIZE_BINARY: "binary",
    pa.lib.Type_BOOL: "boolean",
    pa.lib.Type_INT8: "byte",
    pa.lib.Type_UINT8: "short",
    pa.lib.Type_INT16: "short",
    pa.lib.Type_UINT16: "integer",
    pa.lib.Type_INT32: "integer",
    pa.lib.Type_UINT32: "long",
    pa.lib.Type_INT64: "long",
    pa.lib.Type_HALF_FLOAT: "float",
    pa.lib.Type_FLOAT: "float",
    pa.lib.Type_DOUBLE: "double",
    pa.lib.Type_DATE32: "date",
    pa.lib.Type_DATE64: "date",
    pa.lib.Type_NA: "void",
}
LISTS = frozenset(
    {
        pa.lib.Type_LIST,
        pa.lib.Type_LARGE_LIST,
        pa.lib.Type_FIXED_SIZE_LIST,
        pa.lib.Type_LIST_VIEW,
        pa.lib.Type_LARGE_LIST_VIEW,
    }
)
"""What Arrow calls its layouts of lists."""

_WRAPPED_VALUE = frozenset({pa.lib.Type_DICTIONARY, pa.lib.Type_RUN_END_ENCODED})
# What their values are stored as is not what they say: of a period, a count of a unit not stored.
_HOLLOW = frozenset({"pandas.period", "pandas.interval"})


@lru_cache(maxsize=64)
def to_arrow(schema_string: str) -> pa.Schema:
    """Read a table's `schemaString`.

    Raises:
        InvalidSchema: Not Delta schema JSON; names the field at fault.
    """
    try:
        return pa.schema(_fields(json.loads(schema_string), ()))
    except InvalidSchema:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidSchema(f"schema: not Delta schema JSON: {error}", columns=()) from error


def _fields(node: Any, path: _Path) -> list[pa.Field]:
    if not isinstance(node, dict) or node.get("type") != "struct":
        raise _malformed(path, "not a struct")
    entries = node.get("fields")
    if not isinstance(entries, list):
        raise _malformed(path, "a struct without a list of fields")
    fields = [_field(entry, path) for entry in entries]
    problems: _Problems = []
    _note_duplicates([field.name for field in fields], path, problems)
    _raise_if(problems)
    return fields


def _field(entry: Any, path: _Path) -> pa.Field:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise _malformed(path, "a field without a name")
    here = (*path, entry["name"])
    nullable = entry.get("nullable")
    if not isinstance(nullable, bool):
        raise _malformed(here, "`nullable` is not true or false")
    metadata = entry.get("metadata")
    if not isinstance(metadata, dict | None):
        raise _malformed(here, "`metadata` is not an object")
    kept = {key: json.dumps(value) for key, value in (metadata or {}).items()}
    return _arrow_field(here, _type(entry.get("type"), here), nullable=nullable, metadata=kept)


def _arrow_field(
    path: _Path, type_: pa.DataType, *, nullable: bool, metadata: Mapping[str, str]
) -> pa.Field:
    if pa.types.is_null(type_) and not nullable:
        raise _malformed(path, "void, and yet not nullable")
    return pa.field(path[-1], type_, nullable=nullable, metadata=metadata or None)


def _type(node: Any, path: _Path) -> pa.DataType:
    if isinstance(node, str):
        return _PRIMITIVES.get(node) or _decimal(node, path)
    match node:
        case {"type": "struct"}:
            return pa.struct(_fields(node, path))
        case {"type": "array", "elementType": element, "containsNull": bool(nullable)}:
            here = (*path, "element")
            return pa.list_(
                _arrow_field(here, _type(element, here), nullable=nullable, metadata={})
            )
        case {
            "type": "map",
            "keyType": key,
            "valueType": value,
            "valueContainsNull": bool(nullable),
        }:
            of_key, of_value = (*path, "key"), (*path, "value")
            return pa.map_(
                _arrow_field(of_key, _type(key, of_key), nullable=False, metadata={}),
                _arrow_field(of_value, _type(value, of_value), nullable=nullable, metadata={}),
            )
    raise _malformed(path, f"unknown type {json.dumps(node)[:80]}")


def _decimal(name: str, path: _Path) -> pa.DataType:
    match = _DECIMAL.fullmatch(name)
    if match is None:
        raise _malformed(path, f"unknown type {name!r}")
    precision, scale = int(match[1] or 10), int(match[2] or 0)
    if not (1 <= precision <= _MAX_PRECISION and scale <= precision):
        raise _malformed(path, f"impossible type {name!r}")
    return pa.decimal128(precision, scale)


def _malformed(path: _Path, what: str) -> InvalidSchema:
    name = ".".join(path)
    return InvalidSchema(f"schema: {name or 'top level'}: {what}", columns=(name,) if name else ())


def to_delta(schema: pa.Schema) -> str:
    """The `schemaString` of a table that holds data of this Arrow schema.

    Types map to the plain Delta type that holds all their values: views, large and fixed-size forms,
    dictionaries, run ends and extensions to what they stand for, `uint8/16/32` to the next wider
    signed integer, any time unit to microseconds.

    Raises:
        InvalidSchema: A type with no Delta counterpart, or names that differ only in case.
    """
    problems: _Problems = []
    node = _struct_node(list(schema), (), problems)
    _raise_if(problems)
    return json.dumps(node, separators=(",", ":"))


def canonical(schema: pa.Schema) -> pa.Schema:
    """The Arrow schema a table made from `schema` reads as: `to_arrow(to_delta(schema))`."""
    return to_arrow(to_delta(schema))


def _struct_node(fields: Sequence[pa.Field], path: _Path, problems: _Problems) -> dict[str, Any]:
    _note_duplicates([field.name for field in fields], path, problems)
    return {"type": "struct", "fields": [_field_node(field, path, problems) for field in fields]}


def _field_node(field: pa.Field, path: _Path, problems: _Problems) -> dict[str, Any]:
    here = (*path, field.name)
    return {
        "name": field.name,
        "type": _type_node(field.type, here, problems),
        "nullable": field.nullable,
        "metadata": _metadata_node(field.metadata or {}, here, problems),
    }


def _type_node(type_: pa.DataType, path: _Path, problems: _Problems) -> Any:
    if isinstance(type_, pa.BaseExtensionType) and (meant := meaning(type_)) is not None:
        return _type_node(meant, path, problems)
    if type_.id in _WRAPPED_VALUE:
        return _type_node(type_.value_type, path, problems)
    if (name := _primitive_name(type_)) is not None:
        return name
    if type_.id in LISTS:
        element = _type_node(type_.value_type, (*path, "element"), problems)
        nullable = type_.value_field.nullable
        return {"type": "array", "elementType": element, "containsNull": nullable}
    if pa.types.is_map(type_):
        return _map_node(type_, path, problems)
    if pa.types.is_struct(type_) and type_.num_fields:
        return _struct_node(list(type_), path, problems)
    problems.append((".".join(path), f"{type_} has no Delta type"))
    return None


def _primitive_name(type_: pa.DataType) -> str | None:
    if pa.types.is_timestamp(type_):
        return "timestamp_ntz" if type_.tz is None else "timestamp"
    if pa.types.is_decimal(type_):
        fits = type_.precision <= _MAX_PRECISION and 0 <= type_.scale <= type_.precision
        return f"decimal({type_.precision},{type_.scale})" if fits else None
    return "variant" if is_variant(type_) else _NAMES.get(type_.id)


def _map_node(type_: pa.DataType, path: _Path, problems: _Problems) -> dict[str, Any]:
    return {
        "type": "map",
        "keyType": _type_node(type_.key_type, (*path, "key"), problems),
        "valueType": _type_node(type_.item_type, (*path, "value"), problems),
        "valueContainsNull": type_.item_field.nullable,
    }


def _metadata_node(
    metadata: Mapping[bytes, bytes], path: _Path, problems: _Problems
) -> dict[str, Any]:
    try:
        return {
            key.decode(): _json_or_text(value.decode())
            for key, value in metadata.items()
            if key != _VARIANT_MARK and not key.startswith((b"ARROW:", b"PARQUET:"))
        }
    except UnicodeDecodeError:
        problems.append((".".join(path), "metadata that is not UTF-8 text"))
        return {}


def _json_or_text(text: str) -> Any:
    """What JSON text says, or the text itself; not what no JSON text of other engines could say."""
    try:
        found = json.loads(text)
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # among them NaN, 1e999 and half a surrogate pair
        return text
    return found


def _note_duplicates(names: Iterable[str], path: _Path, problems: _Problems) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            first = seen[name.lower()]
            what = "given twice" if name == first else f"the same name as {first!r}, but for case"
            problems.append((".".join((*path, name)), what))
        seen.setdefault(name.lower(), name)


def _raise_if(problems: _Problems) -> None:
    if problems:
        listed = "; ".join(f"{name}: {what}" for name, what in problems)
        raise InvalidSchema(
            f"not a schema a Delta table can have: {listed}",
            columns=tuple(dict.fromkeys(name for name, _ in problems)),
        )


def meaning(type_: pa.BaseExtensionType) -> pa.DataType | None:
    """The plain type that an extension type's values are of; None if they are of none."""
    if isinstance(type_, pa.Bool8Type):
        return pa.bool_()
    return None if type_.extension_name in _HOLLOW else type_.storage_type


def is_variant(type_: pa.DataType) -> bool:
    """Whether this is the struct that stands for Delta's `variant`."""
    return (
        pa.types.is_struct(type_)
        and type_.num_fields == _VARIANT.num_fields
        and _VARIANT_MARK in (type_.field(0).metadata or {})
    )


def walk(fields: Iterable[pa.Field], path: _Path = ()) -> Iterable[tuple[_Path, pa.Field]]:
    """Every field at any depth with its path, parents first.

    What lists and maps hold appears under the names `element`, `key` and `value`.
    """
    for field in fields:
        here = (*path, field.name)
        yield here, field
        type_ = field.type
        if pa.types.is_struct(type_):
            yield from walk(type_, here)
        elif pa.types.is_map(type_):
            inner = (pa.field("key", type_.key_type), pa.field("value", type_.item_type))
            yield from walk(inner, here)
        elif type_.id in LISTS:
            yield from walk((pa.field("element", type_.value_type),), here)


def check_partition_columns(schema: pa.Schema, columns: Sequence[str]) -> None:
    """Check that a table of this schema can be partitioned by these columns.

    Raises:
        InvalidSchema: A column that is missing, given twice, or neither primitive nor ever non-null;
            or partition columns that leave no column for the data files.
    """
    problems: _Problems = []
    _note_duplicates(columns, (), problems)
    for name in columns:
        if name not in schema.names:
            problems.append((name, "partition column that the schema lacks"))
        elif pa.types.is_nested(schema.field(name).type):
            problems.append((name, "partition column of a nested type"))
        elif pa.types.is_null(schema.field(name).type):
            problems.append((name, "partition column of type void"))
    if columns and not problems and len(columns) == len(schema.names):
        problems.extend((name, "partition column, as all columns are") for name in columns)
    _raise_if(problems)
