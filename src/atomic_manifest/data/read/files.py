"""Data files that Arrow's datasets cannot read as the table's: some of their rows are deleted, or their
columns are called otherwise.

Invariants: deleted rows are told by their position in the physical file, so a file is read row group by
row group, whole, and in order; filters come after. Nothing but one row group of one file, and the
footers and deletion vectors of the next few, is held at a time.

Error semantics: `CorruptLog` naming the file for a deletion vector that is damaged or of another file;
as `adapt` for columns; the store's and Parquet's own errors come through.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from atomic_manifest.data.read.adapt import adapter
from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.actions import DeletionVector
from atomic_manifest.log.deletion_vector import DeletedRows, read_deleted_rows
from atomic_manifest.log.metadata.column_mapping import ColumnMapping
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.threads import ahead

_BATCH_ROWS = 1 << 16
_AHEAD = 8


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a snapshot.

    Attributes:
        path: Relative to the table's root.
        partition: The values of the partition columns.
        vector: Which rows are deleted; None if none are.
        guarantee: What the log guarantees of its rows.
    """

    path: str
    partition: Mapping[str, pa.Scalar]
    vector: DeletionVector | None
    guarantee: pc.Expression


@dataclass(frozen=True, slots=True)
class _Opened:
    file: DataFile
    parquet: pq.ParquetFile
    deleted: DeletedRows | None


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads data files as rows of the table.

    Attributes:
        store: Rooted at the table.
        filesystem: The same, as Arrow sees it.
        schema: The table's.
        mapping: How its columns are found.
    """

    store: ObjectStore
    filesystem: fs.FileSystem
    schema: pa.Schema
    mapping: ColumnMapping

    def read(
        self, files: Iterable[DataFile], columns: Sequence[str]
    ) -> Iterator[tuple[DataFile, pa.RecordBatch]]:
        """Stream the rows of files, each batch with the file it is from.

        Args:
            files: Which, in the order to read them in.
            columns: Names of top-level columns of the table, in the order of the batches.
        """
        # Footers and vectors of the next files are fetched ahead of their reading.
        for opened in ahead("scan", self._open, files, _AHEAD):
            for batch in self._batches(opened, columns):
                yield opened.file, batch

    def _open(self, file: DataFile) -> _Opened:
        # Spark writes timestamps as INT96, which Arrow would read as nanoseconds and so overflow.
        parquet = pq.ParquetFile(
            self.filesystem.open_input_file(file.path),
            coerce_int96_timestamp_unit="us",
            pre_buffer=True,
        )
        if file.vector is None:
            return _Opened(file, parquet, None)
        deleted = read_deleted_rows(self.store, file.vector)
        if deleted.last >= parquet.metadata.num_rows:
            raise CorruptLog(
                f"the deletion vector {file.vector.unique_id!r} of {file.path} deletes row "
                f"{deleted.last}, and the file has {parquet.metadata.num_rows}",
                path=file.path,
                version=None,
            )
        return _Opened(file, parquet, deleted)

    def _batches(self, opened: _Opened, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        wanted = pa.schema([self.schema.field(name) for name in columns])
        stored = [field for field in wanted if field.name not in opened.file.partition]
        given = opened.parquet.schema_arrow
        found = adapter(given, stored, self.mapping, opened.file.path, self.schema)
        by_name = {field.name: column for field, column in zip(stored, found, strict=True)}
        names = [given.field(each.index).name for each in found if each.index is not None]
        start = 0
        for rows, raw in _raw_batches(opened.parquet, names):
            kept = None if opened.deleted is None else opened.deleted.kept(start, rows)
            start += rows
            arrays = []
            for field in wanted:
                column = by_name.get(field.name)
                if column is None:
                    arrays.append(pa.repeat(opened.file.partition[field.name], rows))
                elif column.index is None:
                    arrays.append(column.adapt(pa.nulls(rows)))
                else:
                    arrays.append(column.adapt(raw[given.field(column.index).name]))
            yield _kept(arrays, wanted, rows, kept)


def _kept(
    arrays: Sequence[pa.Array], schema: pa.Schema, rows: int, mask: pa.Array | None
) -> pa.RecordBatch:
    if not arrays:
        left = rows if mask is None else mask.true_count
        return pa.RecordBatch.from_struct_array(pa.array([{}] * left, pa.struct([])))
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return batch if mask is None else batch.filter(mask)


def _raw_batches(
    parquet: pq.ParquetFile, names: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, pa.Array]]]:
    """All rows of a file in order: their number, and the columns of these names."""
    for group in range(parquet.metadata.num_row_groups):
        if not names:
            rows = parquet.metadata.row_group(group).num_rows
            yield from ((min(_BATCH_ROWS, rows - at), {}) for at in range(0, rows, _BATCH_ROWS))
            continue
        # One row group at a time: Arrow fetches all that it is asked for before the first batch.
        for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=[group], columns=list(names)):
            yield batch.num_rows, {name: batch.column(name) for name in names}
