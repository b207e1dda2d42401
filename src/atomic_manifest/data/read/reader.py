"""A snapshot as a `pyarrow.dataset.Dataset`.

Invariants: making the dataset makes no request beyond what `snapshot.files()` needs. Its schema is the
table's: columns a file lacks, and `void` columns, read as null; partition columns come from the log.
Files are in the log's order, those first that Arrow reads on its own; with a deletion vector, mapped
columns or a filter that outdoes the bounds of floats (see `filters`) it cannot (see `files`). With a
filter, files that cannot match are left out (see `planning`), and the dataset gives only rows that pass.
Every file carries what the log guarantees of its rows (see `guarantees`), so that filters of whoever scans
the dataset leave out files as well.

Error semantics: `CorruptLog` for a path that leaves the table or a partition value that is not of its
column's type; `InvalidFilter`; while reading, see `files`.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from atomic_manifest.data.filter.filters import Filter, outdoes_bounds, to_expression
from atomic_manifest.data.read.checked_dataset import CheckedDataset
from atomic_manifest.data.read.files import DataFile, FileReader
from atomic_manifest.data.read.filesystem import check_files, to_filesystem
from atomic_manifest.data.read.guarantees import (
    MOST,
    TRUE,
    Partition,
    bounded,
    partitions_of,
    statistics,
)
from atomic_manifest.data.read.planning import planned
from atomic_manifest.data.read.table_dataset import Parts, TableDataset
from atomic_manifest.log.actions import DeletionVector
from atomic_manifest.log.metadata.schema import is_variant, walk
from atomic_manifest.log.path import decode_file_path
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.store.object_store import ObjectStore

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
        filter: Rows to keep; see `filter.filters.Filter`.
        only: Rows of `snapshot.files()`: the files to read; None for all.

    Returns:
        A `FileSystemDataset` (see `checked_dataset`), filtered if a filter is given; a `TableDataset` if
        there are files that Arrow cannot read as the table's.
    """
    expression = to_expression(filter, snapshot.schema)
    parts = parts_of(store, snapshot, filter, only)
    if parts.special:
        return TableDataset(parts, expression)
    dataset = CheckedDataset(parts)
    return dataset if expression is None else dataset.filter(expression)


def parts_of(
    store: ObjectStore, snapshot: Snapshot, filter: Filter, only: pa.Table | None = None
) -> Parts:
    """The files to read. Arguments as for `to_dataset`."""
    schema, mapping, version = snapshot.plain_schema, snapshot.column_mapping, snapshot.version
    files = _files(snapshot, filter) if only is None else only.select(_COLUMNS)
    partitions = partitions_of(files, snapshot, to_expression(filter, schema))
    guarantees = _guarantees(files, partitions, snapshot)
    paths = [decode_file_path(path, version=version) for path in files["path"].to_pylist()]
    sizes = dict(zip(paths, files["size"].to_pylist(), strict=True))
    filesystem = to_filesystem(store, sizes=sizes)
    parquet = ds.ParquetFileFormat(read_options=_READ_OPTIONS)
    all_special = (
        mapping.is_on
        or any(is_variant(field.type) for _, field in walk(schema))
        or outdoes_bounds(filter, schema)
    )
    fragments, special = [], []
    files_of: dict[str, DataFile] = {}
    for path, partition, guarantee, vector in zip(
        paths, partitions, guarantees, files["deletion_vector"].to_pylist(), strict=True
    ):
        if partition is None:
            continue
        described = None if vector is None else DeletionVector(**vector)
        file = DataFile(path, partition.scalars, described, guarantee)
        if vector is None and not all_special:
            files_of[path] = file
            fragment = parquet.make_fragment(
                path, filesystem, partition_expression=guarantee, file_size=sizes[path]
            )
            fragments.append(fragment)
        else:
            special.append(file)
    check_files(store, [*files_of, *(file.path for file in special)])
    return Parts(
        schema,
        ds.FileSystemDataset(fragments, schema, parquet, filesystem),
        special,
        FileReader(store, filesystem, snapshot.schema, mapping),
        sizes,
        files_of,
        [field for field in schema if field.name not in snapshot.partition_columns],
    )


def _files(snapshot: Snapshot, filter: Filter) -> pa.Table:
    """The files to read, with statistics if they are few."""
    files = planned(snapshot, filter, _COLUMNS)
    if files.num_rows * len(bounded(snapshot)) > MOST:
        return files
    return planned(snapshot, filter, [*_COLUMNS, "stats"])


def _guarantees(
    files: pa.Table, partitions: Sequence[Partition | None], snapshot: Snapshot
) -> list[pc.Expression]:
    """What the log guarantees of each file's rows."""
    found = [TRUE if each is None else each.guarantee for each in partitions]
    columns = bounded(snapshot)
    if "stats" not in files.column_names or files.num_rows * len(columns) > MOST:
        return found
    known = statistics(files["stats"].combine_chunks(), columns)
    return [each & more for each, more in zip(found, known, strict=True)]
