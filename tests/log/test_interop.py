"""The same log read and written by other engines."""

import datetime as dt
import json
from decimal import Decimal

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from duckdb_extensions import import_extension

from atomic_manifest.log.actions import Add, Metadata, Remove, Txn
from atomic_manifest.log.entry import encode, entry_path
from atomic_manifest.log.maintenance.checkpoint_writer import checkpoint_path, write_checkpoint
from atomic_manifest.log.metadata.features import required_protocol
from atomic_manifest.log.metadata.partition import folder, serialize
from atomic_manifest.log.metadata.schema import to_delta
from atomic_manifest.log.path import decode_file_path
from atomic_manifest.log.path import encode as encode_path
from atomic_manifest.log.state.snapshot import load, refresh
from atomic_manifest.log.stats.footer import FooterStatistics
from atomic_manifest.store.open import open_store

pytestmark = pytest.mark.interop


def _table(start, rows=4):
    return pa.table(
        {
            "x": pa.array(range(start, start + rows), pa.int64()),
            "p": pa.array([f"a b/{number % 2}" for number in range(rows)]),
        }
    )


def _paths(snapshot):
    return sorted(snapshot.files()["path"].to_pylist())


def _their_paths(path):
    actions = pa.table(DeltaTable(path).get_add_actions())
    return sorted(actions["path"].to_pylist())


@pytest.mark.parametrize("partition_by", [None, ["p"]])
def test_a_log_of_deltalake_reads_as_deltalake_reads_it(tmp_path, partition_by):
    for number in range(5):
        write_deltalake(tmp_path, _table(10 * number), mode="append", partition_by=partition_by)
    table = DeltaTable(tmp_path)
    table.delete("x < 10")
    table.create_checkpoint()
    write_deltalake(tmp_path, _table(100), mode="append")
    table.update_incremental()
    table.delete("x < 20")
    store = open_store(tmp_path)
    snapshot = load(store)
    assert snapshot.version == DeltaTable(tmp_path).version()
    assert snapshot._replay.base.version == 5
    assert snapshot.partition_columns == tuple(partition_by or ())
    files = [decode_file_path(path, version=None) for path in _paths(snapshot)]
    assert sum(pq.read_metadata(tmp_path / file).num_rows for file in files) == 16
    assert snapshot.tombstones().num_rows
    for version in range(snapshot.version + 1):
        rows = len(DeltaTable(tmp_path, version=version).to_pyarrow_table())
        stats = load(store, version=version).files(["stats"])["stats"].to_pylist()
        assert sum(json.loads(text)["numRecords"] for text in stats) == rows


def test_refresh_follows_the_commits_of_deltalake(tmp_path):
    write_deltalake(tmp_path, _table(0))
    store = open_store(tmp_path)
    snapshot = load(store)
    for number in range(1, 4):
        write_deltalake(tmp_path, _table(10 * number), mode="append")
    write_deltalake(tmp_path, _table(0), mode="overwrite")
    newer = refresh(store, snapshot)
    assert newer.version == 4
    assert _paths(newer) == _paths(load(store))
    assert newer.files().num_rows == 1


@pytest.fixture
def ours(tmp_path):
    """A partitioned table of ours at version 2, with files, a tombstone and a transaction."""
    schema = pa.schema(
        [
            ("x", pa.int64()),
            ("s", pa.string()),
            ("d", pa.date32()),
            ("t", pa.timestamp("us", "UTC")),
            ("n", pa.timestamp("us")),
            ("c", pa.decimal128(12, 3)),
            ("p", pa.timestamp("us", "UTC")),
            ("q", pa.string()),
        ]
    )
    store = open_store(tmp_path)
    adds = []
    moment = dt.datetime(2021, 1, 1, 1, 2, 3, 456789, tzinfo=dt.UTC)
    for number in range(4):
        row = {
            "x": number,
            "s": "long " * 20,
            "d": dt.date(1960, 1, 1 + number),
            "t": moment + dt.timedelta(days=number),
            "n": (moment + dt.timedelta(days=number)).replace(tzinfo=None),
            "c": Decimal(number),
        }
        data_schema = pa.schema(list(schema)[:-2])
        keys = {"p": moment if number % 2 else None, "q": "50% é/:" if number % 2 else None}
        values = {
            name: serialize(pa.scalar(keys[name], schema.field(name).type)) for name in ("p", "q")
        }
        path = f"{folder(values)}/part {number}.parquet"
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([row], schema=data_schema), file)
        footer = pq.read_metadata(file)
        adds.append(
            Add(
                path=encode_path(path),
                partition_values=values,
                size=file.stat().st_size,
                modification_time=0,
                data_change=True,
                stats=FooterStatistics(schema).text(footer),
            )
        )
    metadata = Metadata(
        id="5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
        schema_string=to_delta(schema),
        partition_columns=["p", "q"],
        created_time=0,
    )
    store.put(entry_path(0), encode([required_protocol(schema, {}), metadata]))
    store.put(entry_path(1), encode([*adds, Txn(app_id="app", version=3)]))
    now = int(store.env.now() * 1000)
    remove = Remove(path=adds[0].path, data_change=True, deletion_timestamp=now)
    store.put(entry_path(2), encode([remove]))
    return tmp_path


