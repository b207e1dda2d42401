"""The proof of joined files is Arrow's own writer: the same row groups in one go, byte for byte."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from atomic_manifest.data.write.encoder import RowGroupEncoder
from atomic_manifest.data.write.joining import Joined
from atomic_manifest.data.write.options import WriteOptions
from tests.interop.type_cases import CASES


def with_dictionaries(**options: Any) -> WriteOptions:
    """Options by which row groups do not differ in which columns have a dictionary."""
    parquet = {"use_dictionary": True} | options.pop("parquet", {})
    return WriteOptions(parquet=parquet, **options)


def in_one_go(groups: list[pa.Table], options: WriteOptions) -> bytes:
    file = io.BytesIO()
    with pq.ParquetWriter(file, groups[0].schema, **options.writer_arguments()) as writer:
        for rows in groups:
            writer.write_table(rows, row_group_size=options.max_rows_per_group)
    return file.getvalue()


def joined(groups: list[pa.Table], options: WriteOptions) -> tuple[bytes, pq.FileMetaData]:
    file = bytearray()
    joining = Joined(file.extend)
    encoder = RowGroupEncoder(groups[0].schema, options)
    for rows in groups:
        joining.add(encoder.encode(rows))
    metadata = joining.finish()
    assert joining.size == len(file)
    return bytes(file), metadata


SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("text", pa.string()),
        ("float", pa.float64()),
        ("flag", pa.bool_()),
        ("list", pa.list_(pa.int64())),
        ("struct", pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.string())]))])),
        ("map", pa.map_(pa.string(), pa.int64())),
    ]
)


def rows(count: int, start: int = 0) -> pa.Table:
    numbers = range(start, start + count)
    columns = {
        "id": numbers,
        "text": [f"{i % 7}" * (i % 5) if i % 11 else None for i in numbers],
        "float": [i / 3 for i in numbers],
        "flag": [i % 3 == 0 for i in numbers],
        "list": [[i, -i] if i % 2 else [] for i in numbers],
        "struct": [{"a": i, "b": {"c": f"x{i}"}} for i in numbers],
        "map": [[(f"k{i}", i)] for i in numbers],
    }
    return pa.table(columns, schema=SCHEMA)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "page_index": {"write_page_index": True},
    "many_pages": {"write_page_index": True, "data_page_size": 64, "write_batch_size": 8},
    "bloom_filters": {"bloom_filter_options": {"id": {"ndv": 10}, "struct.a": {"ndv": 300}}},
    "all_indexes": {"write_page_index": True, "bloom_filter_options": {"id": {"ndv": 10}}},
    "checksums": {"data_page_version": "2.0", "write_page_checksum": True},
    "no_statistics": {"write_statistics": False, "use_dictionary": False},
    "sorted": {"sorting_columns": [pq.SortingColumn(0)]},
}


@pytest.mark.parametrize("sizes", [(5,), (5, 6), (100, 200, 50), (250,), (3,) * 20])
@pytest.mark.parametrize("parquet", OPTIONS.values(), ids=OPTIONS)
def test_row_groups_joined_are_the_bytes_of_one_writer(
    parquet: dict[str, Any], sizes: tuple[int, ...]
) -> None:
    options = with_dictionaries(max_rows_per_group=100, parquet=parquet)
    groups = [rows(size, start=1000 * number) for number, size in enumerate(sizes)]
    file, metadata = joined(groups, options)
    assert file == in_one_go(groups, options)
    assert metadata.equals(pq.read_metadata(io.BytesIO(file)))


def in_three(array: pa.Array) -> list[pa.Table]:
    rows = pa.table({"x": array, "y": range(len(array))})
    return [rows, rows.slice(len(array) - 1), rows]


def fits_parquet(array: pa.Array) -> bool:
    try:
        in_one_go(in_three(array), WriteOptions())
    except (pa.ArrowException, OSError):
        return False
    return True


def without_nan(array: pa.Array) -> pa.Array:
    """A row group that holds NaN is encoded without the column's bounds, others with them."""
    if not pa.types.is_floating(array.type):
        return array
    return array.filter(pc.invert(pc.fill_null(pc.is_nan(array), False)))


PARQUET_CASES = {name: without_nan(array) for name, array in CASES.items() if fits_parquet(array)}


def test_most_types_fit_parquet() -> None:
    assert len(PARQUET_CASES) > 0.7 * len(CASES)


@pytest.mark.parametrize("array", PARQUET_CASES.values(), ids=PARQUET_CASES)
def test_row_groups_of_any_type_joined_are_the_bytes_of_one_writer(array: pa.Array) -> None:
    options = with_dictionaries(parquet={"write_page_index": True})
    assert joined(in_three(array), options)[0] == in_one_go(in_three(array), options)


def test_offsets_beyond_what_fits_few_bytes_are_moved() -> None:
    options = WriteOptions(compression="none", parquet={"use_dictionary": False})
    groups = [pa.table({"x": range(start, start + 200_000)}) for start in (0, 1, 2)]
    file, _ = joined(groups, options)
    assert len(file) > 3 * 200_000 * 8
    assert file == in_one_go(groups, options)


def test_a_file_of_no_rows_has_no_row_group() -> None:
    file, metadata = joined([rows(0)], WriteOptions())
    assert (metadata.num_rows, metadata.num_row_groups) == (0, 0)
    assert pq.read_table(io.BytesIO(file)).schema.equals(rows(0).schema)


def test_row_groups_among_them_that_have_no_rows_add_nothing() -> None:
    groups = [rows(3), rows(0), rows(4, 10)]
    file, metadata = joined(groups, WriteOptions())
    assert metadata.num_row_groups == 2
    assert pq.read_table(io.BytesIO(file)).equals(pa.concat_tables(groups))
