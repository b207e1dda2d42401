import gc
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atomic_manifest.data.write.encoder import RowGroupEncoder
from atomic_manifest.data.write.joining import Encoded
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.sink import ParquetSink
from atomic_manifest.errors import StoreUnavailable
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.policy.pacing import Retry
from atomic_manifest.testing import CountingDriver, Fault, FaultyDriver
from atomic_manifest.testing.env import FakeEnv

SCHEMA = pa.schema([("a", pa.int64()), ("t", pa.timestamp("us", "UTC"))])


def rows(count: int, start: int = 0) -> pa.Table:
    numbers = pa.array(range(start, start + count), pa.int64())
    return pa.Table.from_arrays([numbers, numbers.cast(SCHEMA.field("t").type)], schema=SCHEMA)


def encode(table: pa.Table, options: WriteOptions | None = None) -> Encoded:
    return RowGroupEncoder(table.schema, options or WriteOptions()).encode(table)


def file_of(store: ObjectStore, path: str) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(store.get(path).data))


def test_rows_come_back_from_one_put(store: ObjectStore, driver: CountingDriver) -> None:
    sink = ParquetSink(store, "a/x.parquet", part_size=8 << 20)
    sink.write(encode(rows(10)))
    sink.write(encode(rows(5, 10)))
    assert not driver.requests
    written = sink.close()
    assert [(r.method, r.path) for r in driver.requests] == [("put", "a/x.parquet")]
    assert (written.path, written.rows) == ("a/x.parquet", 15)
    assert written.size == store.head("a/x.parquet").size
    assert written.footer.num_rows == 15
    read = file_of(store, "a/x.parquet").read()
    assert read.schema.equals(SCHEMA)
    assert read["a"].to_pylist() == list(range(15))


def test_timestamps_are_stored_as_adjusted_microseconds(store: ObjectStore) -> None:
    sink = ParquetSink(store, "x", part_size=8 << 20)
    sink.write(encode(rows(1)))
    column = sink.close().footer.schema.column(1)
    assert column.physical_type == "INT64"
    assert '"isAdjustedToUTC": true, "timeUnit": "microseconds"' in column.logical_type.to_json()[
        1:
    ] or ("isAdjustedToUTC=true, timeUnit=microseconds" in str(column.logical_type))


def test_each_write_is_a_row_group_unless_it_is_too_large(store: ObjectStore) -> None:
    options = WriteOptions(max_rows_per_group=100)
    sink = ParquetSink(store, "x", part_size=options.part_size)
    assert sink.size == 0
    for start, count in ((0, 40), (40, 100), (140, 110)):
        sink.write(encode(rows(count, start), options))
    assert sink.size > 0
    written = sink.close()
    footer = written.footer
    groups = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    assert (groups, written.rows) == ([40, 100, 100, 10], 250)
    assert file_of(store, "x").read()["a"].to_pylist() == list(range(250))


def test_above_the_part_size_parts_leave_while_rows_come(
    store: ObjectStore, driver: CountingDriver
) -> None:
    options = WriteOptions(max_rows_per_group=1000, part_size=4096)
    sink = ParquetSink(store, "x", part_size=options.part_size)
    for start in range(0, 5000, 1000):
        sink.write(encode(rows(1000, start), options))
    assert driver.count("start_upload") == 1
    sink.close()
    assert driver.count("put") == 0
    assert file_of(store, "x").read()["a"].to_pylist() == list(range(5000))


@pytest.mark.parametrize("part_size", [1 << 20, 1024])
def test_an_aborted_file_leaves_nothing(store: ObjectStore, part_size: int) -> None:
    sink = ParquetSink(store, "x", part_size=part_size)
    sink.write(encode(rows(1000)))
    sink.abort()
    del sink
    gc.collect()
    assert list(store.list()) == []


@pytest.mark.parametrize("part_size", [1 << 20, 1024])
def test_a_file_whose_last_answer_is_lost_is_gone_after_abort(part_size: int) -> None:
    inner = MemoryDriver()
    faulty = FaultyDriver(
        inner,
        lambda _, request: Fault.LOST_AFTER if request.method in ("put", "finish_upload") else None,
    )
    store = ObjectStore(faulty, env=FakeEnv(), retry=Retry(attempts=2))
    sink = ParquetSink(store, "x", part_size=part_size)
    sink.write(encode(rows(1000)))
    with pytest.raises(StoreUnavailable):
        sink.close()
    sink.abort()
    assert list(inner.list()) == []


def test_columns_with_nan_are_told_from_those_without(store: ObjectStore) -> None:
    nan = float("nan")
    table = pa.table(
        {
            "clean": [1.0, None],
            "dirty": [1.0, nan],
            "s": [{"clean": 1.0, "dirty": nan, "i": 1}, None],
            "l": [[nan], None],
        }
    )
    sink = ParquetSink(store, "x", part_size=8 << 20)
    sink.write(encode(table))
    assert sink.close().nan_free == {("clean",), ("s", "clean")}


def test_further_parquet_options_reach_the_file(store: ObjectStore) -> None:
    options = WriteOptions(compression="snappy", parquet={"write_page_index": True})
    sink = ParquetSink(store, "x", part_size=options.part_size)
    sink.write(encode(rows(10), options))
    column = sink.close().footer.row_group(0).column(0)
    assert column.compression == "SNAPPY"
    assert column.has_column_index
