"""One Parquet file on its way into the store: encoded and uploaded as rows come.

Invariants: rows are held back until they make a row group, whole groups are encoded straight into the
upload, whose parts leave as they fill: memory is one row group and the parts in flight, whatever the
file's size. Nothing is visible in the store before `close` returns, and nothing is left after `abort`.
No request is made for a file before its first row group.

Error semantics: what the store raises comes through. After any error only `abort` makes sense.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atomic_manifest.data.options import WriteOptions
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.upload import Upload

GROUP_BYTES = 64 << 20
"""A row group is written when its rows take this much memory as Arrow."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A finished data file.

    Attributes:
        path: Relative to the store's root.
        size: Bytes.
        rows: Number of rows.
        footer: The file's Parquet metadata, as written.
        nan_free: Paths of the float columns that hold no NaN, which a footer does not tell.
    """

    path: str
    size: int
    rows: int
    footer: pq.FileMetaData
    nan_free: frozenset[tuple[str, ...]]


class ParquetSink:
    """Writes one Parquet file.

    Args:
        store: Where to.
        path: The file's, relative to the store's root.
        schema: Of the file: neither partition columns nor columns of type null.
        options: See `WriteOptions`; sizes of files are the caller's concern.

    Attributes:
        path: As given.
        rows: Rows taken.
        buffered: Bytes of the rows that are held back, as Arrow.
    """

    def __init__(
        self, store: ObjectStore, path: str, schema: pa.Schema, *, options: WriteOptions
    ) -> None:
        self.path = path
        self.rows = 0
        self.buffered = 0
        self._store = store
        self._schema = schema
        self._options = options
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self._footers: list[pq.FileMetaData] = []
        self._nan_free = frozenset(_floats(schema))
        self._upload: Upload | None = None
        self._writer: pq.ParquetWriter | None = None
        self._closing = False

    @property
    def opened(self) -> bool:
        """Whether an upload is under way."""
        return self._upload is not None

    @property
    def size(self) -> int:
        """Bytes encoded so far; rows held back do not count."""
        return 0 if self._upload is None else self._upload.tell()

    def write(self, batch: pa.RecordBatch) -> int:
        """Take rows of exactly the file's schema, as many as the row group at hand has room for.

        Returns:
            How many rows were taken: at least one of those given.
        """
        options = self._options
        piece = batch.slice(0, options.max_rows_per_group - self._held_rows)
        self._held.append(piece)
        self._held_rows += piece.num_rows
        self.buffered += piece.nbytes
        self.rows += piece.num_rows
        large = self.buffered >= min(GROUP_BYTES, options.buffer_size)
        if self._held_rows == options.max_rows_per_group or (
            large and self._held_rows >= options.min_rows_per_group
        ):
            self.flush()
        return int(piece.num_rows)

    def flush(self) -> None:
        """Write the rows that are held back as one row group."""
        if not self._held:
            return
        group = pa.Table.from_batches(self._held, schema=self._schema)
        self._held, self._held_rows, self.buffered = [], 0, 0
        self._nan_free -= {path for path in self._nan_free if _has_nan(group, path)}
        writer, _ = self._open()
        writer.write_table(group, row_group_size=self._options.max_rows_per_group)

    def close(self) -> WrittenFile:
        """Finish the file; it is in the store when this returns."""
        self.flush()
        writer, upload = self._open()
        writer.close()
        self._closing = True
        upload.close()
        # The upload still holds its last part: many files would add up.
        self._writer = self._upload = None
        return WrittenFile(self.path, upload.tell(), self.rows, self._footers[0], self._nan_free)

    def abort(self) -> None:
        """Give the file up and leave nothing of it in the store, even if closing it failed."""
        self._held = []
        if self._upload is not None:
            self._upload.abort()
        if self._writer is not None:
            # What is left of the writer would write a footer when it is collected.
            self._writer.is_open = False
        if self._closing:
            self._store.delete(self.path)

    def _open(self) -> tuple[pq.ParquetWriter, Upload]:
        if self._writer is None or self._upload is None:
            self._upload = self._store.upload(self.path, part_size=self._options.part_size)
            self._writer = pq.ParquetWriter(
                self._upload,
                self._schema,
                metadata_collector=self._footers,
                **self._options.writer_arguments(),
            )
        return self._writer, self._upload


def _floats(fields: Iterable[pa.Field], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of every float column, those in structs included."""
    for field in fields:
        here = (*path, field.name)
        if pa.types.is_floating(field.type):
            yield here
        elif pa.types.is_struct(field.type):
            yield from _floats(field.type, here)


def _has_nan(group: pa.Table, path: tuple[str, ...]) -> bool:
    column = group.column(path[0])
    if path[1:]:
        column = pc.struct_field(column, list(path[1:]))
    return bool(pc.any(pc.is_nan(column)).as_py())
