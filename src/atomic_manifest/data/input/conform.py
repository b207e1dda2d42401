"""Every batch that is written has exactly the table's schema.

Columns match by name, in whatever order they come. A missing nullable column is all null; a missing
non-null one and a column the table lacks are refused, as is any value that the column's type does not
hold (see `convert`). Metadata that pandas and others leave in a schema goes.

Error semantics: wrong names are told by the schemas alone, and raised by `conform` itself, before a batch
is pulled, as one `SchemaMismatch` naming every column at fault. What only values tell is raised while
reading: `SchemaMismatch` for those of another kind, `NullsInColumn`, or `DataError` for one that does not
fit, with its row.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import pyarrow as pa

from atomic_manifest.data.input.convert import (
    Convert,
    Unlike,
    check_names,
    check_no_nulls,
    converter,
)
from atomic_manifest.data.input.pieces import pieces
from atomic_manifest.errors import DataError, NullsInColumn, SchemaMismatch
from atomic_manifest.log.metadata.evolution import is_void

_Problems: TypeAlias = list[tuple[str, tuple[str, ...]]]


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
    convert = BatchConverter(reader.schema, schema, coerce_timestamps=coerce_timestamps)
    return pa.RecordBatchReader.from_batches(schema, convert.all(reader))


class BatchConverter:
    """Turns batches of one schema into batches of another. See `conform`.

    Args:
        source: The schema that batches have.
        target: The schema to give them.
        coerce_timestamps: See `conform`.
        rows: How many came before, in errors.

    Attributes:
        rows: How many came so far.

    Raises:
        SchemaMismatch: See `conform`.
    """

    def __init__(
        self,
        source: pa.Schema,
        target: pa.Schema,
        *,
        coerce_timestamps: bool = False,
        rows: int = 0,
    ) -> None:
        self.rows = rows
        self._target = target
        self._steps = _compile(source, target, coerce_timestamps=coerce_timestamps)

    def all(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pieces of batches, converted: of at most 131,072 rows and about 64 MiB each."""
        for batch in batches:
            yield from map(self._converted, pieces(batch))

    def _converted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns, problems = [], _Problems()
        for field, index, convert in self._steps:
            given = pa.nulls(batch.num_rows) if index is None else batch.column(index)
            try:
                column = convert(given)
            except SchemaMismatch as error:
                problems.append((error.message, error.columns))
                continue
            except (NullsInColumn, pa.ArrowException, DataError) as error:
                raise self._refusal(error, given, convert, field.name) from error
            if not field.nullable:
                check_no_nulls(column, field.name)
            columns.append(column)
        _raise_if(problems)
        self.rows += batch.num_rows
        return pa.RecordBatch.from_arrays(columns, schema=self._target)

    def _refusal(
        self, error: Exception, given: pa.Array, convert: Convert, column: str
    ) -> DataError:
        """What is wrong with the first row that cannot be converted."""
        if isinstance(error, NullsInColumn):
            return error
        fit, end = 0, len(given)  # so many do, and so many do not
        while fit + 1 < end:
            middle = (fit + end) // 2
            try:
                convert(given.slice(0, middle))
                fit = middle
            except (pa.ArrowException, DataError) as earlier:
                error, end = earlier, middle
        message = str(error) if isinstance(error, DataError) else f"column {column!r}: {error}"
        row = self.rows + end - 1
        name = getattr(error, "column", column)
        return DataError(f"{message}, in row {row} (counted from 0)", column=name, row=row)


def _compile(
    source: pa.Schema, target: pa.Schema, *, coerce_timestamps: bool
) -> list[tuple[pa.Field, int | None, Convert]]:
    known = {field.name for field in target}
    # What has neither a type nor a value is as good as missing.
    names = [each.name for each in source if each.name in known or not is_void(each.type)]
    given = {name: index for index, name in enumerate(source.names)}
    steps: list[tuple[pa.Field, int | None, Convert]] = []
    problem = check_names(names, list(target), "")
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
        unlike = (step for _, _, step in steps if isinstance(step, Unlike))
        problems += [
            (each.mismatch().message, (each.path,))
            for each in unlike
            if not pa.types.is_null(each.source)
        ]
    _raise_if(problems)
    return steps


def _raise_if(problems: _Problems) -> None:
    if problems:
        raise SchemaMismatch(
            "; ".join(message for message, _ in problems),
            columns=tuple(name for _, columns in problems for name in columns),
        )
