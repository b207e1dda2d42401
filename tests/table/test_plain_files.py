"""A log is not begun over Parquet files that no table names."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import atomic_manifest as am
import atomic_manifest.pandas
from atomic_manifest import first_write
from atomic_manifest.commit.messages import Budget
from atomic_manifest.env import SYSTEM
from atomic_manifest.errors import DataError, StorePermissionDenied
from atomic_manifest.ops.create import TableSpec
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.driver import Driver
from atomic_manifest.store.passing import PassingDriver
from atomic_manifest.testing import CountingDriver
from tests.table.conftest import SCHEMA, ids, rows

FRAME = pd.DataFrame({"id": [1], "name": ["a"]})

CREATIONS: dict[str, Callable[[Any], Any]] = {
    "create": lambda url: am.Table.create(url, SCHEMA),
    "create if not exists": lambda url: am.Table.create(url, SCHEMA, if_not_exists=True),
    "append": lambda url: am.append(url, rows(1)),
    "append of nothing": lambda url: am.append(url, rows()),
    "to_table": lambda url: am.pandas.to_table(FRAME, url),
    "to_table append": lambda url: am.pandas.to_table(FRAME, url, mode="append"),
    "to_table overwrite": lambda url: am.pandas.to_table(FRAME, url, mode="overwrite"),
    "atomic append": FRAME.atomic.append,
    "atomic overwrite": FRAME.atomic.overwrite,
    "write_dataset": lambda url: am.write_dataset(rows(1), url),
    "write_dataset over": lambda url: am.write_dataset(
        rows(1), url, existing_data_behavior="delete_matching"
    ),
}


def put(root: Path, path: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": [1]}), file)
    return file


@pytest.mark.parametrize("create", CREATIONS.values(), ids=CREATIONS)
def test_no_table_is_created_over_plain_files(tmp_path, create):
    FRAME.to_parquet(tmp_path / "t", partition_cols=["name"])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"no table, such as 'name=a/.*\.parquet'.*elsewhere"):
        create(tmp_path / "t")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "path",
    [
        "data.parquet",
        "DATA.PARQUET",
        "data.parquet.gzip",
        "data.pq",
        "part-00000-4c1ee2ac-1e0c-4b1c-8d60-2a1d1f0f3a01-c000.snappy.parquet",
        "part-0.parquet",
        "0123456789abcdef0123456789abcdef-0.parquet",
        "_year=2026/x.parquet",
        "a/b/c/d.parquet",
    ],
)
def test_files_of_others_are_seen_whatever_they_are_called(tmp_path, path):
    put(tmp_path / "t", path)
    with pytest.raises(DataError, match="belong to no table"):
        am.append(tmp_path / "t", rows(1))


@pytest.mark.parametrize(
    "path",
    [
        "_temporary/0/x.parquet",
        ".cache/x.parquet",
        "_metadata.parquet",
        ".x.parquet",
        "a/_spark/x.parquet",
        "notes.csv",
        "parquet",
        "x.parquets",
    ],
)
def test_hidden_files_and_other_files_do_not_count(tmp_path, path):
    put(tmp_path / "t", path)
    am.append(tmp_path / "t", rows(1))
    assert ids(am.Table.open(tmp_path / "t")) == [1]


KILLED = """
import os, sys
import pyarrow as pa
import atomic_manifest as am
import atomic_manifest.pandas  # noqa: F401 - gives frames `atomic`
import atomic_manifest.commit.committer as committer
committer.Committer.create = lambda *_: os._exit(9)
data = pa.table({"id": [1], "name": ["a"]})
url = sys.argv[1]
if sys.argv[2] == "append":
    am.append(url, data, partition_by=["name"])
else:
    am.write_dataset(data, url, basename_template="mine-{i}.pq", partitioning=["name"])
"""


@pytest.mark.parametrize("how", ["append", "write_dataset"])
def test_files_of_a_writer_that_was_killed_before_the_first_commit_do_not_block_its_retry(
    tmp_path, how
):
    code = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "t", how], check=False)
    assert code.returncode == 9
    assert len([file for file in (tmp_path / "t").rglob("*") if file.is_file()]) == 1
    am.append(tmp_path / "t", rows(2))
    assert ids(am.Table.open(tmp_path / "t")) == [2]


class NoListing(PassingDriver):
    """The credentials may list the log alone."""

    def list(self, prefix: str = "", **more: Any) -> Any:
        if not prefix:
            raise StorePermissionDenied("no listing of the root", path="")
        return super().list(prefix, **more)


def create_on(driver: Driver) -> bool:
    spec = TableSpec(SCHEMA)
    return first_write.create(ObjectStore(driver), spec, env=SYSTEM, budget=Budget()) is not None


def test_creation_costs_one_listing_besides_that_of_the_log():
    driver = CountingDriver(am.store.open_store("memory://plain-requests").driver)
    assert create_on(driver)
    listed = [request.path for request in driver.requests if request.method == "list"]
    assert [path.rstrip("/") for path in listed] == ["_delta_log", ""]
    driver.clear()
    assert not create_on(driver)
    assert "" not in [request.path for request in driver.requests]


def test_credentials_that_may_not_list_the_folder_create_tables():
    assert create_on(NoListing(am.store.open_store("memory://plain-unlisted").driver))


def test_a_table_that_appears_meanwhile_is_appended_to(tmp_path, monkeypatch):
    """The files that are found are those of a writer that is about to create the table."""
    put(tmp_path / "t", "theirs.parquet")
    list_ = am.store.ObjectStore.list

    def listing(store, prefix="", **more):
        if prefix == "":
            monkeypatch.setattr(am.store.ObjectStore, "list", list_)
            with monkeypatch.context() as quiet:
                quiet.setattr(first_write, "_refuse_plain_files", lambda _: None)
                am.append(tmp_path / "t", rows(1))
        return list_(store, prefix, **more)

    monkeypatch.setattr(am.store.ObjectStore, "list", listing)
    am.append(tmp_path / "t", rows(2))
    assert ids(am.Table.open(tmp_path / "t")) == [1, 2]
