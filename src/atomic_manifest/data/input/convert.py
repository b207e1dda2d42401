"""From one Arrow type to another without changing a value: compiled per column, applied per array.

Invariants: the function that `converter` returns gives arrays of exactly the target's type. Structs match
their fields by name, which `converter` checks before there is data and raises `SchemaMismatch`. Types
decide nothing more: whatever is null, or has no rows, fits. No value ever changes in silence: a value of
another kind than the target's raises `SchemaMismatch`, one that has no equal there `DataError`; values
below a null struct, list or map do not count. Nulls where the target is non-null raise `NullsInColumn`.
Every error names the column by its dotted path (`a.b`, `tags.element`, `m.key`).

Nested arrays are taken apart and put together here rather than by Arrow's own casts: those lose rows
(from views of lists) and know nothing of non-null fields.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from atomic_manifest.data.input.casting import is_list, may_fit
from atomic_manifest.data.input.numbers import is_number, number_cast
from atomic_manifest.data.input.structs import nulls_of, pairs_of, struct_of
from atomic_manifest.errors import DataError, InvalidSchema, NullsInColumn, SchemaMismatch
from atomic_manifest.log.metadata.evolution import is_void
from atomic_manifest.log.metadata.schema import canonical, meaning

Convert: TypeAlias = Callable[[pa.Array], pa.Array]
_Compile: TypeAlias = Callable[[pa.DataType, pa.DataType, str], Convert]


def converter(
    source: pa.DataType, target: pa.DataType, path: str, *, coerce_timestamps: bool = False
) -> Convert:
    """Compile the conversion of one column.

    Args:
        source: Type of the arrays to come.
        target: Type they shall have.
        path: The column's name, for errors.
        coerce_timestamps: Drop the digits of timestamps that the target's unit cannot hold, towards
            the past, instead of refusing them.

    Raises:
        SchemaMismatch: A struct has fields that the target's lacks, or lacks one that is required.
    """
    if source == target and types.is_decimal(target):
        return partial(_validated, path=path)
    if source == target and not _has_required_fields(target) and not _holds_decimals(target):
        return _same
    inner = partial(converter, coerce_timestamps=coerce_timestamps)
    if nested := _nested(inner, source, target, path):
        return nested
    if (plain := _plain(target)) != target:
        laid_out = partial(_cast, cast=partial(_laid_out, target=target), path=path)
        as_plain = inner(source, plain, path)
        return lambda array: laid_out(as_plain(array))
    if types.is_nested(source) or types.is_nested(target) or not may_fit(source, target):
        return Unlike(source, target, path)
    if types.is_timestamp(target):
        return _timestamp(source, target, path, coerce=coerce_timestamps)
    cast = (
        number_cast(source, target) if is_number(target) else partial(pc.cast, target_type=target)
    )
    return partial(_cast, cast=cast, path=path)


@dataclass(frozen=True, slots=True)
class Unlike:
    """The conversion from a type that has no value of the target's: only nulls have a counterpart."""

    source: pa.DataType
    target: pa.DataType
    path: str

    def __call__(self, array: pa.Array) -> pa.Array:
        """Nulls, as many as were given.

        Raises:
            SchemaMismatch: There is a value.
        """
        if array.null_count < len(array):
            raise self.mismatch()
        return nulls_of(self.target, len(array))

    def mismatch(self) -> SchemaMismatch:
        """What is wrong with a value."""
        hint = ""
        if types.is_null(self.target):
            hint = "; schema_mode='merge' gives a table's column one, the first batch a new table's"
        target = "without a type" if hint else str(self.target)
        message = f"column {self.path!r} is {target}, got {self.source}{hint}"
        return SchemaMismatch(message, columns=(self.path,))


