"""Many partitions: how many files there are, how many are open, and what is held in memory."""

from collections import Counter
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.workers import THREADS
from atomic_manifest.data.write.writer import StagedFiles, write_files
from atomic_manifest.store.driver import Data, DriverUpload, WriteOutcome
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing.env import FakeEnv

SCHEMA = pa.schema([("p", pa.int32()), ("x", pa.int64())])


class OpenUploads(MemoryDriver):
    """Knows how many uploads were under way at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()
        self.now = self.most = 0

    def start_upload(self, *args: Any, **options: Any) -> "OpenUpload":
        self.count(1)
        return OpenUpload(self, super().start_upload(*args, **options))

    def count(self, change: int) -> None:
        with self.lock:
            self.now += change
            self.most = max(self.most, self.now)


class OpenUpload:
    def __init__(self, driver: OpenUploads, inner: DriverUpload) -> None:
        self.driver = driver
        self.inner = inner

    def write(self, data: Data) -> None:
        self.inner.write(data)

    def finish(self) -> WriteOutcome:
        self.driver.count(-1)
        return self.inner.finish()

    def abort(self) -> None:
        self.inner.abort()


def write(
    batches: Iterable[pa.RecordBatch], **options: Any
) -> tuple[ObjectStore, OpenUploads, StagedFiles]:
    driver = OpenUploads()
    store = ObjectStore(driver)
    staged = write_files(
        store,
        pa.RecordBatchReader.from_batches(SCHEMA, batches),
        schema=SCHEMA,
        partition_by=("p",),
        file_prefix="f",
        options=WriteOptions(part_size=1, **options),
        env=FakeEnv(),
    )
    return store, driver, staged


def batch(partitions: Iterable[int], start: int) -> pa.RecordBatch:
    keys = pa.array(partitions, pa.int32())
    return pa.record_batch([keys, pa.array(range(start, start + len(keys)))], schema=SCHEMA)


def scattered(partitions: int, batches: int, rows: int) -> Iterator[pa.RecordBatch]:
    for number in range(batches):
        drawn = pc.random(rows, initializer=number)
        yield batch(pc.floor(pc.multiply(drawn, partitions)).cast(pa.int32()), number * rows)


def files_of_each(staged: StagedFiles) -> set[int]:
    return set(Counter(add.partition_values["p"] for add in staged.adds).values())


def check_rows(store: ObjectStore, staged: StagedFiles, batches: Iterable[pa.RecordBatch]) -> None:
    wanted = pa.Table.from_batches(batches)
    for value in {add.partition_values["p"] for add in staged.adds}:
        paths = [add.path for add in staged.adds if add.partition_values["p"] == value]
        found = [pq.read_table(pa.BufferReader(store.get(path).data)) for path in paths]
        rows = wanted.filter(pc.field("p") == int(value or 0))["x"]
        assert pa.concat_tables(found)["x"].to_pylist() == rows.to_pylist()


def test_more_scattered_partitions_than_open_files_get_one_file_each() -> None:
    given = list(scattered(500, 40, 2000))
    held: list[int] = []

    def measured() -> Iterator[pa.RecordBatch]:
        for each in given:
            held.append(pa.total_allocated_bytes())
            yield each

    before = pa.total_allocated_bytes()
    store, driver, staged = write(measured(), max_open_files=8, buffer_size=1 << 17)
    assert (len(staged.adds), files_of_each(staged)) == (500, {1})
    assert [written.footer.num_row_groups for written in staged.written] == [1] * 500
    assert driver.most <= 8
    assert max(held) - before < 3 << 17  # of 960,000 bytes
    check_rows(store, staged, given)


def test_scattered_partitions_that_may_all_be_open_wait_in_memory_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("atomic_manifest.data.write.buffering.spill", None)
    given = list(scattered(8, 40, 2000))
    store, driver, staged = write(given, max_open_files=8, buffer_size=1 << 17)
    assert (len(staged.adds), files_of_each(staged), driver.most) == (8, {1}, 8)
    check_rows(store, staged, given)


@pytest.mark.parametrize("rows", [700, 20_000], ids=["many a batch", "many batches each"])
def test_sorted_partitions_are_finished_as_they_pass(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atomic_manifest.data.write.buffering.spill", None)
    count = 100_000 // rows
    whole = batch([n // rows for n in range(count * rows)], 0)
    given = [whole.slice(start, 1000) for start in range(0, whole.num_rows, 1000)]
    store, driver, staged = write(given, max_open_files=32, buffer_size=1 << 16)
    assert (len(staged.adds), files_of_each(staged)) == (count, {1})
    assert driver.most <= 8 if rows < 1000 else driver.most == 1
    check_rows(store, staged, given)


def test_a_partition_that_comes_back_ends_the_belief_in_order() -> None:
    turns = [0, 1, 2, 0, 1, 2] * 4
    given = [batch([turn] * 2000, number * 2000) for number, turn in enumerate(turns)]
    store, _, staged = write(given, max_open_files=4, buffer_size=1 << 16)
    assert files_of_each(staged) <= {1, 2}
    check_rows(store, staged, given)


def test_a_partition_with_most_rows_streams_while_the_rest_wait() -> None:
    given = [
        batch([0 if n % 10 else 1 + n // 10 for n in range(3000)], number * 3000)
        for number in range(40)
    ]
    store, driver, staged = write(
        given, max_open_files=4, buffer_size=1 << 17, target_file_size=None
    )
    assert (len(staged.adds), files_of_each(staged)) == (301, {1})
    assert driver.most <= 4 + THREADS
    check_rows(store, staged, given)


def test_row_limits_hold_for_rows_that_waited_on_disk() -> None:
    given = list(scattered(50, 20, 2000))
    limits = {"max_rows_per_group": 100, "max_rows_per_file": 300}
    store, _, staged = write(given, max_open_files=4, buffer_size=1 << 16, **limits)
    for written in staged.written:
        footer = written.footer
        assert footer.num_rows <= 300
        assert all(footer.row_group(i).num_rows <= 100 for i in range(footer.num_row_groups))
    check_rows(store, staged, given)


def test_the_same_rows_give_the_same_files_however_threads_run() -> None:
    given = list(scattered(40, 20, 2000))
    options = {"max_open_files": 16, "buffer_size": 1 << 16, "target_file_size": 4000}
    adds = {write(given, **options)[2].adds == write(given, **options)[2].adds for _ in range(3)}
    assert adds == {True}
