"""Row groups of one file are encoded at the same time, and what is in the file does not show it."""

from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atomic_manifest.data.write import joining
from atomic_manifest.data.write.file_set import FileSet
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.writer import StagedFiles, write_files
from atomic_manifest.store.batch import batched
from atomic_manifest.store.driver import DriverUpload
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing.env import FakeEnv

SCHEMA = pa.schema([("x", pa.int64())])
SOON = 30
"""Seconds after which a test that waits fails."""


class Watched:
    """`Rows` that tell when they are taken to be encoded, and may wait for others."""

    num_rows = 10
    nbytes = 80

    def __init__(self, start: int, after: Event | None = None) -> None:
        self.start = start
        self.after = after
        self.taken = Event()

    def read(self) -> pa.Table:
        return pa.table({"x": range(self.start, self.start + self.num_rows)}, schema=SCHEMA)

    def take(self) -> pa.Table:
        self.taken.set()
        assert self.after is None or self.after.wait(SOON)
        return self.read()


class WaitingDriver(MemoryDriver):
    """Begins no upload before an event."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    def start_upload(self, *args: Any, **options: Any) -> DriverUpload:
        assert self.event.wait(SOON)
        return super().start_upload(*args, **options)


def file_set(driver: MemoryDriver, **options: Any) -> FileSet:
    chosen = WriteOptions(part_size=1, **options)
    return FileSet(batched(ObjectStore(driver)), SCHEMA, (), lambda n: f"{n}.parquet", chosen)


def test_a_row_group_is_encoded_while_the_one_before_it_is_uploaded() -> None:
    second = Watched(10)
    driver = WaitingDriver(second.taken)
    files = file_set(driver)
    file = files.begin(())
    files.write(file, Watched(0))
    files.close(file, second)
    files.finish()
    assert pq.read_table(pa.BufferReader(driver.get("0.parquet").data))["x"].to_pylist() == [
        *range(20)
    ]


def test_row_groups_encoded_in_another_order_are_in_the_file_in_theirs() -> None:
    driver = MemoryDriver()
    files = file_set(driver)
    file = files.begin(())
    last = Watched(20)
    middle = Watched(10, after=last.taken)
    for rows in (Watched(0, after=middle.taken), middle):
        files.write(file, rows)
    files.close(file, last)
    files.finish()
    found = pq.ParquetFile(pa.BufferReader(driver.get("0.parquet").data))
    assert found.num_row_groups == 3
    assert found.read()["x"].to_pylist() == [*range(30)]


def test_a_row_group_that_cannot_be_encoded_fails_the_file_and_leaves_nothing() -> None:
    class Broken(Watched):
        def take(self) -> pa.Table:
            raise ZeroDivisionError

    driver = MemoryDriver()
    files = file_set(driver)

    def write_all() -> None:
        file = files.begin(())
        for rows in (Watched(0), Broken(10), Watched(20)):
            files.write(file, rows)
        files.close(file)
        files.finish()

    with pytest.raises(ZeroDivisionError) as raised:
        write_all()
    files.discard(raised.value)
    assert list(driver.list()) == []


def noise(rows: int, compressible: float) -> pa.Table:
    """Random numbers, after a share of zeros."""
    values = np.random.default_rng(1).integers(0, 2**62, rows)
    values[: int(rows * compressible)] = 0
    return pa.table({"x": values})


def written(table: pa.Table, **options: Any) -> StagedFiles:
    return write_files(
        ObjectStore(MemoryDriver()),
        table.to_reader(max_chunksize=1000),
        schema=table.schema,
        file_prefix="f",
        options=WriteOptions(max_rows_per_group=1000, compression="none", **options),
        env=FakeEnv(),
    )


def test_files_have_about_the_size_they_shall_have_while_row_groups_are_on_their_way() -> None:
    staged = written(noise(100_000, 0), target_file_size=80_000)
    sizes = [add.size for add in staged.adds]
    assert len(sizes) >= 8
    assert all(80_000 <= size < 1.3 * 80_000 for size in sizes[:-1])


def test_a_file_that_was_thought_smaller_grows_by_no_more_than_what_is_on_its_way() -> None:
    # The first half becomes nearly nothing, so the estimate is wrong when the second half comes.
    staged = written(noise(100_000, 0.5), target_file_size=80_000, buffer_size=40_000)
    assert max(add.size for add in staged.adds) < 80_000 + 3 * 20_000


def test_a_file_has_no_more_row_groups_than_a_footer_can_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(joining, "MOST", 4)
    staged = written(noise(10_000, 0))
    assert [file.footer.num_row_groups for file in staged.written] == [4, 4, 2]
