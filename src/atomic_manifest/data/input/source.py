"""Whatever holds rows, as one stream of record batches.

Invariants: nothing is pulled from a stream before it is asked for, save the first element of an
iterable, whose schema is needed; nothing is gathered. pandas is used only if the caller has imported
it. Inputs are told apart by what they are, pandas before the Arrow C interface, which would drop a
DataFrame's index in silence.

Error semantics: an input of a type that cannot be read, or that Arrow cannot convert, raises
`DataError` naming the type, and the column if one is at fault; an error of the input's own iterator
comes through as it is.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeAlias

import pyarrow as pa

from atomic_manifest.data.input.conform import BatchConverter
from atomic_manifest.data.input.frames import of_frame, of_mapping
from atomic_manifest.data.input.once import EVER, Inputs, used_up
from atomic_manifest.errors import DataError
from atomic_manifest.log.metadata.protocol_keys import without_protocol_keys

_NOT_OF_ARROW = ("Int128", "UInt128")

_Schema: TypeAlias = pa.Schema | Callable[[pa.Schema], pa.Schema] | None


def open_source(
    data: Any,
    *,
    schema: _Schema = None,
    preserve_index: bool | None = None,
    coerce_timestamps: bool = False,
    inputs: Inputs | None = None,
) -> pa.RecordBatchReader:
    """Read any tabular input as a stream of record batches.

    Args:
        data: A `pyarrow` Table, RecordBatch, RecordBatchReader, Dataset or Scanner; a pandas
            DataFrame; anything with `__arrow_c_stream__` or `__arrow_c_array__` (Polars, DuckDB); a
            mapping of column names to sequences; or an iterable, such as a generator, of any of these.
        schema: What the elements of an iterable are given, or what makes that of the first element's
            schema. By default the first element's, which an empty iterable lacks. Other inputs know
            their schema, and keep it.
        preserve_index: Of pandas input. None writes the named index levels as columns, and no
            unnamed one; True writes every level (`__index_level_0__` if unnamed); False none.
        coerce_timestamps: Of the elements of an iterable: see `conform`.
        inputs: What the work that this belongs to has read so far.

    Returns:
        A reader that reads the input as it is read.

    Raises:
        DataError: The input's type is not one of these, an iterable is empty and has no `schema`, or
            what gives its rows once was read before.
        SchemaMismatch: The first element of an iterable does not fit `schema`.
    """
    reader = _tabular(data, preserve_index=preserve_index)
    if reader is not None:
        return reader if inputs is None else _remembered(data, reader, inputs)
    if not isinstance(data, Iterable) or isinstance(data, str | bytes | bytearray | memoryview):
        raise _unreadable(data)
    items: Iterable[Any] = data
    if isinstance(data, Iterator):
        items = EVER.elements(data, items)
        items = items if inputs is None else inputs.elements(data, items)
    elements = (_element(item, preserve_index=preserve_index) for item in items)
    return _chained(elements, schema, coerce_timestamps=coerce_timestamps)


def _unreadable(data: Any) -> DataError:
    kind = type(data)
    return DataError(
        f"cannot read rows from {kind.__module__}.{kind.__qualname__}: give a pyarrow Table, "
        "RecordBatchReader or Dataset, a DataFrame, an object of the Arrow C interface, a mapping of "
        "columns, or an iterable of these"
    )


def _tabular(data: Any, *, preserve_index: bool | None) -> pa.RecordBatchReader | None:
    """A reader over one input, or None if it is none that has a schema.

    What the protocol says of another table's columns is no property of these rows.
    """
    reader = _with_schema(data, preserve_index=preserve_index)
    if reader is None:
        return None
    schema = without_protocol_keys(given := reader.schema)
    return reader if schema is given else pa.RecordBatchReader.from_batches(schema, reader)


def _with_schema(data: Any, *, preserve_index: bool | None) -> pa.RecordBatchReader | None:
    try:
        if _is_instance(data, "pandas", "DataFrame"):
            return of_frame(data, preserve_index=preserve_index)
        return _of_arrow(data) or _of_interface(data)
    except DataError as error:
        kind = type(data)
        message = f"cannot read {kind.__module__}.{kind.__qualname__}: {error}"
        raise DataError(message, **error.details) from error
    except (pa.ArrowException, TypeError, ValueError) as error:
        kind = type(data)
        raise DataError(f"cannot read {kind.__module__}.{kind.__qualname__}: {error}") from error


def _of_arrow(data: Any) -> pa.RecordBatchReader | None:
    if isinstance(data, pa.RecordBatchReader):
        return pa.RecordBatchReader.from_batches(data.schema, EVER.elements(data, data))
    if isinstance(data, pa.Table):
        return data.to_reader()
    if isinstance(data, pa.RecordBatch):
        return _of_batch(data)
    if _is_instance(data, "pyarrow.dataset", "Dataset"):
        return data.scanner().to_reader()
    if _is_instance(data, "pyarrow.dataset", "Scanner"):
        return _scanned(data)
    return None


def _scanned(scanner: Any) -> pa.RecordBatchReader:
    """The rows of a scanner. Over what gives its rows once Arrow tells, when asked for them."""

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from scanner.to_reader()
        except pa.ArrowInvalid as error:
            if "already scanned" not in str(error):
                raise
            raise used_up(scanner, "it was scanned before") from error

    return pa.RecordBatchReader.from_batches(scanner.projected_schema, batches())


def _remembered(data: Any, reader: pa.RecordBatchReader, inputs: Inputs) -> pa.RecordBatchReader:
    if isinstance(data, pa.RecordBatchReader):
        return pa.RecordBatchReader.from_batches(reader.schema, inputs.elements(data, reader))
    return inputs.stream(data, reader) if hasattr(data, "__arrow_c_stream__") else reader


def _of_interface(data: Any) -> pa.RecordBatchReader | None:
    if _is_instance(data, "polars", "DataFrame"):
        _check_polars(data)
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data)
    if hasattr(data, "__arrow_c_array__"):
        return _of_batch(pa.record_batch(data))
    if isinstance(data, Mapping):
        return of_mapping(data)
    return None


def _check_polars(frame: Any) -> None:
    """Refuse columns of Python objects, whose addresses Polars gives Arrow, and of no type of Arrow."""
    polars = sys.modules["polars"]
    for name, kind in frame.schema.items():
        if kind == polars.Object:
            raise DataError(f"column {name!r} holds Python objects", column=name)
        if str(kind) in _NOT_OF_ARROW:
            raise DataError(f"column {name!r} is {kind}, which Arrow has not", column=name)


def _is_instance(data: Any, module: str, name: str) -> bool:
    """`isinstance` that imports nothing: an object of a class exists only if its module does."""
    loaded = sys.modules.get(module)
    kind = getattr(loaded, name, None)
    return kind is not None and isinstance(data, kind)


def _of_batch(batch: pa.RecordBatch) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(batch.schema, [batch])


def _element(item: Any, *, preserve_index: bool | None) -> pa.RecordBatchReader:
    reader = _tabular(item, preserve_index=preserve_index)
    if reader is None:
        raise _unreadable(item)
    return reader


def _chained(
    readers: Iterator[pa.RecordBatchReader], schema: _Schema, *, coerce_timestamps: bool
) -> pa.RecordBatchReader:
    first = next(readers, None)
    if first is None:
        wanted = schema(pa.schema([])) if callable(schema) else schema
        if wanted is None:
            raise DataError("the iterable of batches is empty: give `schema`")
        return pa.RecordBatchReader.from_batches(wanted, [])
    wanted = schema(first.schema) if callable(schema) else schema
    target = first.schema if wanted is None else wanted
    BatchConverter(first.schema, target, coerce_timestamps=coerce_timestamps)
    batches = _batches(chain([first], readers), target, coerce_timestamps=coerce_timestamps)
    return pa.RecordBatchReader.from_batches(target, batches)


def _batches(
    readers: Iterator[pa.RecordBatchReader], target: pa.Schema, *, coerce_timestamps: bool
) -> Iterator[pa.RecordBatch]:
    """The batches of all readers, each given the schema `target`."""
    source, convert, rows = None, None, 0
    for reader in readers:
        if convert is None or reader.schema != source:
            source = reader.schema
            convert = BatchConverter(source, target, coerce_timestamps=coerce_timestamps, rows=rows)
        yield from convert.all(reader)
        rows = convert.rows
