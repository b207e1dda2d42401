"""`am.write_dataset` beside `pyarrow.dataset.write_dataset`, argument by argument: files, groups, rows.

What differs on purpose is in `docs/write_dataset.md`, and tested here under the name that it has there.
"""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import atomic_manifest as am
from atomic_manifest.errors import DataError

FORMAT = ds.ParquetFileFormat()
ROWS = pa.table({"x": range(100), "p": [number % 4 for number in range(100)]})
CITIES = pa.table(
    {
        "city": ["Praha", "New York", "a=b/c%", "Praha", None],
        "day": pa.array([dt.date(2026, 1, number) for number in range(1, 6)]),
        "n": pa.array([1, 2, 3, 4, 5], pa.int16()),
        "value": [0.5, None, -0.0, 1.0, 2.0],
    }
)


def small_batches() -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(ROWS.schema, ROWS.to_batches(max_chunksize=7))


def written(write: Any, data: Any, folder: Path, **arguments: Any) -> list[ds.WrittenFile]:
    seen: list[ds.WrittenFile] = []
    write(data, str(folder), format="parquet", file_visitor=seen.append, **arguments)
    return seen


def groups(seen: list[ds.WrittenFile]) -> list[list[int]]:
    """The rows of the groups of each file, in no order of files."""
    return sorted(
        [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
        for file in seen
    )


def content(table: pa.Table) -> list[tuple]:
    return sorted(
        zip(*(table[name].to_pylist() for name in sorted(table.column_names)), strict=True),
        key=repr,
    )


# --- rows per file and group ---------------------------------------------------------------------

SIZES: list[dict[str, int]] = [
    {},
    {"max_rows_per_group": 15},
    {"max_rows_per_group": 15, "min_rows_per_group": 10},
    {"min_rows_per_group": 10},
    {"max_rows_per_file": 0},
    {"max_rows_per_file": 40, "max_rows_per_group": 15},
    {"max_rows_per_file": 40, "max_rows_per_group": 20, "min_rows_per_group": 20},
    {"max_rows_per_file": 30, "max_rows_per_group": 30},
    {"max_rows_per_file": 10, "max_rows_per_group": 10},
    {"max_open_files": 2},
    {"max_partitions": 4},
]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("partitioning", [None, ["p"]])
def test_a_table_makes_the_same_files_and_groups(tmp_path, sizes, partitioning):
    arguments = {**sizes, "partitioning": partitioning, "use_threads": False}
    ours = written(am.write_dataset, ROWS, tmp_path / "ours", **arguments)
    theirs = written(ds.write_dataset, ROWS, tmp_path / "theirs", **arguments)
    if partitioning and "max_open_files" in sizes:  # fewer files: none ends before it must
        assert len(ours) == 4
        assert len(theirs) >= 4
    else:
        assert groups(ours) == groups(theirs)


@pytest.mark.parametrize(
    "sizes",
    [
        {"min_rows_per_group": 15, "max_rows_per_group": 15},
        {"max_rows_per_file": 40, "min_rows_per_group": 20, "max_rows_per_group": 20},
    ],
)
def test_small_batches_make_the_same_groups_where_these_have_one_size(tmp_path, sizes):
    ours = written(am.write_dataset, small_batches(), tmp_path / "ours", **sizes)
    theirs = written(ds.write_dataset, small_batches(), tmp_path / "theirs", **sizes)
    assert groups(ours) == groups(theirs)


def test_small_batches_are_put_together_to_full_groups_without_being_told(tmp_path):
    """Difference: pyarrow writes a row group for each batch unless `min_rows_per_group` is set."""
    ours = written(am.write_dataset, small_batches(), tmp_path / "ours")
    assert groups(ours) == [[100]]
    assert len(groups(written(ds.write_dataset, small_batches(), tmp_path / "t"))[0]) == 15


def test_a_file_may_be_smaller_than_a_group(tmp_path):
    """Difference: pyarrow asks for `max_rows_per_group` too where `max_rows_per_file` is below it."""
    ours = written(am.write_dataset, ROWS, tmp_path / "ours", max_rows_per_file=40)
    assert groups(ours) == [[20], [40], [40]]


# --- partitioning --------------------------------------------------------------------------------


def _schema(*names: str) -> pa.Schema:
    return pa.schema([CITIES.schema.field(name) for name in names])


PARTITIONINGS: dict[str, tuple[dict[str, Any], Any]] = {
    "hive, by names": (
        {"partitioning": ["city"], "partitioning_flavor": "hive"},
        ds.partitioning(_schema("city"), flavor="hive"),
    ),
    "hive, by schema": (
        {"partitioning": ds.partitioning(_schema("city", "n"), flavor="hive")},
        ds.partitioning(_schema("city", "n"), flavor="hive"),
    ),
    "hive, with a name for null": (
        {"partitioning": ds.HivePartitioning(_schema("city"), null_fallback="nowhere")},
        ds.HivePartitioning(_schema("city"), null_fallback="nowhere"),
    ),
    "folders, by names": (
        {"partitioning": ["day", "n"]},
        ds.DirectoryPartitioning(_schema("day", "n")),
    ),
    "folders, by schema": (
        {"partitioning": ds.partitioning(_schema("day"))},
        ds.partitioning(_schema("day")),
    ),
    "file names, by names": (
        {"partitioning": ["n"], "partitioning_flavor": "filename"},
        ds.FilenamePartitioning(_schema("n")),
    ),
    "file names, by schema": (
        {"partitioning": ds.partitioning(_schema("n", "day"), flavor="filename")},
        ds.FilenamePartitioning(_schema("n", "day")),
    ),
    "a tuple of names": (
        {"partitioning": ("n",), "partitioning_flavor": "hive"},
        ds.partitioning(_schema("n"), flavor="hive"),
    ),
    "no names": ({"partitioning": []}, None),
    "a flavor alone": ({"partitioning_flavor": "hive"}, None),
}


@pytest.mark.parametrize("name", PARTITIONINGS)
def test_every_partitioning_gives_back_the_same_rows(tmp_path, name):
    arguments, reading = PARTITIONINGS[name]
    ours = written(am.write_dataset, CITIES, tmp_path / "ours", **arguments)
    theirs = written(ds.write_dataset, CITIES, tmp_path / "theirs", **arguments)
    assert groups(ours) == groups(theirs)
    table = am.Table.open(tmp_path / "ours").to_arrow()
    read = ds.dataset(tmp_path / "theirs", format="parquet", partitioning=reading).to_table()
    assert content(table) == content(read.select(table.column_names)) == content(CITIES)
    # A reader that knows nothing of tables finds Hive folders, whatever the flavor.
    plain = ds.dataset(
        sorted(map(str, (tmp_path / "ours").rglob("*.parquet"))),
        format="parquet",
        partition_base_dir=str(tmp_path / "ours"),
        partitioning=ds.partitioning(
            _schema(*am.Table.open(tmp_path / "ours").partition_columns), flavor="hive"
        ),
    ).to_table()
    assert content(plain) == content(CITIES)


def test_a_categorical_column_partitions_by_its_values(tmp_path):
    data = CITIES.set_column(0, "city", CITIES["city"].dictionary_encode())
    kind = pa.dictionary(pa.int32(), pa.string())
    layout = ds.partitioning(
        pa.schema([("city", kind)]), flavor="hive", dictionaries={"city": pa.array(["Praha"])}
    )
    for number, partitioning in enumerate((["city"], layout)):
        am.write_dataset(data, tmp_path / f"{number}", partitioning=partitioning)
        assert content(am.Table.open(tmp_path / f"{number}").to_arrow()) == content(CITIES)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"partitioning": ds.partitioning(field_names=["p"])}, "Factory"),
        ({"partitioning": "p"}, "partitioning"),
        ({"partitioning": ["p"], "partitioning_flavor": "nope"}, "flavor"),
        ({"partitioning": ["p"], "max_partitions": 3}, "4 partitions"),
        ({"basename_template": "part.parquet"}, "basename_template"),
        ({"basename_template": "a/{i}.parquet"}, "basename_template"),
        ({"basename_template": "{i}-{i}.parquet"}, "basename_template"),
        ({"max_rows_per_group": 0}, "max_rows_per_group"),
        ({"min_rows_per_group": 20, "max_rows_per_group": 10}, "min_rows_per_group"),
        ({"existing_data_behavior": "append"}, "existing_data_behavior"),
    ],
)
def test_what_pyarrow_refuses_is_refused_with_a_value_error(tmp_path, arguments, named):
    for write in (am.write_dataset, ds.write_dataset):
        with pytest.raises(ValueError, match=named if write is am.write_dataset else "."):
            written(write, ROWS, tmp_path / write.__module__, **arguments)
    assert not list((tmp_path / am.write_dataset.__module__).rglob("*"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"partitioning": ds.partitioning(pa.schema([("q", pa.int64())]), flavor="hive")},
        {"partitioning": ["p", "x"]},
        {"max_partitions": -1, "partitioning": ["p"]},
        {"max_open_files": -1},
        {"max_rows_per_file": -1},
        {"min_rows_per_group": -1},
        {"basename_template": 5},
    ],
)
def test_what_no_table_can_have_is_refused_too(tmp_path, arguments):
    """Difference: pyarrow ignores unknown names, writes files without columns, or crashes."""
    with pytest.raises(DataError):
        am.write_dataset(ROWS, tmp_path / "t", **arguments)
    assert not list(tmp_path.rglob("*.parquet"))


