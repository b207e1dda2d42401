import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.writer import StagedFiles, write_files
from atomic_manifest.errors import DataError, InvalidSchema, StoreUnavailable
from atomic_manifest.log.metadata.partition import parse
from atomic_manifest.log.path import decode_file_path
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.policy.pacing import Retry
from atomic_manifest.testing import CountingDriver, Fault, FaultyDriver
from atomic_manifest.testing.env import FakeEnv


def write(
    store: ObjectStore,
    data: pa.Table | pa.RecordBatchReader,
    partition_by: tuple[str, ...] = (),
    options: WriteOptions | None = None,
    **more: Any,
) -> StagedFiles:
    return write_files(
        store,
        data.to_reader() if isinstance(data, pa.Table) else data,
        schema=data.schema,
        partition_by=partition_by,
        file_prefix="c0ffee",
        options=options or WriteOptions(),
        env=FakeEnv(),
        **more,
    )


def read(store: ObjectStore, path: str) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(store.get(path).data)).read()


def paths(staged: StagedFiles) -> list[str]:
    return [decode_file_path(add.path, version=None) for add in staged.adds]


def stored(store: ObjectStore) -> list[str]:
    return [meta.path for meta in store.list()]


TABLE = pa.table(
    {"id": range(1000), "x": [float(i) for i in range(1000)], "s": [str(i) for i in range(1000)]}
)


def test_a_small_append_is_one_put(store: ObjectStore, driver: CountingDriver) -> None:
    staged = write(store, TABLE)
    assert [(r.method, r.path) for r in driver.requests] == [("put", "part-00000-c0ffee.parquet")]
    (add,) = staged.adds
    assert add.path == "part-00000-c0ffee.parquet"
    assert add.size == store.head(add.path).size
    assert add.modification_time == 1_700_000_000_000
    assert add.data_change
    assert add.partition_values == {}
    assert staged.rows == 1000
    assert staged.written[0].footer.num_rows == 1000
    statistics = json.loads(add.stats or "")
    assert statistics["numRecords"] == 1000
    assert statistics["minValues"]["id"] == 0
    assert statistics["maxValues"] == {"id": 999, "x": 999.0, "s": "999"}
    assert read(store, add.path).equals(TABLE)


def test_no_rows_make_no_files(store: ObjectStore, driver: CountingDriver) -> None:
    assert write(store, TABLE.slice(0, 0)) == StagedFiles((), 0, ())
    assert write(store, TABLE.slice(0, 0), ("s",)) == StagedFiles((), 0, ())
    assert write(store, pa.Table.from_batches([], TABLE.schema)).adds == ()
    assert not driver.requests


def test_the_same_input_makes_the_same_files(env: FakeEnv) -> None:
    first, second = (ObjectStore(MemoryDriver(), env=env) for _ in range(2))
    grouped = TABLE.append_column("p", pc.bit_wise_and(TABLE["id"], 7))
    assert write(first, grouped, ("p",)).adds == write(second, grouped, ("p",)).adds
    assert [first.get(p).data for p in stored(first)] == [
        second.get(p).data for p in stored(second)
    ]


def test_files_are_named_by_the_caller_if_asked(store: ObjectStore) -> None:
    staged = write(store, TABLE, name=lambda sequence: f"chunk-{sequence}.parquet")
    assert paths(staged) == ["chunk-0.parquet"]


# --- partitions ----------------------------------------------------------------------------------

