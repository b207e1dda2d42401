"""Rows split by the values of their partition columns, column-wise: no Python per row.

Invariants: every row is in exactly one part, in its order; the parts come in the order of the first
appearance of their values. Values that the log writes alike (protocol, "Partition Value
Serialization") are one partition.

Error semantics: `DataError` naming the column for a value that the log has no text for. The empty
string is one: every reader would take it for null.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.errors import DataError
from atomic_manifest.log.metadata.partition import serialize
from atomic_manifest.threads import ThreadPool

Values: TypeAlias = tuple[str | None, ...]
"""The serialized values of one partition, in the order of the partition columns."""

Part: TypeAlias = tuple[Values, pa.RecordBatch]
"""Some rows of a partition."""

_WORTH_A_THREAD = 4 << 20
"""Bytes."""

_AHEAD = 2
"""Tables that are split while another is dealt with."""


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


def split_ahead(
    tables: Iterable[pa.Table], columns: Sequence[str], kept: Sequence[str]
) -> Iterator[tuple[pa.Table, list[Part]]]:
    """Split tables, see `split`. ThreadPool split the next large ones while one is dealt with.

    Yields:
        Each table with its parts.
    """
    waiting: deque[tuple[pa.Table, Future[list[Part]]]] = deque()
    with ThreadPool("split", _AHEAD) as threads:
        for table in tables:
            if table.nbytes < _WORTH_A_THREAD and not waiting:
                yield table, split(table, columns, kept)
                continue
            waiting.append((table, threads.submit(split, table, columns, kept)))
            if len(waiting) > _AHEAD:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)


def _next(waiting: deque[tuple[pa.Table, Future[list[Part]]]]) -> tuple[pa.Table, list[Part]]:
    table, parts = waiting.popleft()
    return table, parts.result()


def split(rows: pa.Table, columns: Sequence[str], kept: Sequence[str]) -> list[Part]:
    """Split rows by the values of `columns`.

    Args:
        rows: Any; none gives no part.
        columns: Names of the partition columns, at least one.
        kept: Names of the columns that the parts have.

    Returns:
        The values of each part and rows of it: slices of one copy, or of `rows` themselves if the rows
        of each part follow each other already. A part may come in several pieces, one after the other.

    Raises:
        DataError: A value that cannot be a partition value.
    """
    if not rows.num_rows:
        return []
    codes, count = _codes([rows.column(name).combine_chunks() for name in columns])
    wanted, order = rows.select(kept), None
    if _changes(codes) >= count:
        order = pc.array_sort_indices(codes)  # stable: rows keep their order
        codes = codes.take(order)
        wanted = wanted.take(order)
    ends = pc.run_end_encode(codes).run_ends.to_pylist()
    firsts = pa.array([0, *ends[:-1]], pa.int64())
    keys = rows.select(columns).take(firsts if order is None else order.take(firsts))
    return [
        (values, piece)
        for values, start, end in zip(_values(keys), firsts.to_pylist(), ends, strict=True)
        for piece in _slices(wanted, start, end - start)
    ]


def _changes(codes: pa.Array) -> int:
    """How many are unlike the one before."""
    return pc.sum(pc.not_equal(codes[1:], codes[:-1])).as_py() or 0


def _slices(rows: pa.Table, start: int, count: int) -> list[pa.RecordBatch]:
    return rows.slice(start, count).to_batches()  # type: ignore[no-any-return]


def _values(keys: pa.Table) -> list[Values]:
    """The values of each row."""
    columns = [[_text(scalar, name) for scalar in keys.column(name)] for name in keys.column_names]
    return list(zip(*columns, strict=True))


def _codes(columns: Sequence[pa.Array]) -> tuple[pa.Array, int]:
    """One integer a row, equal where all columns are equal, numbered by first appearance; how many."""
    first, *rest = (pc.dictionary_encode(each, null_encoding="encode") for each in columns)
    codes, count = first.indices, len(first.dictionary)
    for encoded in rest:
        wide = pc.multiply(codes.cast(pa.int64()), len(encoded.dictionary))
        both = pc.dictionary_encode(pc.add(wide, encoded.indices.cast(pa.int64())))
        codes, count = both.indices, len(both.dictionary)
    return codes, count


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