# --- file options --------------------------------------------------------------------------------

NUMBERS = pa.table(
    {
        "x": pa.array([3, 1, 2] * 100),
        "y": ["a", "b", None] * 100,
        "z": pa.array([Decimal("1.25"), None, Decimal(-3)] * 100, pa.decimal128(9, 2)),
    }
)
OPTIONS: dict[str, dict[str, Any]] = {
    "none of them": {},
    "compression": {"compression": "gzip"},
    "no compression": {"compression": None},
    "compression by column": {"compression": {"x": "zstd", "y": "snappy", "z": "none"}},
    "compression_level": {"compression": "zstd", "compression_level": 7},
    "use_dictionary": {"use_dictionary": False},
    "use_dictionary by column": {"use_dictionary": ["y"]},
    "write_statistics": {"write_statistics": False},
    "write_statistics by column": {"write_statistics": ["x"]},
    "column_encoding": {"use_dictionary": False, "column_encoding": {"x": "DELTA_BINARY_PACKED"}},
    "use_byte_stream_split": {"use_dictionary": False, "use_byte_stream_split": ["x"]},
    "data_page_version": {"data_page_version": "2.0"},
    "data_page_size": {"data_page_size": 64},
    "max_rows_per_page": {"max_rows_per_page": 10},
    "write_batch_size": {"write_batch_size": 10},
    "dictionary_pagesize_limit": {"dictionary_pagesize_limit": 8},
    "write_page_index": {"write_page_index": True},
    "write_page_checksum": {"write_page_checksum": True},
    "store_decimal_as_integer": {"store_decimal_as_integer": True},
    "store_schema": {"store_schema": False},
    "sorting_columns": {"sorting_columns": [pq.SortingColumn(0, descending=True)]},
    "use_content_defined_chunking": {"use_content_defined_chunking": True},
    "bloom_filter_options": {"bloom_filter_options": {"x": {"ndv": 10}}},
    "version": {"version": "1.0"},
    "allow_truncated_timestamps": {"allow_truncated_timestamps": True},
    "coerce_timestamps": {"coerce_timestamps": "us"},
}


