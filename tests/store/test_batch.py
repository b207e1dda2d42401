"""Writes that become durable together: what is forced to disk, and when."""

import os
from pathlib import Path

import pytest

from atomic_manifest.errors import StoreError
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.batch import batched
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
    return [path for path in synced if not path.endswith(".tmp")]


def test_each_folder_is_synced_once_with_all_above_it_and_not_before_the_end(
    tmp_path: Path, synced: list[str]
) -> None:
    store, settle = batched(ObjectStore(LocalDriver(tmp_path / "table")))
    for number in range(20):
        store.put(f"a/p={number % 5}/{number}", b"x")
    with store.upload("big", part_size=1) as upload:
        upload.write(b"xyz")
    assert len(synced) == 21
    assert folders(synced) == []
    settle()
    root = str(tmp_path / "table")
    wanted = [str(tmp_path), root, f"{root}/a", *(f"{root}/a/p={n}" for n in range(5))]
    assert sorted(folders(synced)) == sorted(wanted)
    settle()
    assert len(folders(synced)) == len(wanted)


def test_a_folder_that_another_writer_made_is_synced_too(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "day=1").mkdir()
    store, settle = batched(ObjectStore(LocalDriver(tmp_path)))
    store.put("day=1/x", b"x")
    settle()
    assert sorted(folders(synced)) == [str(tmp_path), str(tmp_path / "day=1")]


def test_the_store_itself_goes_on_to_sync_each_write(tmp_path: Path, synced: list[str]) -> None:
    store = ObjectStore(LocalDriver(tmp_path))
    batched(store)
    store.put("x", b"x")
    assert folders(synced) == [str(tmp_path)]


def test_a_disk_that_fails_at_the_end_is_told(tmp_path: Path) -> None:
    store, settle = batched(ObjectStore(LocalDriver(tmp_path / "table")))
    store.put("x", b"x")
    (tmp_path / "table" / "x").unlink()
    (tmp_path / "table").rmdir()
    with pytest.raises(StoreError):
        settle()


def test_a_driver_with_nothing_to_defer_is_used_as_it_is() -> None:
    given = ObjectStore(MemoryDriver())
    store, settle = batched(given)
    assert store is given
    settle()


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
