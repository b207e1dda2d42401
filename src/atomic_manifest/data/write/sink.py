"""One Parquet file on its way into the store: encoded and uploaded as row groups come.

Invariants: row groups are encoded straight into the upload, whose parts leave as they fill: memory is
one row group and the parts in flight, whatever the file's size. Nothing is visible in the store before
`close` returns, and nothing is left after `abort`. No request is made for a file before it has a part.

Error semantics: what the store raises comes through. After any error only `abort` makes sense.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.errors import AlreadyExists, DataError
from atomic_manifest.log.ranged import RangedFile
from atomic_manifest.store.conditions import IfAbsent
from atomic_manifest.store.object_store import ObjectStore

if TYPE_CHECKING:
    from atomic_manifest.store.upload import Upload

_STREAM_BUFFER = 256 << 10


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
        repeatable: The same rows may have been written to this path before, or be so at the same time:
            then that file is left as it is, and described by `close`. See `task`.

    Attributes:
        path: As given.
    """

    def __init__(
        self,
        store: ObjectStore,
        path: str,
        schema: pa.Schema,
        *,
        options: WriteOptions,
        repeatable: bool = False,
    ) -> None:
        self.path = path
        self._repeatable = repeatable
        self._store = store
        self._schema = schema
        self._options = options
        self._footers: list[pq.FileMetaData] = []
        self._nan_free = frozenset(_floats(schema))
        self._stream: _Stream | None = None
        self._closing = False

    @property
    def size(self) -> int:
        """Bytes encoded so far; 0 once the file is closed. May be asked while another thread writes."""
        stream = self._stream
        return 0 if stream is None else stream.size

    def write(self, rows: pa.Table) -> None:
        """Encode rows of exactly the file's schema as one row group, or several of the largest size."""
        self._nan_free -= {path for path in self._nan_free if _has_nan(rows, path)}
        self._open().writer.write_table(rows, row_group_size=self._options.max_rows_per_group)

    def close(self) -> WrittenFile:
        """Finish the file; it is in the store when this returns.

        Raises:
            DataError: Other rows are there, where the same were expected.
        """
        stream = self._open()
        stream.finish()
        self._closing = True
        size, footer = stream.upload.tell(), self._footers[0]
        try:
            stream.upload.close()
        except AlreadyExists:
            size, footer = self._found(footer)
        # The upload still holds its last part: many files would add up.
        self._stream = None
        return WrittenFile(self.path, size, footer.num_rows, footer, self._nan_free)

    def abort(self) -> None:
        """Give the file up and leave nothing of it in the store, even if closing it failed.

        A repeatable file whose end went unanswered stays, if it is there: it may be another's.
        """
        if self._stream is not None:
            self._stream.drop()
            self._stream.upload.abort()
        if self._closing and not self._repeatable:
            self._store.delete(self.path)

    def _found(self, ours: pq.FileMetaData) -> tuple[int, pq.FileMetaData]:
        """Size and footer of the file that was there before."""
        size = self._store.head(self.path).size
        footer = pq.read_metadata(RangedFile(self._store, self.path, size))
        if footer.num_rows != ours.num_rows or not footer.schema.equals(ours.schema):
            raise DataError(
                f"{self.path} is there and has other rows: a task was repeated with other data"
            )
        return size, footer

    def _open(self) -> "_Stream":
        if self._stream is None:
            upload = self._store.upload(
                self.path,
                when=IfAbsent() if self._repeatable else None,
                part_size=self._options.part_size,
            )
            self._stream = _Stream(upload, self._schema, self._options, self._footers)
        return self._stream


class _Stream:
    """A Parquet writer and the upload it writes into.

    Between them is a buffer of Arrow's own: an encoder writes many small pieces, and would have to take
    the interpreter's lock for each.
    """

    def __init__(
        self,
        upload: "Upload",
        schema: pa.Schema,
        options: WriteOptions,
        footers: list[pq.FileMetaData],
    ) -> None:
        self.upload = upload
        self._sluice = _Sluice(upload)
        size = min(_STREAM_BUFFER, options.part_size)
        self._buffer = pa.BufferedOutputStream(pa.PythonFile(self._sluice, "w"), size)
        self.writer = pq.ParquetWriter(
            self._buffer, schema, metadata_collector=footers, **options.writer_arguments()
        )

    @property
    def size(self) -> int:
        """Bytes encoded so far."""
        return self._buffer.tell()  # type: ignore[no-any-return]

    def finish(self) -> None:
        """Pass everything on, the footer included."""
        self.writer.close()
        self._buffer.flush()

    def drop(self) -> None:
        """Pass nothing on any more: a writer writes a footer even when it is collected."""
        self._sluice.is_shut = True
        self.writer.is_open = False


class _Sluice:
    """What Arrow writes to: an upload that it cannot close, and that nothing reaches once it is shut."""

    closed = False

    def __init__(self, upload: "Upload") -> None:
        self.is_shut = False
        self._upload = upload

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._upload.tell()

    def write(self, data: memoryview) -> int:
        return memoryview(data).nbytes if self.is_shut else self._upload.write(data)

    def flush(self) -> None:
        """Nothing: a part leaves when it is full."""

    def close(self) -> None:
        """Nothing: Arrow closes its streams when they are collected."""


def _floats(fields: Iterable[pa.Field], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of every float column, those in structs included."""
    for field in fields:
        here = (*path, field.name)
        if pa.types.is_floating(field.type):
            yield here
        elif pa.types.is_struct(field.type):
            yield from _floats(field.type, here)


def _has_nan(rows: pa.Table, path: tuple[str, ...]) -> bool:
    column = rows.column(path[0])
    if path[1:]:
        column = pc.struct_field(column, list(path[1:]))
    return bool(pc.any(pc.is_nan(column)).as_py())
