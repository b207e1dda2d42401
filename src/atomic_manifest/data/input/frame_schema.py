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
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import pyarrow as pa
from pyarrow import types

from atomic_manifest.errors import AtomicManifestError
from atomic_manifest.log.metadata.schema import canonical

PROPERTY = "atomicManifest.arrowSchema"
"""The table property: base64 of a schema message of Arrow IPC."""

_PANDAS = b"pandas"
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
    kept = _described(pa.schema(fields), index, [columns[field.name] for field in fields])
    return {PROPERTY: base64.b64encode(kept.serialize().to_pybytes()).decode("ascii")}


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
        if at < 0 or table.schema.field(at).type != canonical(pa.schema([field])).field(0).type:
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
        canonical(schema)
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
    except TypeError:
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
