"""Pipes, devices and bad links where a table on a local disk has its files."""

import os
import shutil
import sys

import pytest

import atomic_manifest as am
from atomic_manifest.commit.messages import Budget
from atomic_manifest.errors import NotFound, StoreError
from atomic_manifest.testing import FakeEnv

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="makes pipes and links")

KINDS = {
    "pipe": os.mkfifo,
    "device": lambda place: place.symlink_to("/dev/zero"),
    "dangling": lambda place: place.symlink_to("nowhere"),
    "circle": lambda place: place.symlink_to(place.name),
}
NEEDLESS = [
    "_last_checkpoint",
    f"{1:020}.checkpoint.parquet",
    f"{1:020}.crc",
    f"{0:020}.json",
    f"{7:020}.crc",
    f"{0:020}.{1:020}.compacted.json",
    "_atomic_manifest",
    "_sidecars",
    "note.txt",
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "t"
    am.append(path, {"i": [1]})
    am.append(path, {"i": [2]})
    am.Table.open(path).checkpoint()
    return path


def replace_by(kind, place):
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    KINDS[kind](place)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NEEDLESS)
def test_a_log_does_without_what_is_no_file(path, kind, name):
    replace_by(kind, path / "_delta_log" / name)
    am.append(path, {"i": [3]})
    table = am.Table.open(path)
    table.delete("i = 1")
    assert sorted(table.to_arrow()["i"].to_pylist()) == [2, 3]
    assert sorted(am.Table.open(path).to_arrow()["i"].to_pylist()) == [2, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_version_that_is_no_file_is_named_and_the_table_stays_readable(path, kind):
    entry = f"{2:020}.json"
    replace_by(kind, path / "_delta_log" / entry)
    table = am.Table.open(path, env=FakeEnv(), budget=Budget(attempts=3))
    with pytest.raises(StoreError, match=f"{entry} is not a regular file"):
        table.append({"i": [3]})
    assert sorted(am.Table.open(path).to_arrow()["i"].to_pylist()) == [1, 2]
    (path / "_delta_log" / entry).unlink()
    table.append({"i": [3]})
    assert sorted(am.Table.open(path).to_arrow()["i"].to_pylist()) == [1, 2, 3]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "read",
    [
        lambda table: table.to_arrow(),
        lambda table: table.to_arrow(filter="i = 1"),
        lambda table: table.to_pandas(),
        lambda table: list(table.to_batches()),
    ],
    ids=["to_arrow", "filtered", "to_pandas", "to_batches"],
)
def test_a_data_file_that_is_no_file_is_named(path, kind, read):
    (file,) = (f["path"] for f in am.Table.open(path).files("i = 1").to_pylist())
    replace_by(kind, path / file)
    with pytest.raises(NotFound, match=file):
        read(am.Table.open(path))
