"""Partitions are found by those who go by the log and by those who go by folders, whatever their names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from duckdb_extensions import import_extension

import atomic_manifest as am


def _duckdb(root: Path) -> list[dict[str, Any]]:
    import_extension("delta")
    with duckdb.connect() as connection:
        connection.execute("LOAD delta")
        rows: pa.Table = connection.execute(f"SELECT * FROM delta_scan('{root}')").to_arrow_table()
        return rows.to_pylist()


BY_LOG: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "ours": lambda root: am.read_table(root).to_pylist(),
    "a stream": lambda root: am.Table.open(root).to_batches().read_all().to_pylist(),
    "deltalake": lambda root: deltalake.DeltaTable(root).to_pyarrow_table().to_pylist(),
    "duckdb": _duckdb,
}
READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    **BY_LOG,
    "polars": lambda root: pl.read_delta(str(root)).to_dicts(),
    "polars, lazily": lambda root: (
        pl.scan_delta(str(root)).filter(pl.col("v") > 0).collect().to_dicts()
    ),
}
NAMES = ["k", "a b", "é", "a=b", "a%b", "%41", "a:b", "a/b", "a?b", "a#b", "'a'", '"a"', "a[b", "a*b",
         "a{b}", "a\\b", "a^b", "a.b", "a&b"]  # fmt: skip


def same(found: list[dict[str, Any]], rows: pa.Table) -> bool:
    expected = rows.to_pylist()
    return sorted(found, key=lambda row: row["v"]) == [
        {name: row[name] for name in found[0]} for row in expected
    ]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_partition_column_of_any_name(tmp_path: Path, name: str, reader: str) -> None:
    rows = pa.table({name: ["x", "y/ %=", None], "z": [1, 1, 2], "v": [1, 2, 3]})
    am.append(tmp_path, rows.slice(0, 2), partition_by=[name, "z"])
    am.append(tmp_path, rows.slice(2))
    assert same(READERS[reader](tmp_path), rows)


@pytest.mark.parametrize("reader", BY_LOG)
@pytest.mark.parametrize(
    "values",
    [
        ["x" * 300, "x" * 301],
        ["é" * 130, "y"],
        ["%" * 200, "y"],
        ["__HIVE_DEFAULT_PARTITION__", None],
    ],
    ids=lambda values: values[0][:9],
)
def test_values_that_no_folder_can_say(tmp_path: Path, values: list[Any], reader: str) -> None:
    rows = pa.table({"k": pa.array(values, pa.string()), "v": [1, 2]})
    am.append(tmp_path, rows, partition_by=["k"])
    assert same(BY_LOG[reader](tmp_path), rows)
    folders = {path.parent.name for path in tmp_path.glob("*/*.parquet")}
    assert len(folders) == 2


def test_they_are_no_other_values_for_those_who_go_by_folders(tmp_path: Path) -> None:
    rows = pa.table({"k": ["__HIVE_DEFAULT_PARTITION__", "x"], "v": [1, 2]})
    am.append(tmp_path, rows, partition_by=["k"])
    with pytest.raises(pl.exceptions.PolarsError):
        pl.read_delta(str(tmp_path))


def test_many_long_values_make_no_path_that_is_too_long(tmp_path: Path) -> None:
    names = [f"k{number}" for number in range(8)]
    rows = pa.table({**{name: ["x" * 200] for name in names}, "v": [1]})
    am.append(tmp_path, rows, partition_by=names)
    assert same(am.read_table(tmp_path).to_pylist(), rows)
    (path,) = am.Table.open(tmp_path).files()["path"].to_pylist()
    assert len(path) < 200


def test_plain_names_keep_their_folders_and_files_without_their_columns(tmp_path: Path) -> None:
    am.append(tmp_path, pa.table({"k": ["a b", None], "v": [1, 2]}), partition_by=["k"])
    files = {path.parent.name: path for path in tmp_path.glob("*/*.parquet")}
    assert files.keys() == {"k=a b", "k=__HIVE_DEFAULT_PARTITION__"}
    assert [pq.read_schema(path).names for path in files.values()] == [["v"], ["v"]]


def test_a_table_of_odd_names_is_changed_like_any(tmp_path: Path) -> None:
    rows = pa.table({"a=b": ["x", "x", "y"], "v": [1, 2, 3]})
    visited: list[Any] = []
    am.write_dataset(
        rows, tmp_path, partitioning=["a=b"], file_visitor=visited.append,
    )  # fmt: skip
    assert {Path(file.path).parent for file in visited} == {tmp_path}
    am.write_dataset(
        pa.table({"a=b": ["y"], "v": [4]}), tmp_path, partitioning=["a=b"],
        existing_data_behavior="delete_matching",
    )  # fmt: skip
    table = am.Table.open(tmp_path)
    assert sorted(table.to_arrow()["v"].to_pylist()) == [1, 2, 4]
    assert table.delete("`a=b` = 'x' AND v = 1").rows_deleted == 1
    table.overwrite({"a=b": ["x"], "v": [5]}, partitions="dynamic")
    table.checkpoint()
    assert sorted(am.read_table(tmp_path)["v"].to_pylist()) == [4, 5]
    assert sorted(pl.read_delta(str(tmp_path))["v"].to_list()) == [4, 5]
    assert am.read_table(tmp_path, filters=[("a=b", "=", "x")])["v"].to_pylist() == [5]
    # The partition columns have no statistics, though files hold them.
    assert all('"a=b"' not in text for text in table.files()["stats"].to_pylist())
