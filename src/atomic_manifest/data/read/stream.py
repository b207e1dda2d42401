"""The rows of a snapshot as a stream that holds little, however large the table and slow its reader.

Arrow's own scanner runs up to a gigabyte ahead of whoever reads it. Here a few pieces are read ahead:
small files whole, of large ones a row group each.

Invariants: pieces come in the log's order and are given in it; at most `_AHEAD` of them are in memory
besides the one at hand, and no more files are open. A reader that is given up leaves no thread behind.
A file whose statistics Arrow cannot hold against the filter, as of texts that delta-rs wrote as views,
is read whole and filtered after. Files whose columns Arrow does not find come last, read by `files`.

Error semantics: as `reader.to_dataset`.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from atomic_manifest.data.filter.filters import Filter, to_expression
from atomic_manifest.data.read.files import DataFile
from atomic_manifest.data.read.reader import parts_of
from atomic_manifest.data.read.table_dataset import BATCH_ROWS, Parts
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.threads import ahead

_WHOLE_BYTES = 16 << 20
_AHEAD = 4


def stream(
    store: ObjectStore,
    snapshot: Snapshot,
    *,
    columns: Sequence[str] | None = None,
    filter: Filter = None,
    batch_size: int = BATCH_ROWS,
    only: pa.Table | None = None,
) -> pa.RecordBatchReader:
    """Read a snapshot.

    Args:
        store: Rooted at the table.
        snapshot: The version to read.
        columns: Which, in which order; None for all.
        filter: Rows to give; see `filter.filters.Filter`.
        batch_size: The most rows of a batch.
        only: Rows of `snapshot.files()`: the files to read; None for all.

    Raises:
        InvalidFilter: `filter` does not fit the table.
    """
    expression = to_expression(filter, snapshot.schema)
    parts = parts_of(store, snapshot, filter, only)
    names = None if columns is None else list(columns)
    schema = parts.plain.scanner(columns=names).projected_schema
    batches = _batches(parts, names, expression, batch_size)
    fitting = (
        pa.RecordBatch.from_arrays(batch.columns, schema=schema) if names != [] else batch
        for batch in batches
        if batch.num_rows
    )
    return pa.RecordBatchReader.from_batches(schema, fitting)


def batches_by_file(
    store: ObjectStore, snapshot: Snapshot, only: pa.Table, columns: Sequence[str]
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Stream the rows of files, each batch with the path of the file that it is from.

    Args:
        store: Rooted at the table.
        snapshot: The version to read.
        only: Rows of `snapshot.files()`.
        columns: Names of top-level columns, at least one.
    """
    parts = parts_of(store, snapshot, None, only)
    odd: list[DataFile] = []
    for path, batches in _pieces_read(parts, list(columns), None, BATCH_ROWS, odd):
        for batch in batches:
            yield path, batch
    for file, batch in parts.reader.read([*parts.special, *odd], columns):
        yield file.path, batch


def _batches(
    parts: Parts, columns: list[str] | None, filter: pc.Expression | None, batch_size: int
) -> Iterator[pa.RecordBatch]:
    odd: list[DataFile] = []
    for _, batches in _pieces_read(parts, columns, filter, batch_size, odd):
        yield from batches
    yield from parts.special_batches(columns, filter, batch_size, odd)


def _pieces_read(
    parts: Parts,
    columns: list[str] | None,
    filter: pc.Expression | None,
    batch_size: int,
    odd: list[DataFile],
) -> Iterator[tuple[str, list[pa.RecordBatch]]]:
    """What Arrow reads right, by path; files whose columns it does not find go to `odd`."""

    def read(piece: ds.Fragment) -> tuple[str, list[pa.RecordBatch], DataFile | None]:
        try:
            found = _read(parts, piece, columns, filter, batch_size)
        except pa.ArrowException:
            if (file := parts.odd(piece)) is None:
                raise
            return piece.path, [], file
        # Now that there is a footer, this costs no request.
        return piece.path, found, parts.odd(piece)

    for path, batches, file in ahead("scan", read, _pieces(parts, filter, odd), _AHEAD):
        if file is None:
            yield path, batches
        else:
            odd.append(file)


def _read(
    parts: Parts,
    piece: ds.Fragment,
    columns: list[str] | None,
    filter: pc.Expression | None,
    batch_size: int,
) -> list[pa.RecordBatch]:
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


def _pieces(
    parts: Parts, filter: pc.Expression | None, odd: list[DataFile]
) -> Iterator[ds.Fragment]:
    for fragment in parts.plain.get_fragments(filter):
        if parts.sizes[fragment.path] <= _WHOLE_BYTES:
            yield fragment
            continue
        groups = _row_groups(fragment, filter, parts.schema)
        if (file := parts.odd(fragment)) is None:
            yield from groups
        else:
            odd.append(file)


def _row_groups(
    fragment: ds.ParquetFileFragment, filter: pc.Expression | None, schema: pa.Schema
) -> Sequence[ds.Fragment]:
    try:
        groups: Sequence[ds.Fragment] = fragment.split_by_row_group(filter, schema)
    except pa.ArrowNotImplementedError:
        groups = fragment.split_by_row_group()
    return groups
