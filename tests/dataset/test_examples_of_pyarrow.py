"""What pyarrow's guide and cookbook do with datasets, done with tables: the same calls, the same rows."""

import inspect
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import atomic_manifest as am

TABLE = pa.table(
    {"a": range(10), "b": [number / 7 for number in range(10)], "c": [1, 2] * 5},
    schema=pa.schema([("a", pa.int64()), ("b", pa.float64()), ("c", pa.int16())]),
)
HIVE = ds.partitioning(pa.schema([("c", pa.int16())]), flavor="hive")


def rows(table: pa.Table) -> list[dict]:
    return sorted(table.select(["a", "b", "c"]).to_pylist(), key=lambda row: row["a"])


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Examples write below the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_in_one_file(home):
    am.write_dataset(TABLE, "sample", format="parquet")
    assert rows(am.Table.open("sample").to_arrow()) == rows(TABLE)


def test_a_partitioned_dataset_has_a_folder_for_each_value(home):
    am.write_dataset(TABLE, "partitioned", format="parquet", partitioning=HIVE)
    assert sorted(path.name for path in (home / "partitioned").glob("c=*")) == ["c=1", "c=2"]
    assert rows(am.Table.open("partitioned").to_arrow()) == rows(TABLE)


def test_partitions_by_two_columns_given_as_a_list(home):
    data = pa.table({"day": [1, 2, 3] * 4, "month": [1, 2] * 6, "year": [2019, 2020] * 6})
    am.write_dataset(
        data, "dates", format="parquet", partitioning=["year", "month"], partitioning_flavor="hive"
    )
    folders = {path.parent.relative_to(home / "dates") for path in home.rglob("*.parquet")}
    assert sorted(map(str, folders)) == ["year=2019/month=1", "year=2020/month=2"]
    read = am.Table.open("dates").to_arrow(filter="year = 2019")
    assert read["day"].to_pylist() == data.filter(pc.field("year") == 2019)["day"].to_pylist()


def test_a_dataset_is_repartitioned_through_a_scanner(home):
    ds.write_dataset(TABLE, "old", format="parquet", partitioning=HIVE)
    scanner = ds.dataset("old", partitioning=HIVE).scanner()
    by_folder = ds.partitioning(pa.schema([("c", pa.int16())]), flavor=None)
    am.write_dataset(scanner, "new", format="parquet", partitioning=by_folder)
    assert rows(am.Table.open("new").to_arrow()) == rows(TABLE)
    assert am.Table.open("new").partition_columns == ("c",)


def test_a_table_of_ours_is_repartitioned_by_its_dataset(home):
    am.write_dataset(TABLE, "old", partitioning=["c"])
    am.write_dataset(am.Table.open("old").to_dataset(), "new")
    assert rows(am.Table.open("new").to_arrow()) == rows(TABLE)


def test_more_data_than_memory_holds_comes_as_batches(home):
    batches = (batch for batch in TABLE.to_batches(max_chunksize=3))
    am.write_dataset(batches, "streamed", schema=TABLE.schema, format="parquet")
    assert rows(am.Table.open("streamed").to_arrow()) == rows(TABLE)


def test_a_visitor_collects_what_a_metadata_file_is_built_of(home):
    seen: list[ds.WrittenFile] = []
    am.write_dataset(
        TABLE, "visited", format="parquet", partitioning=HIVE, file_visitor=seen.append
    )
    assert len(seen) == 2
    for file in seen:
        assert file.path.startswith("visited/c=")
        assert (home / file.path).stat().st_size == file.size
        assert file.metadata.num_rows == 5
    footers = [file.metadata for file in seen]
    schema = pq.read_schema(home / seen[0].path)
    pq.write_metadata(schema, "visited/_metadata", metadata_collector=footers)
    read = ds.parquet_dataset("visited/_metadata", partitioning=HIVE).to_table()
    assert rows(read) == rows(TABLE)


def test_an_append_workflow_by_unique_names(home):
    for number in range(3):
        am.write_dataset(
            TABLE,
            "appended",
            format="parquet",
            basename_template=f"{number}-{{i}}.parquet",
            existing_data_behavior="overwrite_or_ignore",
        )
    assert am.Table.open("appended").to_arrow().num_rows == 3 * TABLE.num_rows


def test_a_partition_is_overwritten_completely(home):
    am.write_dataset(TABLE, "t", format="parquet", partitioning=HIVE)
    again = TABLE.filter(pc.field("c") == 1).slice(0, 1)
    am.write_dataset(
        again, "t", format="parquet", partitioning=HIVE, existing_data_behavior="delete_matching"
    )
    left = pa.concat_tables([TABLE.filter(pc.field("c") == 2), again])
    assert rows(am.Table.open("t").to_arrow()) == rows(left)


def test_write_options_of_the_format(home):
    options = ds.ParquetFileFormat().make_write_options(allow_truncated_timestamps=True)
    am.write_dataset(TABLE, "options", format="parquet", partitioning=HIVE, file_options=options)
    assert rows(am.Table.open("options").to_arrow()) == rows(TABLE)


def test_a_dataset_of_another_format_becomes_parquet(home):
    """Difference: without `format` pyarrow writes the format it reads."""
    ds.write_dataset(TABLE, "feather", format="feather")
    am.write_dataset(ds.dataset("feather", format="feather"), "t")
    assert rows(am.Table.open("t").to_arrow()) == rows(TABLE)


def test_the_page_about_the_differences_runs_and_names_every_argument():
    page = (Path(__file__).parents[2] / "docs" / "write_dataset.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        exec(compile(block, "write_dataset.md", "exec"), {})
    arguments = inspect.signature(am.write_dataset).parameters
    assert [name for name in arguments if f"`{name}`" not in page] == []
