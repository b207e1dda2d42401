"""Cuts batches by the room that their rows take once dictionaries and run ends are written out.

A batch may say 17 kB for each of its rows by a dictionary of one value: written out at once it would
fill the memory, and overflow the offsets of Arrow's arrays.
"""

from bisect import bisect_right
from collections.abc import Iterator
from sys import byteorder

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from atomic_manifest.data.input.casting import is_bytes, is_list, is_text
from atomic_manifest.data.input.structs import pairs_of

PIECE_ROWS = 1 << 17
PIECE_BYTES = 64 << 20
_INTS_OF_VIEW = 4


def _number(value: int) -> pa.Int64Scalar:
    """A number, without the pandas that `pa.scalar` imports."""
    return pa.Array.from_buffers(pa.int64(), 1, [None, pa.py_buffer(value.to_bytes(8, byteorder))])[
        0
    ]


_ZERO, _OFFSET = _number(0), _number(4)


def pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Slices of a batch, small enough for 32-bit offsets and for bounded memory when written out.

    Args:
        batch: Any.

    Returns:
        Of at most 131,072 rows and about 64 MiB each, or of one row.
    """
    rows = batch.num_rows
    plain = not any(_says_less(field.type) for field in batch.schema)
    if rows <= PIECE_ROWS and plain and batch.nbytes <= PIECE_BYTES:
        yield batch
        return
    for start in range(0, rows, PIECE_ROWS):
        yield from _by_size(batch.slice(start, PIECE_ROWS))


def _by_size(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    total = _equal(0, batch.num_rows)
    for column in batch.columns:
        total = pc.add(total, row_sizes(column))
    if pc.sum(total, min_count=0).as_py() <= PIECE_BYTES:
        yield batch
        return
    ends = pc.cumulative_sum(total).to_pylist()
    start, done = 0, 0
    while start < batch.num_rows:
        end = max(start + 1, bisect_right(ends, done + PIECE_BYTES, start))
        yield batch.slice(start, end - start)
        start, done = end, ends[end - 1]


def _says_less(kind: pa.DataType) -> bool:
    """Whether the bytes of an array do not tell those of its values."""
    if isinstance(kind, pa.BaseExtensionType):
        return _says_less(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return True
    if types.is_string_view(kind) or types.is_binary_view(kind):
        return True
    if types.is_map(kind):
        return _says_less(kind.key_type) or _says_less(kind.item_type)
    if types.is_union(kind):
        return False
    return any(_says_less(kind.field(index).type) for index in range(kind.num_fields))


def row_sizes(array: pa.Array) -> pa.Array:
    """The bytes of each row, written out; nulls and the bits of validity cost nothing.

    Args:
        array: Of any type; unions and what is in them count as what they are stored in.
    """
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return row_sizes(array.storage)
    if (is_text(kind) or is_bytes(kind)) and not types.is_fixed_size_binary(kind):
        viewed = types.is_string_view(kind) or types.is_binary_view(kind)
        lengths = _of_views(array) if viewed else pc.binary_length(array)
        return pc.add(pc.fill_null(lengths.cast(pa.int64()), _ZERO), _OFFSET)
    if (nested := _of_nested(array, kind)) is not None:
        return nested
    fixed = types.is_primitive(kind) or types.is_decimal(kind) or types.is_fixed_size_binary(kind)
    width = -(-kind.bit_width // 8) if fixed else -(-array.nbytes // max(1, len(array)))
    return _equal(width, len(array))


def _of_nested(array: pa.Array, kind: pa.DataType) -> pa.Array | None:
    if types.is_dictionary(kind):
        return pc.fill_null(row_sizes(array.dictionary).take(array.indices), _ZERO)
    if types.is_run_end_encoded(kind):
        runs = pa.RunEndEncodedArray.from_arrays(array.run_ends, row_sizes(array.values))
        return pc.run_end_decode(runs.slice(array.offset, len(array)))
    if types.is_struct(kind):
        total = _equal(0, len(array))
        for child in array.flatten():
            total = pc.add(total, row_sizes(child))
        return total
    if types.is_map(kind):
        return row_sizes(pairs_of(array))
    if is_list(kind):
        return _of_lists(array)
    return _equal(0, len(array)) if types.is_null(kind) else None


def _of_views(array: pa.Array) -> pa.Array:
    """What Arrow has no function for: a view begins with its length, and takes 16 bytes."""
    at, count = array.offset * _INTS_OF_VIEW, len(array) * _INTS_OF_VIEW
    ints = pa.Array.from_buffers(pa.int32(), at + count, [None, array.buffers()[1]]).slice(at)
    lengths = pc.list_element(pa.FixedSizeListArray.from_arrays(ints, _INTS_OF_VIEW), 0)
    return pc.if_else(array.is_valid(), lengths.cast(pa.int64()), _ZERO)


def _of_lists(array: pa.Array) -> pa.Array:
    ends = pc.cumulative_sum(row_sizes(array.flatten()))
    before = pa.concat_arrays([_equal(0, 1), ends])
    counts = pc.fill_null(pc.list_value_length(array).cast(pa.int64()), _ZERO)
    last = pc.cumulative_sum(counts)
    first = pc.subtract(last, counts)
    inside = pc.subtract(before.take(last), before.take(first))
    return pc.add(inside, _OFFSET)


def _equal(size: int, rows: int) -> pa.Array:
    return pa.repeat(_number(size), rows)
