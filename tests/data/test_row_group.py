"""Rows that wait to be a row group: when it is whole, in memory and on disk, in what order."""

import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.row_group import RowGroup, spill
from atomic_manifest.data.write.spill import Run
from atomic_manifest.errors import DataError

SCHEMA = pa.schema([("x", pa.int64())])


def batch(start: int, count: int) -> pa.RecordBatch:
    return pa.record_batch({"x": pa.array(range(start, start + count), pa.int64())})


def numbers(group: RowGroup) -> list[int]:
    return group.take().take()["x"].to_pylist()  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_group_is_whole_at_its_rows_or_its_bytes_but_not_below_its_least() -> None:
    group = RowGroup(WriteOptions(max_rows_per_group=10, buffer_size=40, min_rows_per_group=6))
    group.add(batch(0, 5))
    assert (group.nbytes, group.room, group.is_whole) == (40, 5, False)
    group.add(batch(5, 1))
    assert group.is_whole
    group.add(batch(6, 4))
    assert (group.room, group.is_whole) == (0, True)
    taken = group.take()
    assert (taken.num_rows, taken.nbytes) == (10, 80)
    assert (group.num_rows, group.nbytes, group.in_memory) == (0, 0, 0)


def test_rows_keep_their_order_over_several_spills() -> None:
    first, second = RowGroup(WriteOptions()), RowGroup(WriteOptions())
    for start in (0, 10, 20):
        first.add(batch(start, 5))
        first.add(batch(start + 5, 5))
        second.add(batch(100 + start, 10))
        if start < 20:
            spill([first, second])
            assert (first.in_memory, second.in_memory) == (0, 0)
            assert first.nbytes == 8 * (start + 10)
    assert numbers(first) == list(range(30))
    assert numbers(second) == list(range(100, 130))


def test_compacting_frees_what_slices_hold_and_copies_nothing_else() -> None:
    large = batch(0, 100_000)
    group, whole = RowGroup(WriteOptions()), RowGroup(WriteOptions())
    group.add(large.slice(10, 2))
    group.add(large.slice(50, 3))
    whole.add(batch(0, 1000))
    before = pa.total_allocated_bytes()
    whole.compact()
    assert pa.total_allocated_bytes() == before
    del large
    group.compact()
    assert pa.total_allocated_bytes() < before - 700_000
    assert numbers(group) == [10, 11, 50, 51, 52]


@pytest.mark.skipif(os.name == "nt", reason="an open file keeps its name there")
def test_a_run_has_no_name_and_its_space_is_free_when_it_was_read(folder: Path) -> None:
    group = RowGroup(WriteOptions())
    group.add(batch(0, 1000))
    run = spill([group])
    assert list(folder.iterdir()) == []
    assert numbers(group) == list(range(1000))
    run.close()
    with pytest.raises(ValueError, match="closed"):
        run.read(0)


def test_a_disk_that_takes_nothing_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    with pytest.raises(DataError, match="missing"):
        Run([batch(0, 1)])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_is_named_and_leaves_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkstemp(**_: str) -> tuple[int, str]:
        link = folder / "full"
        link.symlink_to("/dev/full")
        return os.open(link, os.O_WRONLY), str(link)

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    with pytest.raises(DataError, match="No space left"):
        Run([batch(0, 1_000_000)])
    assert list(folder.iterdir()) == []


def test_a_row_group_is_whole_where_another_piece_would_lead_away_from_its_size() -> None:
    def pieces_until_whole(rows: int) -> int:
        group = RowGroup(WriteOptions(buffer_size=8000))
        count = 0
        while not group.is_whole:
            group.add(batch(0, rows))
            count += 1
        return count

    assert [pieces_until_whole(rows) for rows in (990, 1010, 600, 700, 10)] == [1, 1, 2, 1, 100]