PARTITION_VALUES = {
    "text": pa.array(["a", None, "b/c", "a b%=?:#", "é🙂", "..", "a"]),
    "bool": pa.array([True, None, False, True, True, False, None]),
    "byte": pa.array([1, None, -3, 1, 2, 3, 4], pa.int8()),
    "long": pa.array([1, None, -3, 1, 2**62, 3, 4]),
    "double": pa.array([1.5, None, -0.25, 1e300, 2.0, 3.0, float("inf")]),
    "decimal": pa.array([Decimal(x) / 100 for x in (150, 0, -1, 9, 9, 9, 9)], pa.decimal128(9, 2)),
    "date": pa.array([dt.date(2026, 1, 2), None, dt.date(1900, 1, 1), *[dt.date(2026, 1, 3)] * 4]),
    "timestamp": pa.array([1, None, -1, 10**15, 5, 5, 1], pa.timestamp("us", "UTC")),
    "timestamp_ntz": pa.array([1, None, -1, 10**15, 5, 5, 1], pa.timestamp("us")),
    "binary": pa.array([b"a", None, b"/", b"a", b"b", b"c", b"d"], pa.binary()),
}  # fmt: skip


@pytest.mark.parametrize("kind", PARTITION_VALUES)
@pytest.mark.parametrize("local", [False, True], ids=["memory", "local"])
def test_every_row_is_written_once_into_the_file_of_its_value(
    kind: str, local: bool, tmp_path, store: ObjectStore
) -> None:
    if local:
        store = ObjectStore(LocalDriver(tmp_path))
    table = pa.table({"x": range(7), "p y": PARTITION_VALUES[kind], "q": [1, 1, 1, 2, 2, 2, 2]})
    staged = write(store, table, ("p y", "q"))
    found = []
    for add, path in zip(staged.adds, paths(staged), strict=True):
        data = read(store, path)
        assert data.column_names == ["x"]
        values = {
            name: parse(text, table.schema.field(name).type).as_py()
            for name, text in add.partition_values.items()
        }
        found += [{"x": x, **values} for x in data["x"].to_pylist()]
        assert path.startswith("p y=")
        assert add.size == store.head(path).size
    assert sorted(found, key=lambda row: row["x"]) == table.to_pylist()
    assert sorted(paths(staged)) == sorted(stored(store))
    assert staged.rows == 7


def test_partitions_match_grouping_by_brute_force(store: ObjectStore) -> None:
    rows = 50_000
    table = pa.table(
        {
            "id": pa.array(range(rows)),
            "a": pa.array([(i * 7919) % 13 for i in range(rows)], pa.int32()),
            "b": pa.array([f"k{(i * 104729) % 5}" for i in range(rows)]),
        }
    )
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=999))
    staged = write(store, reader, ("b", "a"))
    assert len(staged.adds) == 65
    for add, path in zip(staged.adds, paths(staged), strict=True):
        wanted = table.filter(
            (pc.field("a") == int(add.partition_values["a"] or ""))
            & (pc.field("b") == add.partition_values["b"])
        )
        assert read(store, path)["id"].equals(wanted["id"])
        assert path.startswith(f"b={add.partition_values['b']}/a={add.partition_values['a']}/part-")


def test_row_groups_beyond_the_bound_on_open_files_give_more_files_and_the_same_rows(
    store: ObjectStore,
) -> None:
    table = pa.table({"id": range(600), "p": [i % 6 for i in range(600)]})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=60))
    options = WriteOptions(max_open_files=2, buffer_size=64)
    staged = write(store, reader, ("p",), options)
    assert len(staged.adds) > 6
    for value in range(6):
        parts = [
            read(store, path)["id"].to_pylist()
            for add, path in zip(staged.adds, paths(staged), strict=True)
            if add.partition_values["p"] == str(value)
        ]
        assert list(chain(*parts)) == list(range(value, 600, 6))


def test_values_that_are_written_alike_share_a_file(store: ObjectStore) -> None:
    table = pa.table({"x": [1, 2], "p": [float("nan"), float("nan")]})
    (add,) = write(store, table, ("p",)).adds
    assert add.partition_values == {"p": "NaN"}


def test_an_empty_text_as_partition_value_is_refused_and_leaves_nothing(
    store: ObjectStore,
) -> None:
    with pytest.raises(DataError, match="'p'"):
        write(store, pa.table({"x": [1, 2], "p": ["a", ""]}), ("p",))
    assert stored(store) == []


