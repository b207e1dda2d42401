"""Columns of a data file as the table's: found by name, physical name or field id, and cast.

Invariants: a column is read as the field it belongs to or not at all; one that the file lacks, at any
depth, is null. A file may have it in another case, as converted folders do, if it has none in the very
same. Values are cast without loss (type widening, other writers' layouts of the same type); one that does
not fit is an error. Structs, lists and maps are taken apart and put together here, for Arrow's own casts
match fields of structs by name only.

Error semantics: `adapter` raises `CorruptLog` for a file without the field ids that the table needs, one
that lacks a required column, or has several that may be meant; and `UnsupportedTableFeature` for a
shredded variant; the function it returns raises Arrow's errors for values that do not fit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from atomic_manifest.data.input.casting import is_bytes, is_list, is_text
from atomic_manifest.data.input.structs import nulls_of, struct_of
from atomic_manifest.errors import CorruptLog, UnsupportedTableFeature
from atomic_manifest.log.metadata.column_mapping import FIELD_ID, NO_MAPPING, ColumnMapping
from atomic_manifest.log.metadata.schema import is_variant

Adapt = Callable[[pa.Array], pa.Array]

_FAMILIES: Mapping[str, Callable[[pa.DataType], bool]] = {
    "number": lambda kind: (
        types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    ),
    "bytes": lambda kind: is_text(kind) or is_bytes(kind),
    "time": lambda kind: types.is_timestamp(kind) or types.is_date(kind),
    "boolean": types.is_boolean,
}

_TYPED_VALUE = "typed_value"


@dataclass(frozen=True, slots=True)
class Column:
    """Where a column of the table comes from.

    Attributes:
        index: Of the column in the file; None if the file lacks it.
        adapt: Makes the file's array the table's. Without an `index` it takes an array of nulls.
    """

    index: int | None
    adapt: Adapt


def adapter(
    file: pa.Schema,
    fields: Iterable[pa.Field],
    mapping: ColumnMapping,
    path: str,
    siblings: Iterable[pa.Field] | None = None,
) -> list[Column]:
    """Find columns of the table in a file.

    Args:
        file: The file's Arrow schema, with field ids as Arrow keeps them.
        fields: Of the table's schema; not of the partitioning.
        mapping: The table's.
        path: The file's, for errors.
        siblings: All the table's fields; `fields` by default.
    """
    given, fields = list(file), list(fields)
    known = fields if siblings is None else list(siblings)
    if mapping.mode == "id" and given and not any(_id(field) is not None for field in given):
        raise CorruptLog(
            f"{path} has no field ids, and the table finds its columns by them",
            path=path,
            version=None,
        )
    found = []
    for field in fields:
        try:
            found.append(_column(given, field, mapping, known))
        except CorruptLog as error:
            message = f"{path}: column {field.name!r}: {error}"
            raise CorruptLog(message, path=path, version=None) from error
    return found


def _column(
    given: Sequence[pa.Field],
    field: pa.Field,
    mapping: ColumnMapping,
    siblings: Sequence[pa.Field],
) -> Column:
    index = _find(given, field, mapping, siblings)
    if index is None and not field.nullable:
        message = f"the table requires {field.name!r}, and the file has no such column"
        raise CorruptLog(message, path="", version=None)
    source = pa.null() if index is None else given[index].type
    return Column(index, _compile(source, field.type, mapping))


def _find(
    given: Sequence[pa.Field],
    field: pa.Field,
    mapping: ColumnMapping,
    siblings: Sequence[pa.Field],
) -> int | None:
    if mapping.mode == "id":
        wanted = mapping.field_id(field)
        found = [index for index, each in enumerate(given) if _id(each) == wanted]
        return found[0] if found else None
    name = mapping.physical_name(field)
    found = [index for index, each in enumerate(given) if each.name == name]
    if not found:
        others = {mapping.physical_name(each) for each in siblings}
        lower = name.lower()
        found = [
            index
            for index, each in enumerate(given)
            if each.name.lower() == lower and each.name not in others
        ]
    if len(found) > 1:
        names = ", ".join(repr(given[index].name) for index in found)
        raise CorruptLog(f"the file has several such columns: {names}", path="", version=None)
    return found[0] if found else None


def reads_as(file: pa.Schema, fields: Iterable[pa.Field]) -> bool:
    """Whether Arrow finds in a file what `adapter` does, if names are not mapped.

    Args:
        file: The file's Arrow schema.
        fields: Of the table's schema; not of the partitioning.
    """
    return _reads_as(list(file), list(fields))


def _reads_as(given: Sequence[pa.Field], fields: Sequence[pa.Field]) -> bool:
    by_name = {field.name: field.type for field in given}
    if len(by_name) < len(given):
        return False
    lower: set[str] | None = None
    for field in fields:
        source = by_name.get(field.name)
        if source is not None:
            if types.is_nested(field.type) and not _type_reads_as(source, field.type):
                return False
            continue
        lower = {name.lower() for name in by_name} if lower is None else lower
        if not field.nullable or field.name.lower() in lower:
            return False
    return True


def _type_reads_as(source: pa.DataType, target: pa.DataType) -> bool:
    if source == target:
        return True
    if types.is_struct(source) and types.is_struct(target):
        return _reads_as(list(source), list(target))
    if types.is_map(source) and types.is_map(target):
        return _type_reads_as(source.key_type, target.key_type) and _type_reads_as(
            source.item_type, target.item_type
        )
    if is_list(source) and is_list(target):
        return _type_reads_as(source.value_type, target.value_type)
    return True


def _id(field: pa.Field) -> int | None:
    text = (field.metadata or {}).get(FIELD_ID)
    # Arrow says -1 where a file does not say anything.
    return None if text is None or int(text) < 0 else int(text)


def _compile(source: pa.DataType, target: pa.DataType, mapping: ColumnMapping) -> Adapt:
    if types.is_null(source):
        return lambda array: nulls_of(target, len(array))
    if types.is_dictionary(source) or types.is_run_end_encoded(source):
        return _decoded(source, target, mapping)
    if isinstance(source, pa.BaseExtensionType):
        inner = _compile(source.storage_type, target, mapping)
        return lambda array: inner(array.storage)
    if types.is_struct(source) and types.is_struct(target):
        return _struct(source, target, mapping)
    if is_list(source) and types.is_list(target):
        return _list(source, target, mapping)
    if types.is_map(source) and types.is_map(target):
        return _map(source, target, mapping)
    if source == target:
        return lambda array: array
    if _family(source) is None or _family(source) != _family(target):
        raise CorruptLog(f"{source} where the table has {target}", path="", version=None)
    return lambda array: pc.cast(array, target)


def _family(kind: pa.DataType) -> str | None:
    """Types of one family are cast to one another, value by value checked; others are not."""
    return next((name for name, test in _FAMILIES.items() if test(kind)), None)


def _decoded(source: pa.DataType, target: pa.DataType, mapping: ColumnMapping) -> Adapt:
    inner = _compile(source.value_type, target, mapping)
    if types.is_run_end_encoded(source):
        return lambda array: inner(pc.run_end_decode(array))
    return lambda array: inner(array.dictionary_decode())


def _struct(source: pa.StructType, target: pa.StructType, mapping: ColumnMapping) -> Adapt:
    if is_variant(target):
        mapping = NO_MAPPING
        if source.get_field_index(_TYPED_VALUE) >= 0:
            raise UnsupportedTableFeature(
                "a file holds a shredded variant, which cannot be read", names=("variantShredding",)
            )
    given, fields = list(source), list(target)
    columns = [_column(given, field, mapping, fields) for field in fields]

    def adapt(array: pa.StructArray) -> pa.Array:
        children = array.flatten()
        parts = [
            each.adapt(pa.nulls(len(array)) if each.index is None else children[each.index])
            for each in columns
        ]
        return struct_of(parts, fields, _mask(array))

    return adapt


def _list(source: pa.DataType, target: pa.ListType, mapping: ColumnMapping) -> Adapt:
    inner = _compile(source.value_type, target.value_type, mapping)

    def adapt(array: pa.Array) -> pa.Array:
        return pa.ListArray.from_arrays(
            _offsets(array), inner(array.flatten()), type=target, mask=_mask(array)
        )

    return adapt


def _map(source: pa.MapType, target: pa.MapType, mapping: ColumnMapping) -> Adapt:
    keys = _compile(source.key_type, target.key_type, mapping)
    items = _compile(source.item_type, target.item_type, mapping)
    pair = pa.struct([source.key_field, source.item_field])
    entries = pa.list_(pa.field("entries", pair, nullable=False))

    def adapt(array: pa.MapArray) -> pa.Array:
        pairs = array.view(entries)
        raw_keys, raw_items = pairs.flatten().flatten()
        return pa.MapArray.from_arrays(
            _offsets(pairs), keys(raw_keys), items(raw_items), type=target, mask=_mask(array)
        )

    return adapt


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


def _offsets(array: pa.Array) -> pa.Array:
    """Offsets of an array of lists into its `flatten()`ed values, whatever its layout."""
    lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int32())
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
