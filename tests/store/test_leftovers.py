"""Temporary files of writers that were killed."""

import os

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.store import ObjectStore, local_leftovers
from atomic_manifest.store.leftovers import remove_leftovers
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver

NAME = ".atomic-manifest-" + "0123456789abcdef" * 2 + ".tmp"


@pytest.fixture
def store(tmp_path):
    return ObjectStore(LocalDriver(tmp_path))


@pytest.fixture
def two_days_later(monkeypatch):
    clock = local_leftovers._clock
    monkeypatch.setattr(local_leftovers, "_clock", lambda *args: clock(*args) + 2 * 24 * 60 * 60)


def leave(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(b"half")
    return folder / NAME


def test_what_a_writer_may_still_use_stays(store, tmp_path):
    place = leave(tmp_path / "log")
    assert remove_leftovers(store, "log") == 0
    assert place.exists()
    assert sorted(p.name for p in (tmp_path / "log").iterdir()) == [NAME]


@pytest.mark.usefixtures("two_days_later")
def test_old_ones_go_from_every_folder_and_nothing_else_does(store, tmp_path):
    places = [leave(tmp_path / name) for name in (".", "log", "k=1", "k=2/l=1")]
    others = [".atomic-manifest-lock", ".atomic-manifest-1.tmp", f"x{NAME}", f"{NAME}.parquet"]
    for name in others:
        (tmp_path / "log" / name).write_bytes(b"")
    (tmp_path / "elsewhere").mkdir()
    outside = leave(tmp_path / "elsewhere")
    (tmp_path / "log" / NAME.replace("0", "1")).symlink_to(outside)
    outside.rename(tmp_path / "elsewhere" / "kept")
    assert remove_leftovers(store, "log") == len(places)
    assert not any(place.exists() for place in places)
    left = {place.name for place in (tmp_path / "log").iterdir()}
    assert left == {*others, NAME.replace("0", "1")}
    assert (tmp_path / "elsewhere" / "kept").exists()


@pytest.mark.usefixtures("two_days_later")
def test_an_upload_that_is_open_stays_however_old_it_is(store, tmp_path):
    upload = store.driver.start_upload("k", part_size=1, max_in_flight=1)
    upload.write(b"x")
    (tmp_path / "log").mkdir()
    assert remove_leftovers(store, "log") == 0
    upload.finish()
    assert store.get("k").data == b"x"


@pytest.mark.usefixtures("two_days_later")
def test_a_file_keeps_its_data_when_a_second_name_of_it_goes(store, tmp_path):
    store.put("k", b"x")
    (tmp_path / "log").mkdir()
    os.link(tmp_path / "k", tmp_path / NAME)
    assert remove_leftovers(store, "log") == 1
    assert store.get("k").data == b"x"


@pytest.mark.usefixtures("two_days_later")
def test_of_many_folders_each_call_looks_at_some(store, tmp_path, monkeypatch):
    monkeypatch.setattr(local_leftovers, "_FOLDERS", 4)
    places = [leave(tmp_path / f"k={number}") for number in range(6)]
    (tmp_path / "log").mkdir()
    removed = [remove_leftovers(store, "log") for _ in range(100)]
    assert max(removed) <= 4
    assert sum(removed) == len(places)


@pytest.mark.usefixtures("two_days_later")
def test_a_checkpoint_removes_them(tmp_path):
    table = am.Table.create(
        tmp_path / "t",
        pa.schema([("i", pa.int64())]),
        configuration={"delta.checkpointInterval": "2"},
    )
    places = [leave(tmp_path / "t"), leave(tmp_path / "t" / "_delta_log")]
    table.append({"i": [1]})
    assert all(place.exists() for place in places)
    table.append({"i": [2]})
    assert not any(place.exists() for place in places)


def test_other_stores_leave_nothing():
    assert remove_leftovers(ObjectStore(MemoryDriver()), "log") == 0


def test_a_folder_that_is_not_there_is_no_error(tmp_path):
    assert remove_leftovers(ObjectStore(LocalDriver(tmp_path / "nowhere")), "log") == 0
