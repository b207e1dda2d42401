"""The rows of a snapshot as a stream that holds little, however large the table and slow its reader.

Arrow's own scanner runs up to a gigabyte ahead of whoever reads it. Here a few pieces are read ahead:
small files whole, of large ones a row group each.

Invariants: pieces come in the log's order and are given in it; at most `_AHEAD` of them are in memory
besides the one at hand, and no more files are open. A reader that is given up leaves no thread behind.
A file whose statistics Arrow cannot hold against the filter, as of texts that delta-rs wrote as views,
is read whole and filtered after.

Error semantics: as `reader.to_dataset`.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from atomic_manifest.data.filter.filters import Filter, to_expression
from atomic_manifest.data.read.ahead import ahead
from atomic_manifest.data.read.reader import parts_of
from atomic_manifest.data.read.table_dataset import BATCH_ROWS, Parts
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.store.object_store import ObjectStore

_WHOLE_BYTES = 16 << 20
_AHEAD = 4


def stream(
    store: ObjectStore,
    snapshot: Snapshot,
    *,
    columns: Sequence[str] | None = None,
    filter: Filter = None,
    batch_size: int = BATCH_ROWS,
) -> pa.RecordBatchReader:
    """Read a snapshot.

    Args:
        store: Rooted at the table.
        snapshot: The version to read.
        columns: Which, in which order; None for all.
        filter: Rows to give; see `filter.filters.Filter`.
        batch_size: The most rows of a batch.

    Raises:
        InvalidFilter: `filter` does not fit the table.
    """
    expression = to_expression(filter, snapshot.schema)
    parts = parts_of(store, snapshot, filter)
    names = None if columns is None else list(columns)
    schema = parts.plain.scanner(columns=names).projected_schema
    batches = _batches(parts, names, expression, batch_size)
    fitting = (
        pa.RecordBatch.from_arrays(batch.columns, schema=schema) if names != [] else batch
        for batch in batches
        if batch.num_rows
    )
    return pa.RecordBatchReader.from_batches(schema, fitting)


def _batches(
    parts: Parts, columns: list[str] | None, filter: pc.Expression | None, batch_size: int
) -> Iterator[pa.RecordBatch]:
    def read(piece: ds.Fragment) -> list[pa.RecordBatch]:
        try:
            found = piece.to_batches(
                schema=parts.schema, columns=columns, filter=filter, batch_size=batch_size
            )
            return list(found)
        except pa.ArrowNotImplementedError:
            if filter is None:
                raise
        needed = parts.needed(columns, filter)
        rows = piece.to_batches(schema=parts.schema, columns=needed, batch_size=batch_size)
        return list(parts.asked(rows, columns, filter))

    for batches in ahead(read, _pieces(parts, filter), _AHEAD):
        yield from batches
    yield from parts.special_batches(columns, filter, batch_size)


def _pieces(parts: Parts, filter: pc.Expression | None) -> Iterator[ds.Fragment]:
    for fragment in parts.plain.get_fragments(filter):
        if parts.sizes[fragment.path] <= _WHOLE_BYTES:
            yield fragment
        else:
            yield from _row_groups(fragment, filter, parts.schema)


def _row_groups(
    fragment: ds.ParquetFileFragment, filter: pc.Expression | None, schema: pa.Schema
) -> Sequence[ds.Fragment]:
    try:
        groups: Sequence[ds.Fragment] = fragment.split_by_row_group(filter, schema)
    except pa.ArrowNotImplementedError:
        groups = fragment.split_by_row_group()
    return groups