@pytest.fixture
def ours_checkpointed(ours):
    """The same, with the entries before the checkpoint cleaned up."""
    store = open_store(ours)
    write_checkpoint(store, load(store))
    for version in range(2):
        store.delete(entry_path(version))
    return ours


@pytest.fixture(params=["ours", "ours_checkpointed"])
def path(request):
    return request.getfixturevalue(request.param)


def test_deltalake_reads_what_we_wrote(path):
    table = DeltaTable(path)
    assert table.version() == 2
    rows = table.to_pyarrow_table().sort_by("x").to_pylist()
    assert [row["x"] for row in rows] == [1, 2, 3]
    assert rows[0]["p"] == dt.datetime(2021, 1, 1, 1, 2, 3, 456789, tzinfo=dt.UTC)
    assert rows[0]["q"] == "50% é/:"
    assert (rows[1]["p"], rows[1]["q"]) == (None, None)
    assert table.transaction_version("app") == 3


@pytest.mark.parametrize(
    "where",
    [
        "x >= 2",
        "d >= '1960-01-03'",
        "t >= '2021-01-03T01:02:03.456789Z'",
        "n >= '2021-01-03T01:02:03.456789'",
        "c >= 2",
    ],
)
def test_the_statistics_of_ours_mislead_no_engine(path, where):
    reader = deltalake.QueryBuilder().register("t", DeltaTable(path))
    theirs = pa.table(reader.execute(f"SELECT x FROM t WHERE {where} ORDER BY x"))
    assert theirs["x"].to_pylist() == [2, 3]
    column, _, value = where.partition(" >= ")
    literal = value.replace("T", " ").replace("Z", "+00")
    rows = _duckdb(f"SELECT x FROM delta_scan('{path}') WHERE {column} >= {literal} ORDER BY x")
    assert rows == [(2,), (3,)]


def _duckdb(query):
    import_extension("delta")
    with duckdb.connect() as connection:
        connection.execute("load delta")
        return connection.execute(query).fetchall()


def test_duckdb_reads_what_we_wrote(path):
    query = f"SELECT x, q FROM delta_scan('{path}') ORDER BY x"
    assert _duckdb(query) == [(1, "50% é/:"), (2, None), (3, "50% é/:")]


def test_polars_reads_what_we_wrote(path):
    frame = pl.read_delta(str(path)).sort("x")
    assert frame["x"].to_list() == [1, 2, 3]
    assert frame["q"].to_list() == ["50% é/:", None, "50% é/:"]
    filtered = pl.scan_delta(str(path)).filter(pl.col("x") > 2).collect()
    assert filtered["x"].to_list() == [3]


def test_deltalake_writes_on_from_our_checkpoint_and_we_read_on(ours_checkpointed):
    DeltaTable(ours_checkpointed).delete("x = 2")
    snapshot = load(open_store(ours_checkpointed))
    assert snapshot.version == 3
    assert snapshot.files().num_rows == 2
    assert snapshot.txns == {"app": 3}


def test_a_checkpoint_of_deltalake_over_ours_reads_the_same(ours):
    before = load(open_store(ours))
    DeltaTable(ours).create_checkpoint()
    after = load(open_store(ours))
    assert after._replay.base.paths == (checkpoint_path(2),)
    assert _paths(after) == _paths(before) == _their_paths(ours)
    assert after.txns == before.txns
    assert after.tombstones()["path"] == before.tombstones()["path"]
