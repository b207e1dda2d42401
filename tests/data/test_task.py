"""A task that is repeated: the same names, nothing overwritten, nothing left twice."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.task import Task
from atomic_manifest.data.write.writer import StagedFiles, write_files
from atomic_manifest.errors import DataError, WriteOutcomeUnknown
from atomic_manifest.store import ObjectStore, Retry
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import Fault, FaultyDriver
from atomic_manifest.testing.env import FakeEnv

TABLE = pa.table({"p": [n % 2 for n in range(600)], "x": [float(n) for n in range(600)]})


def stage(
    store: ObjectStore, data: pa.Table = TABLE, task: Task | None = None, part_size: int = 1 << 20
) -> StagedFiles:
    return write_files(
        store,
        data.to_reader(),
        schema=data.schema,
        partition_by=("p",),
        file_prefix="unused",
        options=WriteOptions(max_rows_per_file=150, part_size=part_size),
        env=FakeEnv(),
        task=task or Task("nightly-7", 3),
    )


def stored(store: ObjectStore) -> dict[str, bytes]:
    return {meta.path: store.get(meta.path).data for meta in store.list()}


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path) -> ObjectStore:
    return ObjectStore(MemoryDriver() if request.param == "memory" else LocalDriver(tmp_path))


@pytest.mark.parametrize("part_size", [1 << 20, 500], ids=["puts", "multipart"])
def test_a_repeated_task_names_the_files_that_are_there(store: ObjectStore, part_size: int) -> None:
    first = stage(store, part_size=part_size)
    files = {path: store.head(path).etag for path in stored(store)}
    assert len(files) == 4
    assert all("/part-00003-nightly-7-c00" in path for path in files)
    again = stage(store, part_size=part_size)
    assert again.adds == first.adds
    assert {path: store.head(path).etag for path in stored(store)} == files


def test_what_is_there_is_described_even_if_it_was_encoded_otherwise(store: ObjectStore) -> None:
    path = stage(store).adds[0].path
    rows = pq.read_table(pa.BufferReader(store.get(path).data))
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="none", use_dictionary=False)
    store.put(path, sink.getvalue().to_pybytes())
    add = next(add for add in stage(store).adds if add.path == path)
    assert add.size == store.head(path).size == len(sink.getvalue())
    assert json.loads(add.stats or "")["numRecords"] == rows.num_rows


@pytest.mark.parametrize(
    "other",
    [TABLE.slice(0, 599), TABLE.rename_columns(["p", "y"])],
    ids=["other rows", "other columns"],
)
def test_a_task_repeated_with_other_data_is_refused_and_changes_nothing(
    store: ObjectStore, other: pa.Table
) -> None:
    stage(store)
    before = stored(store)
    with pytest.raises(DataError, match="repeated with other data"):
        stage(store, other)
    assert stored(store) == before


def test_what_a_failed_attempt_left_is_used_by_the_next() -> None:
    inner = MemoryDriver()
    faulty = FaultyDriver(
        inner, lambda _, r: Fault.ERROR_500 if r.method == "put" and "c003" in r.path else None
    )
    with pytest.raises(WriteOutcomeUnknown):
        stage(ObjectStore(faulty, env=FakeEnv(), retry=Retry(attempts=2)))
    left = stored(ObjectStore(inner))
    assert len(left) >= 1
    staged = stage(ObjectStore(inner))
    assert len(staged.adds) == 4
    after = stored(ObjectStore(inner))
    assert len(after) == 4
    assert left.items() <= after.items()


def test_tasks_and_jobs_have_files_of_their_own(store: ObjectStore) -> None:
    for task in (Task("a", 0), Task("a", 1), Task("b", 0)):
        stage(store, task=task)
    assert len(stored(store)) == 12


@pytest.mark.parametrize("job", ["", "a/b", "..", "a b", "x" * 101])
def test_a_job_that_no_path_can_hold_is_refused(job: str) -> None:
    with pytest.raises(DataError, match="name"):
        Task(job, 0)
    with pytest.raises(DataError, match="numbered"):
        Task("a", -1)
