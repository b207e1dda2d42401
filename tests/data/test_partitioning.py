import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_manifest.data.partitioning import split
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
    for values, part in split(batch, ["s", "i", "f"]):
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
    parts = split(pa.record_batch({"p": array}), ["p"])
    assert [values for values, _ in parts] == [(text,) for text in texts]


def test_parts_do_not_hold_each_others_memory() -> None:
    batch = pa.record_batch({"p": ["b"] * 10_000 + ["a"], "x": range(10_001)})
    (_, large), (_, small) = split(batch, ["p"])
    assert (large.num_rows, small.num_rows) == (10_000, 1)
    assert small.get_total_buffer_size() < 1000
    ((_, whole),) = split(large, ["p"])
    assert whole["x"].buffers()[1].address == large["x"].buffers()[1].address


def test_without_partition_columns_there_is_one_part() -> None:
    batch = pa.record_batch({"x": [1, 2]})
    assert [(values, part.num_rows) for values, part in split(batch, [])] == [((), 2)]
    assert list(split(batch.slice(0, 0), [])) == []
    assert list(split(batch.slice(0, 0), ["x"])) == []


@pytest.mark.parametrize(
    "array",
    [pa.array([""]), pa.array([b""]), pa.array([b"\xff"])],
    ids=["text", "bytes", "not text"],
)
def test_a_value_the_log_cannot_hold_is_refused_by_column(array: pa.Array) -> None:
    with pytest.raises(DataError, match="'p'"):
        list(split(pa.record_batch({"p": array}), ["p"]))
