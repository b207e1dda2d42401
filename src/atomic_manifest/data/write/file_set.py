"""The files of one write, encoded and uploaded several at a time.

Invariants: row groups are encoded in any order, and are in their file in the order they were given. Which
rows a file gets, and so its name, does not depend on how fast the work goes.

Error semantics: what work on any file raised comes out of a later call. `discard` leaves none of the
files in the store, or says so.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from atomic_manifest.data.write import joining
from atomic_manifest.data.write.alike import Alike
from atomic_manifest.data.write.encoder import RowGroupEncoder
from atomic_manifest.data.write.joining import Encoded
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.partitioning import Values
from atomic_manifest.data.write.row_group import Rows
from atomic_manifest.data.write.sink import ParquetSink, WrittenFile
from atomic_manifest.data.write.workers import Job, Workers
from atomic_manifest.log.metadata import partition
from atomic_manifest.log.stats.footer import FooterStatistics, Indexed
from atomic_manifest.log.stats.indexed import INDEXED_COLUMNS
from atomic_manifest.store.batch import Batch

_NO_ROWS = Rows([], 0, 0)

_LOCAL_PART = 1 << 20
"""Bytes that a file holds back where parts cost nothing: many files may be open."""

_FEW = 16
"""Row groups of a file that may be on their way when its size is asked for."""


@dataclass(slots=True, eq=False)
class StagedFile:
    """A file begun.

    Attributes:
        values: Of its partition.
        sink: Uploads it.
        num_rows: Given to it so far.
        written: What was written, once it is finished.
        stats: Of its rows, as `add` actions have them; None until then.
        groups: Row groups given to it so far.
        nbytes: What the rows of those took.
        last: The job of the last of them.
    """

    values: Values
    sink: ParquetSink
    num_rows: int = 0
    written: WrittenFile | None = None
    stats: str | None = None
    groups: int = 0
    nbytes: int = 0
    last: Job | None = field(default=None, repr=False)
    _given: deque[tuple[Job, int]] = field(default_factory=deque, repr=False)
    _encoded: int = 0
    _later: int = 0

    def give(self, job: Job, nbytes: int) -> None:
        """Note the job of a further row group, and the bytes that its rows took."""
        self.last = job
        self.groups += 1
        self.nbytes += nbytes
        self._later += nbytes
        self._given.append((job, nbytes))

    def estimate(self, in_flight: int) -> float:
        """About how many bytes it has become: by those of its row groups that are not among the last,
        a few of so many bytes, which may still be on their way. It waits for them, or the first."""
        while self._given and (
            len(self._given) == self.groups or self._later > in_flight or len(self._given) >= _FEW
        ):
            job, nbytes = self._given.popleft()
            self._encoded += job.result()
            self._later -= nbytes
        return self._encoded * self.nbytes / max(1, self.nbytes - self._later)


class FileSet:
    """Begins, writes and finishes files. To be used by one thread.

    Args:
        batch: Of a store rooted at the table.
        schema: Of the files.
        partition_by: What files and log call the partition columns.
        name: The file name for a sequence number.
        options: See `WriteOptions`.
        indexed: The columns with statistics, if the options do not say how many.
        in_folders: Whether files lie in folders of their partition.
        repeatable: See `ParquetSink`. Finished files then stay in any case.

    Attributes:
        schema: As given.
    """

    def __init__(
        self,
        batch: Batch,
        schema: pa.Schema,
        partition_by: Sequence[str],
        name: Callable[[int], str],
        options: WriteOptions,
        *,
        indexed: Indexed = INDEXED_COLUMNS,
        in_folders: bool = True,
        repeatable: bool = False,
    ) -> None:
        self._in_folders = in_folders
        indexed = indexed if options.indexed_columns is None else options.indexed_columns
        self._repeatable = repeatable
        self._store = batch.store
        self._part_size = options.part_size if batch.waits else min(options.part_size, _LOCAL_PART)
        self.schema = schema
        self._partition_by = tuple(partition_by)
        self._name = name
        self._options = options
        self._encoder = RowGroupEncoder(schema, options, indexed)
        self._alike = Alike(self._encoder)
        self._statistics = FooterStatistics(schema, indexed)
        self._files: list[StagedFile] = []
        self._size = 0
        self._in_flight = max(1, options.buffer_size // 2)
        self._workers = Workers(self._in_flight, waits=batch.waits)

    @property
    def size(self) -> int:
        """Bytes encoded so far. It never falls, although a file is closed before its size is known."""
        sizes = (
            file.sink.size if file.written is None else file.written.size for file in self._files
        )
        self._size = max(self._size, sum(sizes))
        return self._size

    def finished(self) -> list[tuple[StagedFile, WrittenFile]]:
        """The finished files, in the order they were begun."""
        return [(file, file.written) for file in self._files if file.written is not None]

    def begin(self, values: Values) -> StagedFile:
        """The next file, of a partition. Sends nothing."""
        known = dict(zip(self._partition_by, values, strict=True))
        folder = partition.folder(known) if self._in_folders else ""
        name = self._name(len(self._files))
        place = f"{folder}/{name}" if folder else name
        file = StagedFile(
            values,
            ParquetSink(self._store, place, part_size=self._part_size, repeatable=self._repeatable),
        )
        self._files.append(file)
        return file

    def is_full(self, file: StagedFile) -> bool:
        """Whether a file has about the size it shall have, or as many row groups as it may have."""
        target = self._options.target_file_size
        if file.groups == joining.MOST:
            return True
        # Many small row groups may take more bytes than their rows did.
        if target is None or (file.nbytes < target and file.groups < _FEW):
            return False
        return file.estimate(self._in_flight) >= target

    def write(self, file: StagedFile, rows: Rows) -> None:
        """Have a row group encoded."""
        encode, before = self._encoding(file, rows), file.last
        job = self._workers.submit(lambda: self._write(file, encode, before), rows.nbytes)
        file.give(job, rows.nbytes)

    def close(self, file: StagedFile, rows: Rows = _NO_ROWS) -> None:
        """Have a file finished, with the last of its rows."""
        self._workers.add(self._finishing(file, rows), rows.nbytes)

    def close_here(self, file: StagedFile, rows: Rows) -> None:
        """As `close`, in this thread: a write of a single small file needs no other."""
        self._finishing(file, rows)()

    def finish(self) -> None:
        """Wait for all work."""
        self._workers.finish()

    def discard(self, error: BaseException) -> None:
        """Leave nothing in the store, because of `error`, which gets a note of what is left."""
        self._workers.stop()
        for file in self._files:
            if file.written is None:
                _try(file.sink.abort, error)
        finished = [written.path for _, written in self.finished()]
        if finished and not self._repeatable:
            _try(lambda: self._store.delete_many(finished), error)

    def _finishing(self, file: StagedFile, rows: Rows) -> Callable[[], int]:
        """What finishes a file."""
        encode, before = self._encoding(file, rows), file.last
        return lambda: self._finish(file, encode, before)

    def _encoding(self, file: StagedFile, rows: Rows) -> Callable[[], Encoded | None]:
        """What encodes a file's next rows; no rows to None."""
        file.num_rows += rows.num_rows
        if not rows.num_rows:
            return lambda: None
        dictionaries = self._alike.dictionaries(rows)

        def encode() -> Encoded:
            with self._workers.processor:
                return self._encoder.encode(rows.take(), dictionaries)

        return encode

    def _write(
        self, file: StagedFile, encode: Callable[[], Encoded | None], before: Job | None
    ) -> int:
        encoded = encode()
        if before is not None:
            before.result()
        if encoded is None:
            return 0
        file.sink.write(encoded)
        return encoded.data_end

    def _finish(
        self, file: StagedFile, encode: Callable[[], Encoded | None], before: Job | None
    ) -> int:
        last = encode()
        if before is not None:
            before.result()
        file.written = written = file.sink.close(last)
        # Here and not at the end, where no other file would be encoded meanwhile.
        file.stats = self._statistics.text(
            written.footer, nan_free=written.nan_free, unsaid=written.unsaid
        )
        return written.size


def _try(cleanup: Callable[[], None], error: BaseException) -> None:
    try:
        cleanup()
    except Exception as failure:  # noqa: BLE001 - the first error is the one to tell
        error.add_note(f"not all uncommitted data files could be deleted: {failure}")
