"""Rows split by the values of their partition columns, column-wise: no Python per row.

Invariants: every row is in exactly one part, in its order; the parts come in the order of the first
appearance of their values. Values that the log writes alike (protocol, "Partition Value
Serialization") are one partition.

Error semantics: `DataError` naming the column for a value that the log has no text for. The empty
string is one: every reader would take it for null.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.errors import DataError
from atomic_manifest.log.metadata.partition import serialize

Values: TypeAlias = tuple[str | None, ...]
"""The serialized values of one partition, in the order of the partition columns."""

_WORTH_THREADS = 4 << 20
"""Bytes."""

_PIECES = 8
"""Of rows that are copied by threads. However many processors there are: row groups begin where pieces do,
and a task that is repeated on another machine shall have the same."""


def coalesced(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """The same rows in tables of about so many bytes, since each split costs by the partition."""
    held: list[pa.RecordBatch] = []
    total = 0
    for batch in batches:
        if held and total + batch.nbytes > size:
            yield pa.Table.from_batches(held)
            held, total = [], 0
        held.append(batch)
        total += batch.nbytes
    if held:
        yield pa.Table.from_batches(held)


def split(
    rows: pa.Table, columns: Sequence[str], kept: Sequence[str]
) -> Iterator[tuple[Values, pa.RecordBatch]]:
    """Split rows by the values of `columns`.

    Args:
        rows: Any; none gives no part.
        columns: Names of the partition columns, at least one.
        kept: Names of the columns that the parts have.

    Yields:
        The values of a part and rows of it: slices of one copy, or of `rows` themselves if the rows of
        each part follow each other already. A part may come in several pieces, one after the other.

    Raises:
        DataError: A value that cannot be a partition value.
    """
    if not rows.num_rows:
        return
    codes = _codes([rows.column(name).combine_chunks() for name in columns])
    runs = pc.run_end_encode(codes)
    wanted = rows.select(kept)
    if len(runs.values) == pc.count_distinct(runs.values).as_py():
        order = None
    else:
        order = pc.array_sort_indices(codes)  # stable: rows keep their order
        runs = pc.run_end_encode(codes.take(order))
        wanted = _taken(wanted, order)
    ends = runs.run_ends.to_pylist()
    firsts = pa.array([0, *ends[:-1]], pa.int64())
    keys = rows.select(columns).take(firsts if order is None else order.take(firsts))
    for values, start, end in zip(_values(keys), firsts.to_pylist(), ends, strict=True):
        for piece in _slices(wanted, start, end - start):
            yield values, piece


def _taken(rows: pa.Table, order: pa.Array) -> pa.Table:
    """The rows in another order; a copy. Many rows are copied by several threads, some rows each."""
    if rows.nbytes < _WORTH_THREADS:
        return rows.take(order)
    rows = rows.combine_chunks()
    size = -(-len(order) // _PIECES)
    with ThreadPoolExecutor(min(_PIECES, os.cpu_count() or 1)) as pool:
        pieces = (order.slice(start, size) for start in range(0, len(order), size))
        return pa.concat_tables(pool.map(rows.take, pieces))


def _slices(rows: pa.Table, start: int, count: int) -> list[pa.RecordBatch]:
    return rows.slice(start, count).to_batches()  # type: ignore[no-any-return]


def _values(keys: pa.Table) -> list[Values]:
    """The values of each row."""
    columns = [[_text(scalar, name) for scalar in keys.column(name)] for name in keys.column_names]
    return list(zip(*columns, strict=True))


def _codes(columns: Sequence[pa.Array]) -> pa.Array:
    """One integer a row, equal where all columns are equal, numbered by first appearance."""
    first, *rest = (pc.dictionary_encode(each, null_encoding="encode") for each in columns)
    codes = first.indices
    for encoded in rest:
        wide = pc.multiply(codes.cast(pa.int64()), len(encoded.dictionary))
        codes = pc.dictionary_encode(pc.add(wide, encoded.indices.cast(pa.int64()))).indices
    return codes


def _text(scalar: pa.Scalar, column: str) -> str | None:
    try:
        text = serialize(scalar)
    except DataError as error:
        raise DataError(f"partition column {column!r}: {error}", column=column) from error
    if text is None and scalar.is_valid:
        raise DataError(
            f"partition column {column!r}: an empty value cannot be told from null, use null",
            column=column,
        )
    return text
