"""Rows to staged data files: encoded, uploaded, described by `add` actions, not yet in any log.

Invariants: a file holds rows of one partition, in most tables without the partition columns (see
`layout`). Names follow from
`file_prefix` and the order of rows alone, so that the same input gives the same files. Memory is
bounded by `WriteOptions.buffer_size` and the parts of the open uploads, whatever the input's size.

Error semantics: all or nothing. Whatever is raised on the way (by the input, the store, a value, or an
interrupt) comes through after open uploads were aborted and finished files deleted; what could not
be cleaned up is said in a note on it, and is never named by a log.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import pyarrow as pa

from atomic_manifest.data.write.buffering import Buffering
from atomic_manifest.data.write.file_set import FileSet
from atomic_manifest.data.write.layout import file_schema, told_by_folders
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.partitioning import Part, coalesced, split_ahead
from atomic_manifest.data.write.sink import WrittenFile
from atomic_manifest.data.write.task import Task
from atomic_manifest.env import Env
from atomic_manifest.log import path
from atomic_manifest.log.actions import Add
from atomic_manifest.log.metadata.column_mapping import NO_MAPPING, ColumnMapping
from atomic_manifest.log.metadata.schema import check_partition_columns
from atomic_manifest.log.stats.indexed import indexed_columns
from atomic_manifest.store.batch import batched
from atomic_manifest.store.object_store import ObjectStore

Progress: TypeAlias = Callable[[int, int], None]
"""Called now and then with the rows taken and the bytes encoded so far."""

_BATCHES = 6
"""As many batches as that fill the buffer. Each split costs by the partition."""


@dataclass(frozen=True, slots=True)
class StagedFiles:
    """Uploaded files that no log names yet.

    Attributes:
        adds: One action a file, in the order the files were begun.
        rows: Rows in all of them.
        written: The same files, with their footers.
    """

    adds: tuple[Add, ...]
    rows: int
    written: tuple[WrittenFile, ...]


def write_files(
    store: ObjectStore,
    reader: pa.RecordBatchReader,
    *,
    schema: pa.Schema,
    partition_by: Sequence[str] = (),
    file_prefix: str,
    options: WriteOptions,
    env: Env,
    mapping: ColumnMapping = NO_MAPPING,
    configuration: Mapping[str, str] = MappingProxyType({}),
    name: Callable[[int], str] | None = None,
    task: Task | None = None,
    progress: Progress | None = None,
) -> StagedFiles:
    """Write all rows of `reader` to new data files below the table's root.

    Args:
        store: Rooted at the table.
        reader: Batches of exactly `schema` (see `input.conform`).
        schema: The table's.
        partition_by: Its partition columns.
        file_prefix: Makes file names unique, e.g. the commit id.
        options: See `WriteOptions`.
        env: Gives the files' modification time.
        mapping: What files and log call the table's columns.
        configuration: The table's properties, which say what there are statistics of.
        name: The file name for a sequence number; `part-00000-<file_prefix>.parquet` by default. Never
            twice the same in a table's life: a file that is there is replaced, and on failure deleted.
        task: Whose files these are, if it may be repeated: it names them, and finished ones stay even
            if the write fails. See `Task`.
        progress: See `Progress`.

    Returns:
        The staged files; none for no rows.

    Raises:
        InvalidSchema: No file can be written for the schema.
        DataError: A partition value the log has no text for, what `reader` raises, or a `task` that is
            repeated with other rows.
        StoreError: The store refused or failed.
    """
    check_partition_columns(schema, partition_by)
    in_folders = told_by_folders(schema, partition_by, mapping)
    stored = file_schema(schema, partition_by, with_partitions=not in_folders)
    physical = [mapping.physical_name(schema.field(column)) for column in partition_by]
    if task is not None:
        name = task.file_name
    batch = batched(store)
    files = FileSet(
        batch,
        mapping.physical(stored),
        physical,
        name or (lambda sequence: f"part-{sequence:05}-{file_prefix}.parquet"),
        options,
        indexed=frozenset(
            path for path, _ in indexed_columns(schema, partition_by, mapping, configuration)
        ),
        in_folders=in_folders,
        repeatable=task is not None,
    )
    buffering = Buffering(files, options)
    rows = 0
    try:
        for taken, parts in _split(reader, partition_by, stored.names, options):
            renamed = ((values, _stored(part, files.schema)) for values, part in parts)
            buffering.take(renamed, taken.nbytes if partition_by else 0)
            rows += taken.num_rows
            if progress is not None:
                progress(rows, files.size)
        buffering.finish()
        files.finish()
        batch.settle()
        if progress is not None:
            progress(rows, files.size)
        adds = _adds(files, physical, int(env.now() * 1000))
    except BaseException as error:
        files.discard(error)
        raise
    finally:
        buffering.close()
    return StagedFiles(adds, rows, tuple(written for _, written in files.finished()))


def _split(
    reader: pa.RecordBatchReader,
    partition_by: Sequence[str],
    names: Sequence[str],
    options: WriteOptions,
) -> Iterator[tuple[pa.RecordBatch | pa.Table, Iterable[Part]]]:
    """The rows, and the same by partition with the columns of files."""
    if not partition_by:
        return ((batch, [((), batch.select(names))]) for batch in reader)
    tables = coalesced(reader, options.buffer_size // _BATCHES)
    return split_ahead(tables, partition_by, names)


def _stored(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same rows under the names that files have for the columns, at any depth."""
    if batch.schema.equals(schema):
        return batch
    columns = [
        column if column.type == field.type else column.view(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _adds(files: FileSet, partition_by: Sequence[str], modification_time: int) -> tuple[Add, ...]:
    return tuple(
        Add(
            path=path.encode(written.path),
            partition_values=dict(zip(partition_by, file.values, strict=True)),
            size=written.size,
            modification_time=modification_time,
            data_change=True,
            stats=file.stats,
        )
        for file, written in files.finished()
    )
