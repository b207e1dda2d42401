"""Rows to row groups, each a Parquet file of its own (see `joining`), with a dictionary for columns that
are worth one.

Arrow builds a dictionary for every column and writes it, until it is too large. Where values hardly
repeat that costs more than all other encoding together, and makes the file larger. So a sample of the
rows is asked first. What the caller says of dictionaries and encodings wins.

Invariant: the same rows and choices give the same bytes.

Error semantics: `DataError` for options that Arrow does not take; what it raises while it encodes comes
through.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from atomic_manifest.data.write.floats import Floats, floats_of
from atomic_manifest.data.write.joining import Encoded, encoded
from atomic_manifest.data.write.options import CODEC, WriteOptions
from atomic_manifest.errors import DataError
from atomic_manifest.log.stats.footer import Indexed, covered
from atomic_manifest.log.stats.indexed import INDEXED_COLUMNS

_OF_ENCODINGS = frozenset({"use_dictionary", "column_encoding", "use_byte_stream_split"})

_RUN = 64
"""Rows that are next to each other in a sample: some columns repeat there, others over all rows."""

_SAMPLE = 512
_SHARE = 64
"""One row of so many is in the sample, and `_SAMPLE` at least."""

_TOO_MANY = 0.97
"""Distinct values of a sample, beyond which the dictionary of a large row group would be given up for its
size after all (`dictionary_pagesize_limit`)."""

_WORTH = 3
"""Times that a value must occur for a dictionary to pay: below, a codec does as well without."""


class RowGroupEncoder:
    """Encodes row groups of one schema. May be used by several threads at the same time.

    Args:
        schema: Of the rows.
        options: See `WriteOptions`.
        indexed: The columns with statistics, if the options do not say how many.

    Raises:
        DataError: Arrow does not take the options, for this schema.
    """

    def __init__(
        self, schema: pa.Schema, options: WriteOptions, indexed: Indexed = INDEXED_COLUMNS
    ) -> None:
        self._schema = schema
        self._options = options
        indexed = indexed if options.indexed_columns is None else options.indexed_columns
        self._covered = frozenset(
            path for path, type_ in covered(schema, indexed) if types.is_floating(type_)
        )
        self._chooses = not _OF_ENCODINGS & options.parquet.keys()
        self._sampled = [field.name for field in schema if _can_be_counted(field.type)]
        others = [field for field in schema if field.name not in self._sampled]
        self._others = _leaves(pa.schema(others)) if self._chooses and others else []
        if options.parquet or options.compression != CODEC:
            _check(schema, options)

    def worth_dictionary(self, rows: pa.Table) -> Sequence[str]:
        """What Parquet calls the columns that get a dictionary; none if the caller of it all says so."""
        if not self._chooses:
            return ()
        return [*self._others, *_repeating(rows.select(self._sampled))]

    def encode(self, rows: pa.Table, dictionaries: Sequence[str] | None = None) -> Encoded:
        """Encode rows as one row group, or as several of the largest size; no rows as none.

        Args:
            rows: Of the schema.
            dictionaries: The columns that get one; what `worth_dictionary` says by default.
        """
        # The system's pool moves pages to let a buffer grow; others copy it, and keep what they had.
        out = pa.BufferOutputStream(pa.system_memory_pool())
        collected: list[pq.FileMetaData] = []
        arguments = self._options.writer_arguments()
        if self._chooses:
            given = self.worth_dictionary(rows) if dictionaries is None else dictionaries
            arguments["use_dictionary"] = [*given]
        floats = floats_of(rows)
        if floats.leaves:
            arguments["write_statistics"] = self._bounded(floats)
        writer = pq.ParquetWriter(out, self._schema, metadata_collector=collected, **arguments)
        try:
            if rows.num_rows:
                writer.write_table(rows, row_group_size=self._options.max_rows_per_group)
        except BaseException:
            writer.is_open = False  # or it would be closed once more, and fail in another way
            raise
        writer.close()
        file, (metadata,) = memoryview(out.getvalue()), collected
        return encoded(
            file,
            metadata,
            floats.nan_free & self._covered,
            floats.unsaid,
            indexed=self._options.writes_indexes,
        )

    def _bounded(self, floats: Floats) -> list[str] | bool:
        """What Parquet calls the columns that get bounds: of those that shall, all but some floats."""
        given = self._options.parquet.get("write_statistics", True)
        if given is False:
            return False
        names = _leaves(self._schema, **self._options.writer_arguments())
        # By name, for one name may be that of two: a field, and a column with a dot.
        without = {names[position] for position in floats.leaves}
        return [name for name in names if name not in without and (given is True or name in given)]


def _can_be_counted(type_: pa.DataType) -> bool:
    """Whether distinct values can be counted, and a dictionary be made of them."""
    return not types.is_boolean(type_) and (
        types.is_primitive(type_)
        or types.is_decimal128(type_)
        or types.is_string(type_)
        or types.is_large_string(type_)
        or types.is_binary(type_)
        or types.is_large_binary(type_)
        or types.is_fixed_size_binary(type_)
    )


def _leaves(schema: pa.Schema, **arguments: Any) -> list[str]:
    """What Parquet calls the leaves of all columns."""
    metadata = _empty_file(schema, **arguments)
    return [metadata.schema.column(index).path for index in range(metadata.num_columns)]


def _check(schema: pa.Schema, options: WriteOptions) -> None:
    try:
        _empty_file(schema, **options.writer_arguments())
    except (TypeError, ValueError, OSError, pa.ArrowException) as error:
        raise DataError(f"Arrow does not take these options of a Parquet file: {error}") from error


def _empty_file(schema: pa.Schema, **arguments: Any) -> pq.FileMetaData:
    collected: list[pq.FileMetaData] = []
    out = pa.BufferOutputStream()
    pq.ParquetWriter(out, schema, metadata_collector=collected, **arguments).close()
    return collected[0]


def _repeating(rows: pa.Table) -> list[str]:
    """The columns whose values occur more than once."""
    sample = _sample(rows)
    # Of values that occur three times each, the share that meets none of its kind in the sample; all
    # rows are in the sample of a few.
    most = min(_TOO_MANY, max(1 - sample.num_rows / max(1, rows.num_rows), 1 / _WORTH))
    names = []
    for name, column in zip(sample.column_names, sample.columns, strict=True):
        nulls = column.null_count
        distinct = len(column.unique()) - (nulls > 0)
        if distinct <= most * (len(column) - nulls):
            names.append(name)
    return names


def _sample(rows: pa.Table) -> pa.Table:
    """Some runs of the rows, spread over all."""
    runs = max(_SAMPLE, rows.num_rows // _SHARE) // _RUN
    if rows.num_rows <= runs * _RUN:
        return rows
    starts = (index * (rows.num_rows - _RUN) // (runs - 1) for index in range(runs))
    return pa.concat_tables(rows.slice(start, _RUN) for start in starts)
