"""One Parquet file of a checkpoint, written as its rows come.

Invariants: the file appears whole or not at all. Its pages carry checksums and the file is sealed
(`seal`), so that damage shows. Memory is bounded by a row group and the parts of the upload.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from atomic_manifest.log.checkpoint.order import ROWS_PER_GROUP
from atomic_manifest.log.checkpoint.schema import file_rows
from atomic_manifest.log.seal import SealedSink
from atomic_manifest.store.conditions import Condition
from atomic_manifest.store.object_store import ObjectStore

_LEVEL = 1  # of zstd: higher ones make these files no smaller


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that was written.

    Attributes:
        path: Where.
        size: Its bytes.
        rows: Its actions.
    """

    path: str
    size: int
    rows: int


def write_file(
    store: ObjectStore,
    path: str,
    schema: pa.Schema,
    head: pa.Table | None,
    actions: Iterable[tuple[str, pa.Table]],
    *,
    when: Condition | None,
) -> WrittenFile:
    """Write a file of a checkpoint.

    Args:
        store: Rooted at the table.
        path: Of the file.
        schema: See `checkpoint.schema.schema`.
        head: Rows that are no file actions, in that schema; they come first.
        actions: Of files, a row group at a time: `add` or `remove`, and their columns.
        when: The condition on which it may appear.

    Raises:
        PreconditionFailed: The condition did not hold. Also known as `AlreadyExists`.
        StoreError: The store failed; nothing appeared.
        CorruptLog, DataError: What the actions raise; nothing appeared.
    """
    with store.upload(path, when=when) as upload:
        sink = SealedSink(upload, path.rpartition("/")[2])
        writer = pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=False,
            write_page_checksum=True,
            write_batch_size=ROWS_PER_GROUP,
            store_schema=False,
        )
        try:
            rows = _write_rows(writer, schema, head, actions)
        finally:  # closed before the upload is, whatever happens
            sink.begin_footer()
            writer.close()
        sink.finish()
        size = upload.tell()
    return WrittenFile(path, size, rows)


def _write_rows(
    writer: pq.ParquetWriter,
    schema: pa.Schema,
    head: pa.Table | None,
    actions: Iterable[tuple[str, pa.Table]],
) -> int:
    rows = 0
    if head is not None:
        writer.write_table(head)
        rows += head.num_rows
    for kind, table in actions:
        writer.write_table(file_rows(kind, table, schema))
        rows += table.num_rows
    return rows
