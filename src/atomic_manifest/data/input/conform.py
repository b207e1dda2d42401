"""Every batch that is written has exactly the table's schema.

Columns match by name, in whatever order they come. A missing nullable column is all null; a missing
non-null one and a column the table lacks are refused, as is any type that could lose a value
(see `casting.is_lossless`). Metadata that pandas and others leave in a schema goes.

Error semantics: all that the schemas alone tell is raised by `conform` itself, before a batch is
pulled, as one `SchemaMismatch` naming every column at fault. What only values tell is raised while
reading: `NullsInColumn`, or `DataError` for a value that does not fit.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pyarrow as pa

from atomic_manifest.data.input.convert import Convert, check_names, check_no_nulls, converter
from atomic_manifest.errors import DataError, SchemaMismatch

ConvertBatch: TypeAlias = Callable[[pa.RecordBatch], pa.RecordBatch]

PIECE_ROWS = 1 << 17
PIECE_BYTES = 64 << 20
# Sizes of batches that share buffers of text views are overestimated: never cut finer than this.
_LEAST_PIECE_ROWS = 64


def conform(
    reader: pa.RecordBatchReader, schema: pa.Schema, *, coerce_timestamps: bool = False
) -> pa.RecordBatchReader:
    """Give the batches of `reader` the table's schema.

    Args:
        reader: What shall be written; it is read as the result is read.
        schema: The table's (`log.metadata.schema.canonical`) schema, partition columns included.
        coerce_timestamps: Drop the digits of timestamps below a microsecond, towards the past. By
            default they are an error.

    Returns:
        A reader of batches of exactly `schema`, of at most 131,072 rows and about 64 MiB each.

    Raises:
        SchemaMismatch: Columns are missing, unknown, given twice, or of a type that does not fit.
    """
    schema = schema.remove_metadata()
    convert = batch_converter(reader.schema, schema, coerce_timestamps=coerce_timestamps)
    return pa.RecordBatchReader.from_batches(
        schema, (convert(piece) for batch in reader for piece in _pieces(batch))
    )


def batch_converter(
    source: pa.Schema, target: pa.Schema, *, coerce_timestamps: bool = False
) -> ConvertBatch:
    """Compile what turns batches of `source` into batches of `target`. See `conform`."""
    steps = _compile(source, target, coerce_timestamps=coerce_timestamps)

    def convert(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = []
        for field, index, inner in steps:
            given = pa.nulls(batch.num_rows) if index is None else batch.column(index)
            try:
                column = inner(given)
            except pa.ArrowException as error:
                raise DataError(f"column {field.name!r}: {error}", column=field.name) from error
            if not field.nullable:
                check_no_nulls(column, field.name)
            columns.append(column)
        return pa.RecordBatch.from_arrays(columns, schema=target)

    return convert


def _compile(
    source: pa.Schema, target: pa.Schema, *, coerce_timestamps: bool
) -> list[tuple[pa.Field, int | None, Convert]]:
    given = {name: index for index, name in enumerate(source.names)}
    steps: list[tuple[pa.Field, int | None, Convert]] = []
    problem = check_names(source.names, list(target), "")
    problems = [problem] if problem else []
    for field in target:
        index = given.get(field.name)
        kind = pa.null() if index is None else source.field(index).type
        try:
            inner = converter(kind, field.type, field.name, coerce_timestamps=coerce_timestamps)
        except SchemaMismatch as error:
            problems.append((error.message, error.columns))
        else:
            steps.append((field, index, inner))
    if problems:
        raise SchemaMismatch(
            "; ".join(message for message, _ in problems),
            columns=tuple(name for _, columns in problems for name in columns),
        )
    return steps


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Slices of a batch, small enough for 32-bit offsets and for bounded memory when converted."""
    fitting = PIECE_BYTES * batch.num_rows // max(1, batch.nbytes)
    rows = min(PIECE_ROWS, max(_LEAST_PIECE_ROWS, fitting))
    if batch.num_rows <= rows:
        yield batch
        return
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)
