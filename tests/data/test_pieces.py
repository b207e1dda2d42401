"""Batches are cut by what their rows take once dictionaries, run ends and views are written out."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from atomic_manifest.data.input.conform import conform
from atomic_manifest.data.input.pieces import PIECE_BYTES, PIECE_ROWS, pieces, row_sizes
from atomic_manifest.log.metadata.schema import canonical

ROWS = 20_000
LONG = "x" * 17_000
INDICES = pa.repeat(pa.scalar(0, pa.int32()), ROWS)


def dictionary(values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(INDICES, values)


def run_ends(values: pa.Array) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array([ROWS], pa.int32()), values)


def views(values: pa.Array) -> pa.Array:
    """One view, as often as there are rows: Arrow has no function that makes it."""
    one = values.cast(pa.string_view()).buffers()
    buffers = [None, pa.py_buffer(one[1].to_pybytes()[:16] * ROWS), *one[2:]]
    return pa.Array.from_buffers(pa.string_view(), ROWS, buffers)


def in_lists(array: pa.Array) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array(range(ROWS + 1), pa.int64()), array)


SHAPES: dict[str, Callable[[pa.Array], pa.Array]] = {
    "column": lambda array: array,
    "list": in_lists,
    "struct": lambda array: pa.StructArray.from_arrays([array], ["a"]),
    "map": lambda array: pa.MapArray.from_arrays(
        pa.array(range(ROWS + 1), pa.int32()), pa.array(range(ROWS)), array
    ),
    "list of structs": lambda array: in_lists(pa.StructArray.from_arrays([array], ["a"])),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("encoded", [dictionary, run_ends, views])
def test_long_values_that_are_stored_once_are_written_out_a_piece_at_a_time(
    encoded: Callable[[pa.Array], pa.Array], shape: str
) -> None:
    column = SHAPES[shape](encoded(pa.array([LONG])))
    batch = pa.record_batch([column], names=["x"])
    target = canonical(batch.schema)
    rows = 0
    for piece in conform(pa.RecordBatchReader.from_batches(batch.schema, [batch]), target):
        assert piece.nbytes <= PIECE_BYTES + (1 << 20)
        rows += piece.num_rows
    assert rows == ROWS
    assert row_sizes(column)[ROWS - 1].as_py() >= len(LONG)


def test_nested_encodings_count_as_what_they_hold() -> None:
    inner = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array([LONG]))
    lists = pa.ListArray.from_arrays(pa.array([0, 2], pa.int32()), inner)
    assert row_sizes(dictionary(lists))[0].as_py() >= 2 * len(LONG)


@pytest.mark.parametrize(
    ("array", "sizes"),
    [
        (pa.array([1, None], pa.int16()), [2, 2]),
        (pa.array([True, None]), [1, 1]),
        (pa.array(["abc", None, ""]), [7, 4, 4]),
        (pa.array(["abc", None, "x" * 20], pa.string_view()), [7, 4, 24]),
        (pa.array([b"ab", None], pa.binary(2)), [2, 2]),
        (pa.array(["a", "abc", None, "a"]).dictionary_encode(), [5, 7, 0, 5]),
        (pa.array([[1, 2], None, []], pa.list_(pa.int32())), [12, 4, 4]),
        (pa.array([[1, 2], None, []], pa.list_view(pa.int32())), [12, 4, 4]),
        (pa.array([{"a": 1, "b": "x"}, None]), [13, 12]),
        (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), [17, 4]),
        (pa.nulls(2), [0, 0]),
    ],
    ids=lambda each: str(each.type) if isinstance(each, pa.Array) else "",
)
def test_the_bytes_of_rows(array: pa.Array, sizes: list[int]) -> None:
    assert row_sizes(array).to_pylist() == sizes
    assert row_sizes(array.slice(1)).to_pylist() == sizes[1:]


def test_rows_of_uneven_length_are_cut_where_the_room_ends() -> None:
    column = pa.array(["a"] * 1000 + ["x" * (40 << 20)] * 3 + ["b"], pa.large_string())
    batch = pa.record_batch([column.dictionary_encode()], names=["x"])
    found = [piece.num_rows for piece in pieces(batch)]
    assert found == [1001, 1, 2]


def test_small_batches_stay_whole_and_long_ones_are_cut_by_rows() -> None:
    small: Any = pa.record_batch([pa.array(["a", "b"]).dictionary_encode()], names=["x"])
    assert list(pieces(small)) == [small]
    long = pa.record_batch([pa.repeat(pa.scalar(1), PIECE_ROWS + 1)], names=["x"])
    assert [piece.num_rows for piece in pieces(long)] == [PIECE_ROWS, 1]
