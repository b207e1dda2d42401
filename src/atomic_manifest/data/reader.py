"""A snapshot as a `pyarrow.dataset.Dataset`.

Invariants: making the dataset makes no request beyond what `snapshot.files()` needs. Its schema is the
table's: columns a file lacks, and `void` columns, read as null; partition columns come from the log.
Files are in the log's order. With a filter, files of partitions it excludes are left out, and the
dataset gives only rows that pass.

Error semantics: `CorruptLog` for a path that leaves the table or a partition value that is not of its
column's type; `UnsupportedTableFeature` for a file with a deletion vector; `InvalidFilter`.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import fs

from atomic_manifest.data.filesystem import to_filesystem
from atomic_manifest.data.filters import Filter, to_expression
from atomic_manifest.errors import CorruptLog, DataError, UnsupportedTableFeature
from atomic_manifest.log.partition import parse
from atomic_manifest.log.path import decode_file_path
from atomic_manifest.log.snapshot import Snapshot
from atomic_manifest.store.object_store import ObjectStore

_Values: TypeAlias = tuple[str | None, ...]

_COLUMNS = ["path", "partition_values", "size", "deletion_vector"]

# Spark writes timestamps as INT96, which Arrow would read as nanoseconds and so overflow.
_READ_OPTIONS = ds.ParquetReadOptions(coerce_int96_timestamp_unit="us")


def to_dataset(
    store: ObjectStore,
    snapshot: Snapshot,
    *,
    filter: Filter = None,
    only: pa.Table | None = None,
) -> ds.Dataset:
    """The table at a snapshot, to scan with pyarrow, DuckDB or Polars.

    Args:
        store: Rooted at the table.
        snapshot: The version to read.
        filter: Rows to keep; see `filters.Filter`.
        only: Rows of `snapshot.files()`: the files to read; None for all.
    """
    schema, columns = snapshot.schema, snapshot.partition_columns
    expression = to_expression(filter, schema)
    files = snapshot.files(_COLUMNS) if only is None else only.select(_COLUMNS)
    if files["deletion_vector"].null_count < files.num_rows:
        raise UnsupportedTableFeature(
            "files with deletion vectors cannot be read", names=("deletionVectors",)
        )
    values = _partition_values(files, columns)
    kept = _partitions(values, columns, schema, expression, snapshot.version)
    paths = [decode_file_path(path, version=snapshot.version) for path in files["path"].to_pylist()]
    sizes = dict(zip(paths, files["size"].to_pylist(), strict=True))
    filesystem = to_filesystem(store, sizes=sizes)
    parquet = ds.ParquetFileFormat(read_options=_READ_OPTIONS)
    fragments = [
        parquet.make_fragment(
            path, filesystem, partition_expression=kept[value], file_size=sizes[path]
        )
        for path, value in zip(paths, values, strict=True)
        if value in kept
    ]
    dataset = ds.FileSystemDataset(fragments, schema, parquet, filesystem)
    return dataset if expression is None else dataset.filter(expression)


def _partition_values(files: pa.Table, columns: Sequence[str]) -> list[_Values]:
    """The raw partition values of each file, in the order of `columns`; absent is null."""
    lookups = [
        pc.map_lookup(files["partition_values"], pa.scalar(name), "first") for name in columns
    ]
    if not lookups:
        return [()] * files.num_rows
    return list(zip(*(lookup.to_pylist() for lookup in lookups), strict=True))


def _partitions(
    values: Sequence[_Values],
    columns: Sequence[str],
    schema: pa.Schema,
    filter: pc.Expression | None,
    version: int,
) -> Mapping[_Values, pc.Expression]:
    """What each partition that can hold rows of `filter` guarantees of its rows."""
    fields = [schema.field(name) for name in columns]
    expressions = {value: _guarantee(value, fields, version) for value in dict.fromkeys(values)}
    if filter is None or not columns:
        return expressions
    # Arrow itself decides what a partition rules out: one empty stand-in for each is never read.
    parquet, nowhere = ds.ParquetFileFormat(), fs.LocalFileSystem()
    stand_ins = [
        parquet.make_fragment(str(number), nowhere, partition_expression=expression)
        for number, expression in enumerate(expressions.values())
    ]
    partitions = list(expressions)
    found = ds.FileSystemDataset(stand_ins, schema, parquet, nowhere).get_fragments(filter)
    kept = {partitions[int(fragment.path)] for fragment in found}
    return {value: expression for value, expression in expressions.items() if value in kept}


def _guarantee(values: _Values, fields: Sequence[pa.Field], version: int) -> pc.Expression:
    parts = [_equals(field, value, version) for field, value in zip(fields, values, strict=True)]
    return reduce(and_, parts) if parts else pc.scalar(value=True)


def _equals(field: pa.Field, value: str | None, version: int) -> pc.Expression:
    try:
        scalar = parse(value, field.type)
    except DataError as error:
        raise CorruptLog(
            f"partition column {field.name!r}: {error}", path="", version=version
        ) from error
    column = pc.field(field.name)
    return column == scalar if scalar.is_valid else column.is_null()