# --- columns that are not written ----------------------------------------------------------------


def test_void_columns_are_not_written(store: ObjectStore) -> None:
    (add,) = write(store, pa.table({"x": [1], "v": pa.nulls(1)})).adds
    assert read(store, add.path).column_names == ["x"]


@pytest.mark.parametrize(
    ("schema", "partition_by", "column"),
    [
        (pa.schema([("v", pa.null())]), (), "v"),
        (pa.schema([("v", pa.null()), ("p", pa.int64())]), ("p",), "v"),
        (pa.schema([("x", pa.int64()), ("s", pa.struct([("v", pa.null())]))]), (), "s.v"),
        (pa.schema([("x", pa.int64()), ("l", pa.list_(pa.null()))]), (), "l.element"),
        (pa.schema([("x", pa.int64())]), ("x",), "x"),
        (pa.schema([("x", pa.int64())]), ("y",), "y"),
    ],
    ids=["void", "void and partition", "void struct", "void list", "all partition", "unknown"],
)
def test_a_schema_no_file_can_have_is_refused_before_a_request(
    schema: pa.Schema, partition_by: tuple[str, ...], column: str,
    store: ObjectStore, driver: CountingDriver,
) -> None:  # fmt: skip
    with pytest.raises(InvalidSchema) as caught:
        write(store, schema.empty_table(), partition_by)
    assert column in caught.value.columns
    assert not driver.requests


# --- sizes ---------------------------------------------------------------------------------------


def test_files_roll_at_the_target_size(store: ObjectStore) -> None:
    options = WriteOptions(max_rows_per_group=100, target_file_size=1000)
    staged = write(store, TABLE, options=options)
    assert len(staged.adds) > 1
    assert [path.split("-")[1] for path in paths(staged)] == [
        f"{number:05}" for number in range(len(staged.adds))
    ]
    assert pa.concat_tables(read(store, path) for path in paths(staged)).equals(TABLE)
    one = write(store, TABLE, options=WriteOptions(max_rows_per_group=100, target_file_size=None))
    assert len(one.adds) == 1


def test_files_roll_at_the_row_limit(store: ObjectStore) -> None:
    options = WriteOptions(max_rows_per_file=300)
    staged = write(store, TABLE, options=options)
    assert [json.loads(add.stats or "")["numRecords"] for add in staged.adds] == [
        300,
        300,
        300,
        100,
    ]
    assert pa.concat_tables(read(store, path) for path in paths(staged)).equals(TABLE)


def test_progress_is_told_as_it_goes(store: ObjectStore) -> None:
    told: list[tuple[int, int]] = []
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches(max_chunksize=250))
    staged = write(store, reader, progress=lambda rows, size: told.append((rows, size)))
    assert [rows for rows, _ in told] == [250, 500, 750, 1000, 1000]
    assert told[-1][1] == staged.adds[0].size


@pytest.mark.parametrize("partition_by", [(), ("p",)], ids=["one file", "partitions"])
def test_memory_does_not_grow_with_the_input(partition_by: tuple[str, ...]) -> None:
    store = ObjectStore(MemoryDriver())
    held: list[int] = []
    start = pa.total_allocated_bytes()
    rows = 1 << 18

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(60):
            held.append(pa.total_allocated_bytes() - start)
            yield pa.RecordBatch.from_arrays(
                [
                    pc.add(pa.repeat(0, rows), number),
                    # Most rows in one partition, few in each of many others.
                    pc.cast(
                        pc.multiply(pc.power(pc.random(rows), 20.0), 50.0), pa.int32(), safe=False
                    ),
                ],
                names=["x", "p"],
            )

    schema = pa.schema([("x", pa.int64()), ("p", pa.int32())])
    options = WriteOptions(buffer_size=8 << 20, part_size=64 << 10, max_open_files=4)
    reader = pa.RecordBatchReader.from_batches(schema, batches())
    staged = write(store, reader, partition_by, options)
    assert staged.rows == 60 * rows
    assert max(held) < 40 << 20  # of 180 MiB


