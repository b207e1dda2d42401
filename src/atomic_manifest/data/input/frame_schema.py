"""What a pandas frame knows of itself and a Delta schema does not, kept as a property of its table.

As Parquet files keep `ARROW:schema`, a table made from a frame keeps the Arrow schema and the pandas
metadata of those columns that would come back otherwise: levels of the index, extension dtypes such as
`Int64`, categoricals, time zones, nanoseconds, unsigned integers. Other engines pay no attention to it.

Invariants: only representation comes from it, never a value. A column that is no longer of the type that
the table had when it was made, or holds a value that does not fit, is read as what it is; so is the
whole table if the property is damaged. Not kept are nameless RangeIndexes, which speak of one frame only,
and the order of ordered categoricals.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from atomic_manifest.errors import AtomicManifestError
from atomic_manifest.log.metadata.evolution import of_rows
from atomic_manifest.log.metadata.schema import canonical

PROPERTY = "atomicManifest.arrowSchema"
"""The table property: base64 of a schema message of Arrow IPC."""

_PANDAS = b"pandas"
_NULLABLE = {pa.int64(): "Int64", pa.uint64(): "UInt64"}
_EXACT = 2**53
_DTYPES_OF_NUMPY = re.compile(
    r"object|str|bool|u?int\d+|float\d+|bytes\d*|(?:datetime|timedelta)64\[\w+\]"
)


def remembered(schema: pa.Schema) -> dict[str, str]:
    """The properties of a table that is made from rows of `schema`; none if they are of no frame."""
    index, columns = _facts(schema)
    fields = [
        field.remove_metadata()
        for field in schema
        if field.name in columns
        and (field.name in index or _is_telling(field.type, columns[field.name]))
    ]
    if not fields:
        return {}
    return {
        PROPERTY: _property(pa.schema(fields), index, [columns[field.name] for field in fields])
    }


def _property(schema: pa.Schema, index: Sequence[str], columns: Sequence[Mapping[str, Any]]) -> str:
    kept = _described(schema, index, columns)
    return base64.b64encode(kept.serialize().to_pybytes()).decode("ascii")


def learned(
    configuration: Mapping[str, str], schema: pa.Schema, names: Iterable[str]
) -> str | None:
    """The property with what rows of `schema` tell of new columns; None if they tell nothing.

    Args:
        configuration: The table's properties.
        schema: Of the rows that bring the columns.
        names: Of the columns that the table lacked.
    """
    known, news = _known(configuration), _known(remembered(schema))
    fields = [news.field(name) for name in names if name in news.names and name not in known.names]
    if not fields:
        return None
    index, columns = _facts(known)
    columns |= {name: facts for name, facts in _facts(news)[1].items() if name in set(names)}
    kept = [*known, *fields]
    return _property(pa.schema(kept), index, [columns[field.name] for field in kept])


def index_columns(configuration: Mapping[str, str]) -> tuple[str, ...]:
    """The columns that were levels of the frame's index."""
    return _facts(_known(configuration))[0]


def as_remembered(table: pa.Table, configuration: Mapping[str, str]) -> pa.Table:
    """The same rows in the types that the frame had, with what `to_pandas` needs to know. Uses pandas.

    Args:
        table: Columns of a table of ours, as it reads.
        configuration: The table's properties.
    """
    schema = _known(configuration)
    index, columns = _facts(schema)
    fitting = []
    for field in schema:
        at = table.schema.get_field_index(field.name)
        if (
            at < 0
            or table.schema.field(at).type != canonical(of_rows(pa.schema([field]))).field(0).type
        ):
            continue
        column = _cast(table.column(at), field.type)
        if column is not None:
            table = table.set_column(at, field.with_type(column.type), column)
            if field.name in columns and _is_known(columns[field.name]):
                fitting.append(field.name)
    described = _described(
        table.schema,
        [name for name in index if name in fitting],
        [columns[name] for name in fitting],
    )
    return table.replace_schema_metadata(described.metadata)