def described(file: ds.WrittenFile) -> list[Any]:
    """What a footer tells of how a file was written; sizes, too, for pages and filters are in them."""
    group = file.metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    of_columns = [
        (
            column.compression,
            column.encodings,
            column.physical_type,
            column.is_stats_set,
            column.has_column_index,
            column.has_offset_index,
            column.total_compressed_size,
        )
        for column in columns
    ]
    return [file.metadata.format_version, group.sorting_columns, *of_columns]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_parquet_files_has_the_effect_it_has_in_pyarrow(tmp_path, name):
    options = FORMAT.make_write_options(**OPTIONS[name])
    ours, theirs = (
        written(write, NUMBERS, tmp_path / write.__module__, file_options=options)
        for write in (am.write_dataset, ds.write_dataset)
    )
    assert described(ours[0]) == described(theirs[0])
    stored = pq.read_table(tmp_path / am.write_dataset.__module__ / Path(ours[0].path).name)
    assert content(stored) == content(NUMBERS)


def test_without_options_the_codec_is_ours(tmp_path):
    """Difference: zstd where pyarrow takes snappy."""
    (file,) = written(am.write_dataset, NUMBERS, tmp_path / "t")
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize(
    "wrong",
    [
        {"coerce_timestamps": "ms"},
        {"use_deprecated_int96_timestamps": True},
        {"write_time_adjusted_to_utc": True},
    ],
)
def test_options_that_change_values_or_types_behind_the_table_are_refused(tmp_path, wrong):
    """Difference: the files of a table have the types that its log says."""
    options = FORMAT.make_write_options(**wrong)
    with pytest.raises(DataError, match=next(iter(wrong))):
        am.write_dataset(NUMBERS, tmp_path / "t", file_options=options)
    assert not list(tmp_path.rglob("*"))


def test_truncated_timestamps_are_allowed_by_the_option_and_refused_without(tmp_path):
    data = pa.table({"t": pa.array([1_001, -1], pa.timestamp("ns"))})
    with pytest.raises(DataError, match="'t'"):
        am.write_dataset(data, tmp_path / "t")
    options = FORMAT.make_write_options(allow_truncated_timestamps=True)
    am.write_dataset(data, tmp_path / "t", file_options=options)
    read = am.Table.open(tmp_path / "t").to_arrow()["t"].combine_chunks()
    assert read.view(pa.int64()).to_pylist() == [1, -1]