def _nested(
    compile_: _Compile, source: pa.DataType, target: pa.DataType, path: str
) -> Convert | None:
    """The conversion of a type made of other types; None for leaves and for unlike types."""
    if types.is_dictionary(source) or types.is_run_end_encoded(source):
        return _decoded(compile_, source, target, path)
    if isinstance(source, pa.BaseExtensionType) and (meant := meaning(source)) is not None:
        inner = compile_(meant, target, path)
        return lambda array: inner(array.storage.cast(meant))
    if types.is_struct(source) and types.is_struct(target):
        return _struct(compile_, source, target, path)
    if is_list(source) and types.is_list(target):
        return _list(compile_, source, target, path)
    if types.is_map(source) and types.is_map(target):
        return _map(compile_, source, target, path)
    return None


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type in the layout that a table has, for the layouts of which only Arrow's casts make arrays."""
    if not (types.is_dictionary(kind) or types.is_run_end_encoded(kind) or is_list(kind)):
        return kind
    try:
        return canonical(pa.schema([("", kind)])).field(0).type
    except InvalidSchema:
        return kind


def _laid_out(array: pa.Array, target: pa.DataType) -> pa.Array:
    """The same values in the target's layout."""
    if types.is_run_end_encoded(target):
        return pc.run_end_encode(pc.cast(array, target.value_type), target.run_end_type)
    return pc.cast(array, target)


def check_no_nulls(array: pa.Array, path: str) -> None:
    """Refuse nulls in an array.

    Raises:
        NullsInColumn: Naming `path`.
    """
    if array.null_count:
        message = f"column {path!r} is non-null, got {array.null_count} nulls"
        raise NullsInColumn(message, column=path)


def check_names(
    given: Sequence[str], fields: Collection[pa.Field], place: str
) -> tuple[str, tuple[str, ...]] | None:
    """What is wrong with the names of a schema or struct: (message, columns), or None.

    Args:
        given: Names that came.
        fields: The fields that are wanted; nullable ones may be missing.
        place: Dotted path of the struct with a dot at its end; empty for the table itself.
    """
    wanted, counts = {field.name for field in fields}, Counter(given)
    problems = {
        "more than once": [name for name, count in counts.items() if count > 1],
        "not in the table (schema_mode='merge' adds those of the first batch)": [
            name for name in counts if name not in wanted
        ],
        "missing and non-null": [
            field.name for field in fields if not field.nullable and field.name not in counts
        ],
    }
    text = [
        f"{problem}: {', '.join(_said(name, place, wanted) for name in names)}"
        for problem, names in problems.items()
        if names
    ]
    if not text:
        return None
    columns = dict.fromkeys(place + name for names in problems.values() for name in names)
    return f"columns {'; '.join(text)}", tuple(columns)


def _said(name: str, place: str, wanted: Collection[str]) -> str:
    """A name for a message, with the one of the table that it may be meant to be."""
    meant = next((each for each in wanted if each.lower() == name.lower() and each != name), None)
    return repr(place + name) + ("" if meant is None else f" (the table has {meant!r})")


def _same(array: pa.Array) -> pa.Array:
    return array


