"""One Parquet file on its way into the store: uploaded as encoded row groups come.

Invariants: parts of the upload leave as they fill: memory is the row groups given and the parts in
flight, whatever the file's size. Nothing is visible in the store before `close` returns, and nothing is
left after `abort`. No request is made for a file before it has a part.

Error semantics: what the store raises comes through. After any error only `abort` makes sense.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from atomic_manifest.data.write.joining import Encoded, Joined
from atomic_manifest.errors import AlreadyExists, DataError
from atomic_manifest.log.ranged import RangedFile
from atomic_manifest.log.stats.footer import Unsaid
from atomic_manifest.store.conditions import IfAbsent
from atomic_manifest.store.object_store import ObjectStore

if TYPE_CHECKING:
    from atomic_manifest.store.upload import Upload


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A finished data file.

    Attributes:
        path: Relative to the store's root.
        size: Bytes.
        rows: Number of rows.
        footer: The file's Parquet metadata, as written.
        nan_free: Paths of the float columns with statistics that hold no NaN, which a footer does not
            tell.
        unsaid: By row group, what else the footer does not tell of columns.
    """

    path: str
    size: int
    rows: int
    footer: pq.FileMetaData
    nan_free: frozenset[tuple[str, ...]]
    unsaid: Sequence[Mapping[tuple[str, ...], Unsaid]] = ()


class ParquetSink:
    """Writes one Parquet file. Not to be shared between threads.

    Args:
        store: Where to.
        path: The file's, relative to the store's root.
        part_size: See `WriteOptions`.
        repeatable: The same rows may have been written to this path before, or be so at the same time:
            then that file is left as it is, and described by `close`. See `task`.

    Attributes:
        path: As given.
    """

    def __init__(
        self,
        store: ObjectStore,
        path: str,
        *,
        part_size: int,
        repeatable: bool = False,
    ) -> None:
        self.path = path
        self._repeatable = repeatable
        self._when = IfAbsent() if repeatable else None
        self._store = store
        self._part_size = part_size
        self._open: tuple[Upload, Joined] | None = None
        self._nan_free: list[frozenset[tuple[str, ...]]] = []
        self._unsaid: list[Mapping[tuple[str, ...], Unsaid]] = []
        self._closing = False

    @property
    def size(self) -> int:
        """Bytes taken so far; 0 once the file is closed. May be asked while another thread writes."""
        begun = self._open
        return 0 if begun is None else begun[1].size

    def write(self, encoded: Encoded) -> None:
        """Take the next row groups; all of one schema."""
        self._know(encoded)
        self._begun()[1].add(encoded)

    def close(self, last: Encoded | None = None) -> WrittenFile:
        """Finish the file, with the last of its row groups; it is in the store when this returns.

        Raises:
            DataError: Other rows are there, where the same were expected.
        """
        if last is not None and self._open is None and len(last.file) < self._part_size:
            return self._put(last)
        if last is not None:
            self.write(last)
        upload, joined = self._begun()
        footer = joined.finish()
        written = self._finished(joined.size, footer, upload.close)
        # They hold the last part and the first row group: many files would add up.
        self._open = None
        return written

    def abort(self) -> None:
        """Give the file up and leave nothing of it in the store, even if closing it failed.

        A repeatable file whose end went unanswered stays, if it is there: it may be another's.
        """
        if self._open is not None:
            self._open[0].abort()
        if self._closing and not self._repeatable:
            self._store.delete(self.path)

    def _know(self, encoded: Encoded) -> None:
        self._nan_free.append(encoded.nan_free)
        self._unsaid += [encoded.unsaid] * encoded.metadata.num_row_groups

    def _put(self, whole: Encoded) -> WrittenFile:
        """Write a small file as it is."""
        self._know(whole)
        return self._finished(
            len(whole.file),
            whole.metadata,
            lambda: self._store.put(self.path, whole.file, when=self._when),
        )

    def _finished(
        self, size: int, footer: pq.FileMetaData, finish: Callable[[], object]
    ) -> WrittenFile:
        self._closing = True
        try:
            finish()
        except AlreadyExists:
            size, footer = self._found(footer)
        nan_free = frozenset.intersection(*self._nan_free)
        return WrittenFile(self.path, size, footer.num_rows, footer, nan_free, self._unsaid)

    def _found(self, ours: pq.FileMetaData) -> tuple[int, pq.FileMetaData]:
        """Size and footer of the file that was there before."""
        size = self._store.head(self.path).size
        footer = pq.read_metadata(RangedFile(self._store, self.path, size))
        if footer.num_rows != ours.num_rows or not footer.schema.equals(ours.schema):
            raise DataError(
                f"{self.path} is there and has other rows: a task was repeated with other data"
            )
        return size, footer

    def _begun(self) -> "tuple[Upload, Joined]":
        if self._open is None:
            upload = self._store.upload(
                self.path,
                when=self._when,
                part_size=self._part_size,
            )
            self._open = upload, Joined(upload.hand_over)
        return self._open