def to_frame(table: pa.Table, configuration: Mapping[str, str], options: Mapping[str, Any]) -> Any:
    """The rows as a pandas frame, as far as possible with the dtypes of the frame the table was made from.

    No number is rounded: integers beyond 2^53 among nulls, which would be floats, are of nullable dtypes
    or, below lists and structs, of Arrow's.

    Args:
        table: Columns of a table of ours, as it reads.
        configuration: The table's properties.
        options: For `pyarrow.Table.to_pandas`.
    """
    table = as_remembered(table, configuration)
    pandas = import_module("pandas")
    own: dict[pa.DataType, Any] = {}
    for type_ in (*_of_arrow(table.schema, configuration), *_nested_that_round(table)):
        own[type_] = pandas.ArrowDtype(type_)
    rounding = [] if options.get("integer_object_nulls") else _integers_that_round(table)
    if options.get("ignore_metadata"):
        types_ = {table.schema.field(name).type for name in rounding}
        own |= {type_: pandas.api.types.pandas_dtype(_NULLABLE[type_]) for type_ in types_}
    # Arrow would make a level of the index of floats again, whatever its dtype.
    levels = [] if options.get("ignore_metadata") else list(_facts(table.schema)[0])
    levels = levels if any(map(_rounds, table.select(levels).columns)) else []
    if not options.get("ignore_metadata"):
        table = _with_nullable(table, rounding, without_index=bool(levels))
    frame = table.to_pandas(**_mapping(options, own))
    return frame.set_index(levels) if levels else frame


def _mapping(options: Mapping[str, Any], own: Mapping[pa.DataType, Any]) -> Mapping[str, Any]:
    """The options with a `types_mapper` that knows our dtypes where the given one has none."""
    given = options.get("types_mapper")
    if not own:
        return options

    def mapper(type_: pa.DataType) -> Any:
        found = None if given is None else given(type_)
        return own.get(type_) if found is None else found

    return {**options, "types_mapper": mapper}


def _of_arrow(schema: pa.Schema, configuration: Mapping[str, str]) -> Iterator[pa.DataType]:
    """The types of columns that were of an `ArrowDtype` whose name pandas cannot read."""
    known = _known(configuration)
    for name, described in _facts(known)[1].items():
        at = schema.get_field_index(name)
        if at < 0 or not described["numpy_type"].endswith("[pyarrow]"):
            continue
        type_ = schema.field(at).type
        if type_ == known.field(name).type and not _is_known(described):
            yield type_


def _integers_that_round(table: pa.Table) -> list[str]:
    columns = _facts(table.schema)[1]
    return [
        field.name
        for field, column in zip(table.schema, table.columns, strict=True)
        if _is_of_numpy(columns.get(field.name)) and _rounds(column)
    ]


def _rounds(column: pa.ChunkedArray) -> bool:
    """Whether floats, which have NaN for the nulls, would be other numbers."""
    return column.type in _NULLABLE and bool(column.null_count) and _outdoes_floats(column)


def _is_of_numpy(described: Mapping[str, Any] | None) -> bool:
    return described is None or bool(_DTYPES_OF_NUMPY.fullmatch(described["numpy_type"]))


def _with_nullable(table: pa.Table, names: Sequence[str], *, without_index: bool) -> pa.Table:
    """With metadata that makes pandas take nullable dtypes for these columns."""
    if not names and not without_index:
        return table
    index, columns = _facts(table.schema)
    for name in names:
        dtype = _NULLABLE[table.schema.field(name).type]
        facts = {"name": name, "field_name": name, "pandas_type": dtype.lower(), "metadata": None}
        columns[name] = facts | {"numpy_type": dtype}
    index = () if without_index else index
    described = _described(table.schema, index, list(columns.values()))
    return table.replace_schema_metadata(described.metadata)


