"""The order of a checkpoint's rows."""

import random
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atomic_manifest.log.checkpoint.order import FIRST, LAST, Block, in_order, partition_order, rank
from atomic_manifest.log.folder.segment import list_log
from atomic_manifest.log.maintenance.checkpoint_writer import write_checkpoint
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing import FakeEnv
from tests.log import layouts


def test_ranges_that_cannot_be_compared_are_no_error():
    tables = [pa.table({"x": [number]}) for number in (1, 2)]
    blocks = [
        Block(rank("a"), rank("b"), lambda: [tables[0]]),
        Block(rank(1), rank(2), lambda: [tables[1]]),
        Block(FIRST, LAST, list),
    ]
    assert pa.concat_tables(in_order(blocks))["x"].to_pylist() == [1, 2]


def test_of_blocks_that_overlap_goes_out_what_lies_before_the_next(monkeypatch):
    def block(*values):
        table = pa.table({"_key_0": pa.array(values, pa.int64())})
        known = [value for value in values if value is not None]
        high = LAST if None in values else rank(max(known))
        return Block(rank(min(known)), high, lambda: [table])

    blocks = [block(1, 3, 5), block(2, 4, None, 9), block(5, 6, 7), block(20, 21), block(8, 22)]
    tables = [table["_key_0"].to_pylist() for table in in_order(blocks)]
    assert [value for table in tables for value in table] == [
        *[1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 20, 21, 22, None],
    ]
    assert len(tables) > 1
    monkeypatch.setattr("atomic_manifest.log.checkpoint.order.HELD_ROWS", 3)
    found = [value for table in in_order(blocks) for value in table["_key_0"].to_pylist()]
    assert Counter(found) == Counter(value for table in tables for value in table)


def test_partitions_come_in_order_nulls_last_and_equal_ones_as_they_are(monkeypatch):
    chance = random.Random(3)
    rows = [
        {"a": chance.choice(["x", "y", "", None]), "b": chance.choice([1, 2, None])}
        for _ in range(50)
    ]
    values = pa.array(rows, pa.struct([("a", pa.string()), ("b", pa.int32())]))
    last = [(row["a"] is None, row["a"] or "", row["b"] is None, row["b"] or 0) for row in rows]
    expected = sorted(range(50), key=last.__getitem__)
    assert partition_order(values).to_pylist() == expected
    assert partition_order(values.take(pa.array(expected))) is None
    monkeypatch.setattr("atomic_manifest.log.checkpoint.order._MANY", 2)
    assert partition_order(values).to_pylist() == expected


def test_files_of_many_entries_are_written_in_the_order_of_their_partitions(monkeypatch):
    monkeypatch.setattr("atomic_manifest.log.checkpoint.file_rows.ROWS_PER_GROUP", 16)
    env = FakeEnv()
    store = ObjectStore(MemoryDriver(env=env), env=env)
    layouts.written(store)
    write_checkpoint(store, load(store))
    (files,) = list_log(store).checkpoints
    data = pq.read_table(pa.BufferReader(bytes(store.get(files.paths[0]).data)))["add"]
    kept = data.combine_chunks().drop_null()
    keys = pc.struct_field(kept, "partitionValues_parsed").flatten()[0]
    ranks = [rank(key) for key in keys.to_pylist()]
    assert ranks == sorted(ranks)
