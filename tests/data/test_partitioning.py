import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_manifest.data.write.partitioning import split
from atomic_manifest.errors import DataError

KEYS = st.tuples(
    st.none() | st.text(min_size=1, max_size=3),
    st.none() | st.integers(-5, 5),
    st.none() | st.floats(),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(KEYS, max_size=30))
def test_every_row_is_in_the_one_part_of_its_values(keys: list[tuple]) -> None:
    schema = pa.schema([("s", pa.string()), ("i", pa.int32()), ("f", pa.float64())])
    columns = list(zip(*keys, strict=True)) or [(), (), ()]
    arrays = [pa.array(list(c), field.type) for c, field in zip(columns, schema, strict=True)]
    batch = pa.RecordBatch.from_arrays(
        [*arrays, pa.array(range(len(keys)))], names=["s", "i", "f", "row"]
    )
    seen: dict[int, tuple] = {}
    for values, part in split(pa.Table.from_batches([batch]), ["s", "i", "f"], batch.schema.names):
        rows = part["row"].to_pylist()
        assert rows == sorted(rows)
        assert part.select(["s", "i"]).equals(batch.take(part["row"]).select(["s", "i"]))
        assert part["s"].to_pylist() == [values[0]] * len(rows)
        assert {str(i) if i is not None else None for i in part["i"].to_pylist()} == {values[1]}
        for row in rows:
            assert row not in seen
            seen[row] = values
    assert sorted(seen) == list(range(len(keys)))


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array([True, None, False, True]), ["true", None, "false"]),
        (
            pa.array([dt.date(2026, 1, 2), None, dt.date(1969, 1, 1)]),
            ["2026-01-02", None, "1969-01-01"],
        ),
        (pa.array([1, None], pa.timestamp("us", "UTC")), ["1970-01-01T00:00:00.000001Z", None]),
        (pa.array([1, None], pa.timestamp("us")), ["1970-01-01 00:00:00.000001", None]),
        (pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)), ["1.50", None]),
        (pa.array([b"a", None], pa.binary()), ["a", None]),
        (pa.array(["é/ =", None, "b"]), ["é/ =", None, "b"]),
        (pa.array([float("nan"), float("nan"), 1.0]), ["NaN", "1.0"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_values_are_given_as_the_log_writes_them(array: pa.Array, texts: list) -> None:
    parts = split(pa.table({"p": array}), ["p"], ["p"])
    assert [values for values, _ in parts] == [(text,) for text in texts]


def address(part: pa.RecordBatch) -> int:
    return part["x"].buffers()[1].address  # type: ignore[no-any-return]


def test_rows_that_are_clustered_already_are_not_copied() -> None:
    table = pa.table({"p": ["b", "b", "a", "c", "c"], "x": range(5)})
    parts = list(split(table, ["p"], ["x"]))
    assert [(values, part["x"].to_pylist()) for values, part in parts] == [
        (("b",), [0, 1]),
        (("a",), [2]),
        (("c",), [3, 4]),
    ]
    assert {address(part) for _, part in parts} == {table["x"].chunk(0).buffers()[1].address}


def test_scattered_rows_are_copied_once() -> None:
    table = pa.table({"p": ["b", "a", "b", "a"], "x": range(4)})
    parts = list(split(table, ["p"], ["x"]))
    assert [part["x"].to_pylist() for _, part in parts] == [[0, 2], [1, 3]]
    (copy,) = {address(part) for _, part in parts}
    assert copy != table["x"].chunk(0).buffers()[1].address


def test_many_rows_are_copied_by_threads_to_the_same_result() -> None:
    rows = 1 << 19
    table = pa.table({"p": [n % 3 for n in range(9)] * (rows // 9), "x": range(rows // 9 * 9)})
    found: dict[int, list[pa.RecordBatch]] = {0: [], 1: [], 2: []}
    for (value,), part in split(table, ["p"], ["p", "x"]):
        found[int(value or 0)].append(part)
    for value, parts in found.items():
        numbers = pa.Table.from_batches(parts)["x"].combine_chunks()
        assert numbers.equals(pa.array(range(value, rows // 9 * 9, 3)))


def test_a_part_may_come_in_pieces_and_no_rows_make_no_part() -> None:
    table = pa.concat_tables([pa.table({"p": [1], "x": [1]}), pa.table({"p": [1, 2], "x": [2, 3]})])
    parts = [(values, part["x"].to_pylist()) for values, part in split(table, ["p"], ["x"])]
    assert parts == [(("1",), [1]), (("1",), [2]), (("2",), [3])]
    assert list(split(table.slice(0, 0), ["p"], ["x"])) == []


@pytest.mark.parametrize(
    "array",
    [pa.array([""]), pa.array([b""]), pa.array([b"\xff"])],
    ids=["text", "bytes", "not text"],
)
def test_a_value_the_log_cannot_hold_is_refused_by_column(array: pa.Array) -> None:
    with pytest.raises(DataError, match="'p'"):
        list(split(pa.table({"p": array}), ["p"], []))