def _validated(array: pa.Array, path: str) -> pa.Array:
    """The same array, if it holds what its type says: some give more digits than they declare."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DataError(f"column {path!r}: {error}", column=path) from error
    return array


def _cast(array: pa.Array, cast: Convert, path: str) -> pa.Array:
    try:
        return cast(array)
    except (pa.ArrowInvalid, pa.ArrowCapacityError, DataError) as error:
        raise DataError(f"column {path!r}: {error}", column=path) from error


def _has_required_fields(kind: pa.DataType) -> bool:
    """Whether anything nested in a type is declared non-null (keys of maps always are)."""
    if types.is_map(kind):
        return not kind.item_field.nullable or any(
            map(_has_required_fields, (kind.key_type, kind.item_type))
        )
    if types.is_run_end_encoded(kind):
        return _has_required_fields(kind.value_type)
    fields = [kind.field(index) for index in range(kind.num_fields)]
    return any(not field.nullable or _has_required_fields(field.type) for field in fields)


def _holds_decimals(kind: pa.DataType) -> bool:
    """Whether a type is a decimal or made of some."""
    if types.is_map(kind):
        return _holds_decimals(kind.key_type) or _holds_decimals(kind.item_type)
    inner = (kind.field(index).type for index in range(kind.num_fields))
    return bool(types.is_decimal(kind)) or any(map(_holds_decimals, inner))


def _decoded(compile_: _Compile, source: pa.DataType, target: pa.DataType, path: str) -> Convert:
    held = _takeable(source.value_type)
    inner = compile_(held, target, path)
    # Only the values in use are converted: there may be more, and bad ones.
    if types.is_run_end_encoded(source):
        return lambda array: inner(array.values.cast(held).take(_runs(array)))
    return lambda array: inner(array.dictionary.cast(held).take(array.indices))


def _runs(array: pa.RunEndEncodedArray) -> pa.Array:
    """Which of the values each row has: Arrow decodes runs of numbers, but not of views or dictionaries."""
    numbers = pa.array(range(len(array.values)), pa.int32())
    runs = pa.RunEndEncodedArray.from_arrays(array.run_ends, numbers)
    return pc.run_end_decode(runs.slice(array.offset, len(array)))


def _takeable(kind: pa.DataType) -> pa.DataType:
    """Arrow cannot take from views: the same values in a layout it can."""
    if types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if types.is_binary_view(kind) else kind


def _timestamp(
    source: pa.TimestampType, target: pa.TimestampType, path: str, *, coerce: bool
) -> Convert:
    # The instant is an integer; going through "no zone" keeps the time zone database out of it.
    naive, wanted = pa.timestamp(source.unit), pa.timestamp(target.unit)
    units = {"s": "second", "ms": "millisecond", "us": "microsecond", "ns": "nanosecond"}
    cast = partial(pc.cast, target_type=wanted)
    finer = list(units).index(source.unit) > list(units).index(target.unit)

    def convert(array: pa.Array) -> pa.Array:
        values = array.view(naive)
        if coerce and finer:
            values = pc.floor_temporal(values, unit=units[target.unit])
        return _cast(values, cast, path).view(target)

    return convert


def _struct(compile_: _Compile, source: pa.StructType, target: pa.StructType, path: str) -> Convert:
    fields = [target.field(index) for index in range(target.num_fields)]
    given = {source.field(index).name: index for index in range(source.num_fields)}
    known = {field.name for field in fields}
    names = [each.name for each in source if each.name in known or not is_void(each.type)]
    if problem := check_names(names, fields, f"{path}."):
        raise SchemaMismatch(problem[0], columns=problem[1])
    steps = [
        (
            field,
            given.get(field.name),
            compile_(
                source.field(given[field.name]).type if field.name in given else pa.null(),
                field.type,
                f"{path}.{field.name}",
            ),
        )
        for field in fields
    ]

    def convert(array: pa.StructArray) -> pa.Array:
        # `flatten` makes a child null where the struct is: values there do not count.
        children, columns = array.flatten(), []
        for field, index, inner in steps:
            child = inner(pa.nulls(len(array)) if index is None else children[index])
            if not field.nullable:
                seen = child.filter(array.is_valid()) if child.null_count else child
                check_no_nulls(seen, f"{path}.{field.name}")
            columns.append(child)
        return struct_of(columns, fields, _mask(array))

    return convert


def _list(compile_: _Compile, source: pa.DataType, target: pa.ListType, path: str) -> Convert:
    element, inside = target.value_field, f"{path}.element"
    inner = compile_(source.value_type, element.type, inside)

    def convert(array: pa.Array) -> pa.Array:
        values = inner(array.flatten())
        if not element.nullable:
            check_no_nulls(values, inside)
        return pa.ListArray.from_arrays(
            _offsets(array, path), values, type=target, mask=_mask(array)
        )

    return convert


def _map(compile_: _Compile, source: pa.MapType, target: pa.MapType, path: str) -> Convert:
    keys = compile_(source.key_type, target.key_type, f"{path}.key")
    items = compile_(source.item_type, target.item_type, f"{path}.value")

    def convert(array: pa.MapArray) -> pa.Array:
        pairs = pairs_of(array)
        raw_keys, raw_values = pairs.flatten().flatten()
        values = items(raw_values)
        if not target.item_field.nullable:
            check_no_nulls(values, f"{path}.value")
        return pa.MapArray.from_arrays(
            _offsets(pairs, path), keys(raw_keys), values, type=target, mask=_mask(array)
        )

    return convert


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


def _offsets(array: pa.Array, path: str) -> pa.Array:
    """Offsets of an array of lists into its `flatten()`ed values, whatever its layout."""
    lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64())
    ends = pc.cumulative_sum(lengths)
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
    return _cast(offsets, partial(pc.cast, target_type=pa.int32()), path)
