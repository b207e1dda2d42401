"""A snapshot as a `pyarrow.dataset.Dataset`.

Invariants: making the dataset makes no request beyond what `snapshot.files()` needs. Its schema is the
table's: columns a file lacks, and `void` columns, read as null; partition columns come from the log.
Files are in the log's order, those first that Arrow reads on its own; with a deletion vector or mapped
columns it cannot (see `files`). With a filter, files of partitions it excludes are left out, and the
dataset gives only rows that pass.

Error semantics: `CorruptLog` for a path that leaves the table or a partition value that is not of its
column's type; `InvalidFilter`; while reading, see `files`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import fs

from atomic_manifest.data.files import DataFile, FileReader
from atomic_manifest.data.filesystem import to_filesystem
from atomic_manifest.data.filters import Filter, to_expression
from atomic_manifest.data.table_dataset import Parts, TableDataset
from atomic_manifest.errors import CorruptLog, DataError
from atomic_manifest.log.actions import DeletionVector
from atomic_manifest.log.partition import parse
from atomic_manifest.log.path import decode_file_path
from atomic_manifest.log.schema import is_variant, walk
from atomic_manifest.log.snapshot import Snapshot
from atomic_manifest.store.object_store import ObjectStore

_Values: TypeAlias = tuple[str | None, ...]

_FILE = "__filename"
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

    Returns:
        A `FileSystemDataset`, filtered if a filter is given; a `TableDataset` if there are files that
        Arrow cannot read as the table's.
    """
    expression = to_expression(filter, snapshot.schema)
    parts = _parts(store, snapshot, expression, only)
    if parts.special:
        return TableDataset(parts, expression)
    return parts.plain if expression is None else parts.plain.filter(expression)


def batches_by_file(
    store: ObjectStore, snapshot: Snapshot, only: pa.Table, columns: Sequence[str]
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Stream the rows of files, each batch with the path of the file that it is from.

    Args:
        store: Rooted at the table.
        snapshot: The version to read.
        only: Rows of `snapshot.files()`.
        columns: Names of top-level columns; the batches have one more, so that they have rows.
    """
    parts = _parts(store, snapshot, None, only)
    for batch in parts.plain.to_batches(columns=[*columns, _FILE]):
        for path in pc.unique(batch.column(_FILE)).to_pylist():
            yield path, batch.filter(pc.equal(batch.column(_FILE), path))
    for file, batch in parts.reader.read(parts.special, columns):
        yield file.path, batch.append_column(_FILE, pa.repeat(file.path, batch.num_rows))


def _parts(
    store: ObjectStore,
    snapshot: Snapshot,
    expression: pc.Expression | None,
    only: pa.Table | None,
) -> Parts:
    schema, columns, mapping = snapshot.schema, snapshot.partition_columns, snapshot.column_mapping
    files = snapshot.files(_COLUMNS) if only is None else only.select(_COLUMNS)
    names = [mapping.physical_name(schema.field(name)) for name in columns]
    values = _partition_values(files, names)
    kept = _partitions(values, columns, schema, expression, snapshot.version)
    paths = [decode_file_path(path, version=snapshot.version) for path in files["path"].to_pylist()]
    sizes = dict(zip(paths, files["size"].to_pylist(), strict=True))
    filesystem = to_filesystem(store, sizes=sizes)
    parquet = ds.ParquetFileFormat(read_options=_READ_OPTIONS)
    all_special = mapping.is_on or any(is_variant(field.type) for _, field in walk(schema))
    fragments, special = [], []
    for path, value, vector in zip(
        paths, values, files["deletion_vector"].to_pylist(), strict=True
    ):
        if value not in kept:
            continue
        if vector is None and not all_special:
            fragment = parquet.make_fragment(
                path, filesystem, partition_expression=kept[value].guarantee, file_size=sizes[path]
            )
            fragments.append(fragment)
        else:
            described = None if vector is None else DeletionVector(**vector)
            special.append(DataFile(path, kept[value].scalars, described))
    return Parts(
        schema,
        ds.FileSystemDataset(fragments, schema, parquet, filesystem),
        special,
        FileReader(store, filesystem, schema, mapping),
    )


@dataclass(frozen=True, slots=True)
class _Partition:
    """The values of a partition, and what they guarantee of its rows."""

    scalars: Mapping[str, pa.Scalar]
    guarantee: pc.Expression


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
) -> Mapping[_Values, _Partition]:
    """The partitions that can hold rows of `filter`."""
    fields = [schema.field(name) for name in columns]
    partitions = {value: _partition(value, fields, version) for value in dict.fromkeys(values)}
    if filter is None or not columns:
        return partitions
    # Arrow itself decides what a partition rules out: one empty stand-in for each is never read.
    parquet, nowhere = ds.ParquetFileFormat(), fs.LocalFileSystem()
    stand_ins = [
        parquet.make_fragment(str(number), nowhere, partition_expression=partition.guarantee)
        for number, partition in enumerate(partitions.values())
    ]
    every = list(partitions)
    found = ds.FileSystemDataset(stand_ins, schema, parquet, nowhere).get_fragments(filter)
    kept = {every[int(fragment.path)] for fragment in found}
    return {value: partition for value, partition in partitions.items() if value in kept}


def _partition(values: _Values, fields: Sequence[pa.Field], version: int) -> _Partition:
    scalars = {
        field.name: _scalar(field, value, version)
        for field, value in zip(fields, values, strict=True)
    }
    parts = [_equals(name, scalar) for name, scalar in scalars.items()]
    return _Partition(scalars, reduce(and_, parts) if parts else pc.scalar(value=True))


def _scalar(field: pa.Field, value: str | None, version: int) -> pa.Scalar:
    try:
        return parse(value, field.type)
    except DataError as error:
        raise CorruptLog(
            f"partition column {field.name!r}: {error}", path="", version=version
        ) from error


def _equals(name: str, scalar: pa.Scalar) -> pc.Expression:
    column = pc.field(name)
    return column == scalar if scalar.is_valid else column.is_null()