# --- failures ------------------------------------------------------------------------------------


class Stopped(BaseException):
    """As KeyboardInterrupt, but pytest does not take it for its own."""


@pytest.mark.parametrize("error", [RuntimeError, Stopped, KeyboardInterrupt])
@pytest.mark.parametrize("partition_by", [(), ("p",)], ids=["one file", "partitions"])
def test_input_that_fails_in_the_middle_leaves_nothing(
    error: type[BaseException], partition_by: tuple[str, ...], store: ObjectStore,
    driver: CountingDriver,
) -> None:  # fmt: skip
    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(20):
            yield pa.record_batch({"x": range(number, number + 500), "p": [number % 3] * 500})
        raise error("stop")

    schema = pa.schema([("x", pa.int64()), ("p", pa.int64())])
    options = WriteOptions(
        max_rows_per_group=500, target_file_size=2000, part_size=1000, buffer_size=1 << 14
    )
    with pytest.raises(error):
        write(store, pa.RecordBatchReader.from_batches(schema, batches()), partition_by, options)
    assert driver.count("start_upload") > 3
    assert stored(store) == []


@pytest.mark.faults
@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.LOST_BEFORE])
@pytest.mark.parametrize("part_size", [1 << 20, 500], ids=["puts", "multipart"])
def test_a_store_that_fails_at_any_request_gets_nothing_or_everything(
    fault: Fault, part_size: int
) -> None:
    table = pa.table({"x": range(900), "p": [i % 3 for i in range(900)]})
    options = WriteOptions(part_size=part_size, max_rows_per_file=150)
    outcomes = set()
    for failing in range(14):
        inner = MemoryDriver()
        # Two in a row: more than one request's attempts, fewer than the clean-up's.
        faulty = FaultyDriver(inner, {failing: fault, failing + 1: fault})
        store = ObjectStore(faulty, env=FakeEnv(), retry=Retry(attempts=2))
        try:
            wanted = sorted(paths(write(store, table, ("p",), options)))
        except StoreUnavailable:
            wanted = []
        assert [meta.path for meta in inner.list()] == wanted
        outcomes.add(bool(wanted))
    assert outcomes == {False, True}


def test_what_could_not_be_cleaned_up_is_said_on_the_first_error() -> None:
    def faults(_: int, request: Any) -> Fault | None:
        return Fault.LOST_BEFORE if request.method.startswith("delete") else None

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"x": range(300)})
        raise RuntimeError("stop")

    store = ObjectStore(
        FaultyDriver(MemoryDriver(), faults), env=FakeEnv(), retry=Retry(attempts=1)
    )
    reader = pa.RecordBatchReader.from_batches(pa.schema([("x", pa.int64())]), batches())
    with pytest.raises(RuntimeError, match="stop") as caught:
        write(store, reader, options=WriteOptions(max_rows_per_file=100))
    assert "could be deleted" in caught.value.__notes__[0]


def test_an_append_needs_no_pandas() -> None:
    import subprocess
    import sys

    code = """
import sys, pyarrow as pa
from atomic_manifest.data.input.conform import conform
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.input.source import open_source
from atomic_manifest.data.write.writer import write_files
from atomic_manifest.env import SYSTEM
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
schema = pa.schema([("x", pa.int64()), ("s", pa.string()), ("f", pa.float64())])
table = pa.Table.from_arrays([pa.nulls(9, field.type) for field in schema], schema=schema)
reader = conform(open_source(table), schema)
write_files(ObjectStore(MemoryDriver()), reader, schema=schema, file_prefix="x",
            options=WriteOptions(), env=SYSTEM)
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
