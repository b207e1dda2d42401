import datetime as dt
import random
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atomic_manifest.data.write.encoder import RowGroupEncoder
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.errors import DataError
from tests.interop.exact import facts
from tests.interop.type_cases import CASES

ROWS = 5000
RANDOM = np.random.default_rng(1)


def encode(table: pa.Table, **options: Any) -> pq.ParquetFile:
    encoded = RowGroupEncoder(table.schema, WriteOptions(**options)).encode(table)
    return pq.ParquetFile(pa.BufferReader(encoded.file))


def with_dictionary(file: pq.ParquetFile) -> set[str]:
    group = file.metadata.row_group(0)
    columns = (group.column(index) for index in range(group.num_columns))
    return {column.path_in_schema for column in columns if column.has_dictionary_page}


DISTINCT = {
    "numbers": np.arange(ROWS),
    "floats": RANDOM.normal(size=ROWS),
    "texts": [f"id-{n}" for n in range(ROWS)],
    "bytes": [n.to_bytes(8, "big") for n in range(ROWS)],
    "decimals": [Decimal(n) / 4 for n in range(ROWS)],
    "times": [dt.datetime(2026, 1, 1) + dt.timedelta(seconds=n) for n in range(ROWS)],
    "two of each": RANDOM.permutation(np.arange(ROWS) // 2),
    "some null": [None if n % 3 else n for n in range(ROWS)],
}
REPEATING = {
    "few": RANDOM.integers(0, 10, ROWS),
    "a tenth": RANDOM.integers(0, ROWS // 10, ROWS),
    "runs": np.arange(ROWS) // 8,
    "rotating": np.arange(ROWS) % 500,
    "texts": [f"zone-{n % 50}" for n in range(ROWS)],
    "nulls": pa.nulls(ROWS, pa.int64()),
    "one": np.zeros(ROWS),
}


@pytest.mark.parametrize("values", DISTINCT.values(), ids=DISTINCT)
def test_a_column_whose_values_hardly_repeat_gets_no_dictionary(values: Any) -> None:
    assert with_dictionary(encode(pa.table({"x": values}))) == set()


@pytest.mark.parametrize("values", REPEATING.values(), ids=REPEATING)
def test_a_column_whose_values_repeat_gets_a_dictionary(values: Any) -> None:
    assert with_dictionary(encode(pa.table({"x": values}))) == {"x"}


def test_distinct_values_are_not_taken_for_repeating_in_a_large_row_group() -> None:
    values = RANDOM.permutation(1 << 20)
    repeating = RANDOM.integers(0, 100_000, 1 << 20)
    file = encode(pa.table({"x": values, "y": repeating}))
    assert with_dictionary(file) == {"y"}


def test_nested_columns_keep_their_dictionaries() -> None:
    value = {"a": 1, "b.c": ["x"]}
    table = pa.table(
        {
            "id": range(9),
            "s": [value] * 9,
            "m": pa.array([[("k", 1)]] * 9, pa.map_("string", "int64")),
        }
    )
    found = with_dictionary(encode(table))
    assert found == {"s.a", "s.b.c.list.element", "m.key_value.key", "m.key_value.value"}


@pytest.mark.parametrize(
    ("parquet", "expected"),
    [
        ({"use_dictionary": True}, {"x", "y"}),
        ({"use_dictionary": False}, set()),
        ({"use_dictionary": ["x"]}, {"x"}),
        ({"use_dictionary": False, "column_encoding": {"x": "DELTA_BINARY_PACKED"}}, set()),
        ({"use_dictionary": False, "use_byte_stream_split": True}, set()),
    ],
)
def test_what_the_caller_says_of_dictionaries_wins(
    parquet: dict[str, Any], expected: set[str]
) -> None:
    table = pa.table({"x": range(100), "y": [1] * 100})
    assert with_dictionary(encode(table, parquet=parquet)) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compression": "nope"}, "nope"),
        ({"parquet": {"nope": 1}}, "nope"),
        ({"parquet": {"data_page_version": "3.0"}}, "3.0"),
        ({"parquet": {"sorting_columns": [3]}}, "sorting_columns"),
        ({"parquet": {"column_encoding": {"x": "PLAIN"}}}, "use_dictionary"),
    ],
)
def test_options_that_arrow_does_not_take_are_refused_at_once(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        RowGroupEncoder(pa.schema([("x", pa.int64())]), WriteOptions(**options))


def test_rows_that_do_not_repeat_take_less_than_with_dictionaries() -> None:
    table = pa.table({name: RANDOM.normal(size=4096) for name in "abcd"})
    ours = encode(table).metadata.row_group(0).total_byte_size
    arrows = encode(table, parquet={"use_dictionary": True}).metadata.row_group(0).total_byte_size
    assert ours < 0.9 * arrows


@pytest.mark.parametrize("array", CASES.values(), ids=CASES)
def test_columns_of_any_type_are_as_with_arrows_own_choice(array: pa.Array) -> None:
    table = pa.table({"x": array})
    try:
        expected = encode(table, parquet={"use_dictionary": True}).read()["x"]
    except (DataError, pa.ArrowException, OSError):
        with pytest.raises((pa.ArrowException, OSError)):
            encode(table)
    else:
        found = encode(table).read()["x"]
        assert found.type == expected.type
        assert facts(found) == facts(expected)


def test_the_same_rows_give_the_same_bytes() -> None:
    values = [random.Random(1).random() for _ in range(ROWS)]
    table = pa.table({"x": values, "y": [round(value, 2) for value in values]})
    encoder = RowGroupEncoder(table.schema, WriteOptions())
    assert encoder.encode(table).file == encoder.encode(table).file


def test_float_columns_with_statistics_and_without_nan_are_told() -> None:
    nan = float("nan")
    table = pa.table({"clean": [1.0, None], "dirty": [1.0, nan], "s": [{"f": 1.0}, None]})

    def nan_free(indexed: int) -> set[tuple[str, ...]]:
        options = WriteOptions(indexed_columns=indexed)
        return set(RowGroupEncoder(table.schema, options).encode(table).nan_free)

    assert nan_free(32) == {("clean",), ("s", "f")}
    assert nan_free(1) == {("clean",)}
    assert nan_free(-1) == {("clean",), ("s", "f")}