def _nested_that_round(table: pa.Table) -> Iterator[pa.DataType]:
    for field, column in zip(table.schema, table.columns, strict=True):
        if types.is_nested(field.type):
            leaves = [leaf for chunk in column.chunks for leaf in _leaves(chunk, has_nulls=False)]
            if any(has_nulls for _, has_nulls in leaves) and any(
                _outdoes_floats(leaf) for leaf, _ in leaves
            ):
                yield field.type


def _leaves(array: pa.Array, *, has_nulls: bool) -> Iterator[tuple[pa.Array, bool]]:
    """The integers of 64 bits below an array, and whether a null of theirs or above may touch them."""
    has_nulls = has_nulls or array.null_count > 0
    if array.type in _NULLABLE:
        yield array, has_nulls
    elif types.is_struct(array.type):
        for at in range(array.type.num_fields):
            yield from _leaves(array.field(at), has_nulls=has_nulls)
    elif types.is_map(array.type):
        yield from _leaves(array.keys, has_nulls=has_nulls)
        yield from _leaves(array.items, has_nulls=has_nulls)
    elif types.is_nested(array.type):
        yield from _leaves(array.values, has_nulls=has_nulls)


def _outdoes_floats(column: pa.Array | pa.ChunkedArray) -> bool:
    """Whether an integer is beyond those that are all floats, too."""
    found = pc.min_max(column).as_py()
    return found["min"] is not None and (found["min"] < -_EXACT or found["max"] > _EXACT)


def _described(
    schema: pa.Schema, index: Sequence[str], columns: Sequence[Mapping[str, Any]]
) -> pa.Schema:
    facts = {"index_columns": index, "column_indexes": [], "columns": columns}
    return schema.with_metadata({_PANDAS: json.dumps(facts)} if columns else None)


def _facts(schema: pa.Schema) -> tuple[tuple[str, ...], dict[str, dict[str, Any]]]:
    """The names of the index's levels and what pandas says of columns; of strange metadata, nothing."""
    try:
        found = json.loads((schema.metadata or {}).get(_PANDAS, b"{}"))
        index = tuple(name for name in found.get("index_columns", ()) if isinstance(name, str))
        columns = {str(each["field_name"]): each for each in found.get("columns", ())}
        if all(isinstance(each["numpy_type"], str) for each in columns.values()):
            return index, columns
    except (AttributeError, KeyError, TypeError, ValueError):
        return (), {}
    return (), {}


def _known(configuration: Mapping[str, str]) -> pa.Schema:
    try:
        message = base64.b64decode(configuration.get(PROPERTY, ""), validate=True)
        schema = pa.ipc.read_schema(pa.py_buffer(message)) if message else pa.schema([])
        canonical(of_rows(schema))
    except (ValueError, pa.ArrowException, AtomicManifestError):
        return pa.schema([])
    return schema


def _is_telling(type_: pa.DataType, described: Mapping[str, Any]) -> bool:
    """Whether a column would come back as something else than it was."""
    if types.is_dictionary(type_):
        return not type_.ordered
    if types.is_unsigned_integer(type_) or types.is_float16(type_):
        return True
    if types.is_timestamp(type_) and (type_.unit == "ns" or type_.tz not in (None, "UTC")):
        return True
    return not _DTYPES_OF_NUMPY.fullmatch(described["numpy_type"])


def _is_known(described: Mapping[str, Any]) -> bool:
    """Whether pandas knows the dtype: not the nested ones of Arrow, nor those of what is not installed."""
    try:
        import_module("pandas.api.types").pandas_dtype(described["numpy_type"])
    except (TypeError, NotImplementedError):
        return False
    return True


def _cast(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray | None:
    """The column as it was; None if a value does not fit."""
    try:
        if types.is_dictionary(type_):
            # As many categories as there are values now, not as fitted into the codes of the first frame.
            return column.cast(type_.value_type).dictionary_encode()
        found = column.cast(type_)
    except pa.ArrowException:
        return None
    # Arrow checks all other casts itself.
    if types.is_float16(type_) and not found.cast(column.type).equals(column):
        return None
    return found
