"""Rows to staged data files: encoded, uploaded, described by `add` actions, not yet in any log.

Invariants: a file holds rows of one partition, without the partition columns. Names follow from
`file_prefix` and the order of rows alone, so that the same input gives the same files. Memory is
bounded by `WriteOptions.buffer_size` and the parts of the open uploads, whatever the input's size.

Error semantics: all or nothing. Whatever is raised on the way (by the input, the store, a value, or an
interrupt) comes through after open uploads were aborted and finished files deleted; what could not
be cleaned up is said in a note on it, and is never named by a log.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from atomic_manifest.data.layout import file_schema
from atomic_manifest.data.options import WriteOptions
from atomic_manifest.data.partitioning import Values, coalesced, split
from atomic_manifest.data.sink import ParquetSink, WrittenFile
from atomic_manifest.env import Env
from atomic_manifest.log import partition, path, stats
from atomic_manifest.log.actions import Add
from atomic_manifest.log.column_mapping import NO_MAPPING, ColumnMapping
from atomic_manifest.store.object_store import ObjectStore

Progress: TypeAlias = Callable[[int, int], None]
"""Called now and then with the rows taken and the bytes finished so far."""

_CLOSING_THREADS = 8


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
    name: Callable[[int], str] | None = None,
    progress: Progress | None = None,
) -> StagedFiles:
    """Write all rows of `reader` to new data files below the table's root.

    Args:
        store: Rooted at the table.
        reader: Batches of exactly `schema` (see `conform`).
        schema: The table's.
        partition_by: Its partition columns.
        file_prefix: Makes file names unique, e.g. the commit id.
        options: See `WriteOptions`.
        env: Gives the files' modification time.
        mapping: What files and log call the table's columns.
        name: The file name for a sequence number; `part-00000-<file_prefix>.parquet` by default. Never
            twice the same in a table's life: a file that is there is replaced, and on failure deleted.
        progress: See `Progress`.

    Returns:
        The staged files; none for no rows.

    Raises:
        InvalidSchema: No file can be written for the schema.
        DataError: A partition value the log has no text for, or what `reader` raises.
        StoreError: The store refused or failed.
    """
    staging = _Staging(
        store,
        file_schema(schema, partition_by),
        {column: mapping.physical_name(schema.field(column)) for column in partition_by},
        mapping,
        name or (lambda sequence: f"part-{sequence:05}-{file_prefix}.parquet"),
        options,
    )
    try:
        for batch in coalesced(reader, options.buffer_size // 8) if partition_by else reader:
            staging.take(batch)
            if progress is not None:
                progress(staging.rows, staging.size)
        staging.finish()
        if progress is not None:
            progress(staging.rows, staging.size)
        return staging.staged(int(env.now() * 1000))
    except BaseException as error:
        staging.discard(error)
        raise


@dataclass(slots=True)
class _File:
    """A file begun: its sink until it is finished, then what was written."""

    values: Values
    sink: ParquetSink
    written: WrittenFile | None = None

    def close(self) -> None:
        self.written = self.sink.close()


def _stored(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same rows under the names that files have for the columns, at any depth."""
    if batch.schema.equals(schema):
        return batch
    columns = [
        column if column.type == field.type else column.view(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _Staging:
    """The files of one `write_files` call."""

    def __init__(
        self,
        store: ObjectStore,
        schema: pa.Schema,
        partition_by: Mapping[str, str],
        mapping: ColumnMapping,
        name: Callable[[int], str],
        options: WriteOptions,
    ) -> None:
        self.rows = 0
        self._store = store
        self._names = schema.names
        self._schema = mapping.physical(schema)
        self._columns = tuple(partition_by)
        self._partition_by = tuple(partition_by.values())
        self._name = name
        self._options = options
        self._files: list[_File] = []
        # The file each partition's rows go to, least recently written first.
        self._current: dict[Values, _File] = {}

    @property
    def size(self) -> int:
        """Bytes of the finished files."""
        return sum(file.written.size for file in self._files if file.written is not None)

    def take(self, batch: pa.RecordBatch) -> None:
        for values, part in split(batch, self._columns):
            self._write(values, _stored(part.select(self._names), self._schema))
        self.rows += batch.num_rows
        self._spill()

    def _write(self, values: Values, batch: pa.RecordBatch) -> None:
        limit, start = self._options.max_rows_per_file or batch.num_rows, 0
        while start < batch.num_rows:
            file = self._current.pop(values, None) or self._begin(values)
            self._current[values] = file
            taken = limit - file.sink.rows if self._options.max_rows_per_file else limit
            start += file.sink.write(batch.slice(start, taken))
            if self._is_full(file.sink):
                self._current.pop(values).close()

    def _begin(self, values: Values) -> _File:
        folder = partition.folder(dict(zip(self._partition_by, values, strict=True)))
        name = self._name(len(self._files))
        place = f"{folder}/{name}" if folder else name
        file = _File(values, ParquetSink(self._store, place, self._schema, options=self._options))
        self._files.append(file)
        return file

    def _is_full(self, sink: ParquetSink) -> bool:
        options = self._options
        return (options.max_rows_per_file > 0 and sink.rows >= options.max_rows_per_file) or (
            options.target_file_size is not None and sink.size >= options.target_file_size
        )

    def _spill(self) -> None:
        """Keep within the bounds of memory and of open uploads."""
        sinks = [file.sink for file in self._current.values()]
        held = sum(sink.buffered for sink in sinks)
        while held > self._options.buffer_size:
            largest = max(sinks, key=lambda sink: sink.buffered)
            held -= largest.buffered
            largest.flush()
        opened = [file for file in self._current.values() if file.sink.opened]
        for file in opened[: max(0, len(opened) - self._options.max_open_files)]:
            del self._current[file.values]
            file.close()

    def finish(self) -> None:
        rest = list(self._current.values())
        self._current = {}
        if len(rest) < 2:  # noqa: PLR2004 - one file needs no threads
            for file in rest:
                file.close()
            return
        with ThreadPoolExecutor(min(_CLOSING_THREADS, len(rest))) as pool:
            try:
                list(pool.map(_File.close, rest))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def discard(self, error: BaseException) -> None:
        """Leave nothing in the store, because of `error`, which gets a note of what is left."""
        for file in self._files:
            if file.written is None:
                self._try(file.sink.abort, error)
        finished = [file.written.path for file in self._files if file.written is not None]
        if finished:
            self._try(lambda: self._store.delete_many(finished), error)

    @staticmethod
    def _try(cleanup: Callable[[], None], error: BaseException) -> None:
        try:
            cleanup()
        except Exception as failure:  # noqa: BLE001 - the first error is the one to tell
            error.add_note(f"not all uncommitted data files could be deleted: {failure}")

    def staged(self, modification_time: int) -> StagedFiles:
        finished = [(file.values, file.written) for file in self._files if file.written]
        adds = tuple(self._add(values, written, modification_time) for values, written in finished)
        return StagedFiles(adds, self.rows, tuple(written for _, written in finished))

    def _add(self, values: Values, written: WrittenFile, modification_time: int) -> Add:
        return Add(
            path=path.encode(written.path),
            partition_values=dict(zip(self._partition_by, values, strict=True)),
            size=written.size,
            modification_time=modification_time,
            data_change=True,
            stats=stats.from_footer(
                written.footer,
                self._schema,
                indexed_columns=self._options.indexed_columns,
                nan_free=written.nan_free,
            ),
        )
