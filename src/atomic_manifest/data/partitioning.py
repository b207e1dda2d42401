"""Rows split by the values of their partition columns, column-wise: no Python per row.

Invariants: every row is in exactly one part, in its order; the parts of a batch come in the order of
the first appearance of their values. Values that the log writes alike (protocol, "Partition Value
Serialization") are one partition.

Error semantics: `DataError` naming the column for a value that the log has no text for. The empty
string is one: every reader would take it for null.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.errors import DataError
from atomic_manifest.log.partition import serialize

Values: TypeAlias = tuple[str | None, ...]
"""The serialized values of one partition, in the order of the partition columns."""


def coalesced(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of about so many bytes, since each split costs by the partition."""
    held: list[pa.RecordBatch] = []
    total = 0
    for batch in batches:
        if held and total + batch.nbytes > size:
            yield pa.concat_batches(held)
            held, total = [], 0
        held.append(batch)
        total += batch.nbytes
    if held:
        yield pa.concat_batches(held)


def split(batch: pa.RecordBatch, columns: Sequence[str]) -> Iterator[tuple[Values, pa.RecordBatch]]:
    """Split a batch by the values of `columns`, which the parts still hold.

    Args:
        batch: Any rows; none gives no part.
        columns: Names of the partition columns; none gives one part.

    Yields:
        The values of a part and its rows, which share no memory with those of other parts.

    Raises:
        DataError: A value that cannot be a partition value.
    """
    if not columns or not batch.num_rows:
        if batch.num_rows:
            yield (), batch
        return
    codes = _codes([batch.column(name) for name in columns], batch.num_rows)
    order = pc.array_sort_indices(codes)  # stable: rows keep their order
    start = 0
    for end in pc.run_end_encode(codes.take(order)).run_ends.to_pylist():
        rows = order.slice(start, end - start)
        # A copy, not a slice: a part that is held for long must not hold the whole batch.
        part = batch if len(rows) == batch.num_rows else batch.take(rows)
        yield _values(part, columns), part
        start = end


def _codes(columns: Sequence[pa.Array], rows: int) -> pa.Array:
    """One integer a row, equal where all columns are equal, numbered by first appearance."""
    codes = pa.repeat(pa.scalar(0, pa.int32()), rows)
    for column in columns:
        encoded = pc.dictionary_encode(column, null_encoding="encode")
        wide = pc.multiply(codes.cast(pa.int64()), len(encoded.dictionary))
        codes = pc.dictionary_encode(pc.add(wide, encoded.indices.cast(pa.int64()))).indices
    return codes


def _values(part: pa.RecordBatch, columns: Sequence[str]) -> Values:
    return tuple(_text(part.column(name)[0], name) for name in columns)


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
