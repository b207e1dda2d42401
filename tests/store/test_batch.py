"""Writes that become durable together: what is forced to disk, and when."""

import errno
import os
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from atomic_manifest.errors import StoreError
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.batch import batched
from atomic_manifest.store.conditions import IfAbsent, IfMatch
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver

pytestmark = pytest.mark.skipif(os.name == "nt", reason="folders cannot be synced there")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that the system was told to force to disk, in order."""
    paths: list[str] = []
    fsync = os.fsync

    def recorded(handle: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no way to ask what a handle is of")
    monkeypatch.setattr(os, "fsync", recorded)
    return paths


def folders(synced: list[str]) -> list[str]:
    return [path for path in synced if Path(path).is_dir()]


def test_each_file_and_folder_is_synced_once_with_all_above_it_and_not_before_the_end(
    tmp_path: Path, synced: list[str]
) -> None:
    batch = batched(ObjectStore(LocalDriver(tmp_path / "table")))
    files = [f"a/p={number % 5}/{number}" for number in range(20)]
    for file in files:
        batch.store.put(file, b"x")
    with batch.store.upload("big", part_size=1) as upload:
        upload.write(b"xyz")
    assert synced == []
    batch.settle()
    root = str(tmp_path / "table")
    wanted = [str(tmp_path), root, f"{root}/a", *(f"{root}/a/p={n}" for n in range(5))]
    wanted += [f"{root}/{file}" for file in [*files, "big"]]
    assert sorted(synced) == sorted(wanted)
    batch.settle()
    assert len(synced) == len(wanted)


def test_what_is_written_on_a_condition_is_whole_on_disk_before_it_has_its_name(
    tmp_path: Path, synced: list[str]
) -> None:
    batch = batched(ObjectStore(LocalDriver(tmp_path)))
    meta = batch.store.put("x", b"x", when=IfAbsent())
    batch.store.put("x", b"xx", when=IfMatch(meta.etag))
    with batch.store.upload("y", when=IfAbsent(), part_size=1) as upload:
        upload.write(b"yyy")
    assert [Path(path).suffix for path in synced] == [".tmp"] * 3
    batch.settle()
    assert sorted(synced[3:]) == [str(tmp_path), str(tmp_path / "x"), str(tmp_path / "y")]


def test_what_the_batch_removes_again_is_not_asked_for(tmp_path: Path, synced: list[str]) -> None:
    batch = batched(ObjectStore(LocalDriver(tmp_path)))
    batch.store.put("x", b"x")
    batch.store.delete("x")
    batch.settle()
    assert synced == [str(tmp_path)]


def test_what_could_not_get_its_name_is_not_asked_for(tmp_path: Path, synced: list[str]) -> None:
    batch = batched(ObjectStore(LocalDriver(tmp_path)))
    batch.store.put("folder/x", b"x")
    with pytest.raises(StoreError):
        batch.store.put("folder", b"x")
    batch.settle()
    assert sorted(synced) == [str(tmp_path), f"{tmp_path}/folder", f"{tmp_path}/folder/x"]


def test_a_file_is_replaced_in_a_batch(tmp_path: Path) -> None:
    batch = batched(ObjectStore(LocalDriver(tmp_path)))
    first = batch.store.put("x", b"x")
    second = batch.store.put("x", b"y")
    batch.settle()
    assert first.etag != second.etag
    assert batch.store.get("x").data == b"y"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_a_folder_that_another_writer_made_is_synced_too(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "day=1").mkdir()
    batch = batched(ObjectStore(LocalDriver(tmp_path)))
    batch.store.put("day=1/x", b"x")
    batch.settle()
    assert sorted(folders(synced)) == [str(tmp_path), str(tmp_path / "day=1")]


def test_the_store_itself_goes_on_to_sync_each_write(tmp_path: Path, synced: list[str]) -> None:
    store = ObjectStore(LocalDriver(tmp_path))
    batched(store)
    store.put("x", b"x")
    assert [Path(path).suffix for path in synced] == [".tmp", tmp_path.suffix]


def test_a_file_that_was_lost_before_the_end_is_told(tmp_path: Path) -> None:
    batch = batched(ObjectStore(LocalDriver(tmp_path)))
    batch.store.put("x", b"x")
    (tmp_path / "x").unlink()
    with pytest.raises(StoreError, match="x: No such file"):
        batch.settle()


def test_a_disk_that_fails_at_the_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batched(ObjectStore(LocalDriver(tmp_path)))
    for number in range(20):
        batch.store.put(f"{number}", b"x")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"\d: No space left"):
        batch.settle()


def test_a_driver_with_nothing_to_defer_is_used_as_it_is() -> None:
    given = ObjectStore(MemoryDriver())
    batch = batched(given)
    assert batch.store is given
    assert batch.waits
    batch.settle()


def test_a_large_upload_is_written_to_disk_while_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    if not hasattr(os, "posix_fadvise"):
        pytest.skip("no such advice here")
    monkeypatch.setattr(os, "posix_fadvise", lambda _, start, size, __: told.append((start, size)))
    with ObjectStore(LocalDriver(tmp_path)).upload("big", part_size=1000) as upload:
        for _ in range(3):
            upload.write(b"x" * 1000)
    assert told == [(0, 1000), (1000, 1000), (2000, 1000)]
    assert (tmp_path / "big").read_bytes() == b"x" * 3000


def test_a_file_that_takes_bytes_piece_by_piece_gets_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Short(FileIO):
        def write(self, data: Any) -> int:
            return super().write(bytes(data[:3]))

    monkeypatch.setattr("atomic_manifest.store.local.FileIO", Short)
    store = ObjectStore(LocalDriver(tmp_path))
    store.put("x", b"0123456789")
    store.copy("x", "y")
    with store.upload("z", part_size=4) as upload:
        upload.write(memoryview(b"0123456789"))
    assert {store.get(name).data for name in "xyz"} == {b"0123456789"}
