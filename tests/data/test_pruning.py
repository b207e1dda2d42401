"""What is left out: counted in files planned, in row groups read and in files opened by other engines."""

import datetime as dt
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import atomic_manifest as am
from atomic_manifest.data.filter.filters import to_predicate
from atomic_manifest.data.read.guarantees import MOST
from atomic_manifest.data.read.planning import planned, pruner
from atomic_manifest.data.read.reader import to_dataset
from atomic_manifest.errors import InvalidFilter
from atomic_manifest.log.checkpoint import order
from atomic_manifest.log.maintenance.checkpoint_writer import write_checkpoint
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing.drivers import CountingDriver

SCHEMA = pa.schema(
    [
        ("day", pa.date32()),
        ("id", pa.int64()),
        ("name", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("price", pa.decimal128(20, 2)),
        ("place", pa.struct([("zip", pa.int32())])),
        ("score", pa.float64()),
    ]
)
DAYS = [dt.date(2026, 1, number) for number in range(1, 6)]
FILES = 4  # a day
ROWS = 10


def _batch(number: int) -> pa.Table:
    ids = range(number * ROWS, (number + 1) * ROWS)
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return pa.table(
        {
            "day": [DAYS[number // FILES]] * ROWS,
            "id": ids,
            "name": [f"name-{each:05}" for each in ids],
            "at": [start + dt.timedelta(minutes=each) for each in ids],
            "price": [Decimal(each) for each in ids],
            "place": [{"zip": each} for each in ids],
            "score": [each / 2 for each in ids],
        },
        schema=SCHEMA,
    )


@pytest.fixture
def driver(tmp_path) -> CountingDriver:
    table = am.Table.create(tmp_path / "t", SCHEMA, partition_by=["day"])
    for number in range(len(DAYS) * FILES):
        table.append(_batch(number))
    return CountingDriver(LocalDriver(tmp_path / "t"))


@pytest.fixture
def store(driver) -> ObjectStore:
    return ObjectStore(driver)


CASES = [
    ("day = '2026-01-02'", 4),
    ("day != '2026-01-02'", 16),
    ("day in ('2026-01-02', '2026-01-05') AND id < 45", 1),
    ("id = 57", 1),
    ("id BETWEEN 55 AND 65", 2),
    ("id < 5 OR id > 195", 2),
    ("NOT id >= 15", 2),
    ("name = 'name-00123'", 1),
    ("name > 'name-00189'", 1),
    ("at < '2026-01-01T00:10:00Z'", 1),
    ("price >= 190", 1),
    ("place.zip = 100", 1),
    ("id IS NULL", 0),
    ("place.zip IS NULL", 0),
    ("id IS NOT NULL", 20),
    ("id = 57 AND name = 'name-00001'", 0),
    ("score < 5", 1),
    ("score > 1000", 0),  # files that we wrote, and found free of NaN
    ([("id", "in", list(range(0, 200, 3))[:100])], 20),
    ([("id", "in", list(range(100)))], 10),
    (pc.field("day") == DAYS[1], 4),
    (pc.field("id") == 57, 20),  # Arrow's expressions cannot be looked into
    ("false", 0),
    ("true", 20),
    (None, 20),
]


@pytest.mark.parametrize("checkpoint", [False, True])
def test_files_that_cannot_match_are_left_out(store, checkpoint):
    if checkpoint:
        write_checkpoint(store, load(store))
    snapshot = load(store)
    assert (snapshot._replay.base is not None) == checkpoint
    found = [planned(snapshot, chosen, ["path"]).num_rows for chosen, _ in CASES]
    assert dict(enumerate(found)) == dict(enumerate(kept for _, kept in CASES))


def test_files_of_a_handle_are_those_of_the_filter(store):
    files = planned(load(store), "id = 57")
    assert files.column_names == load(store).files().column_names
    assert files["partition_values"].to_pylist() == [[("day", "2026-01-02")]]


def test_a_filter_on_a_column_that_is_not_there_is_refused(store):
    for wrong in ("nope = 1", [("nope", "=", 1)], pc.field("nope") == 1):
        with pytest.raises(InvalidFilter, match="nope"):
            planned(load(store), wrong)


def test_groups_of_rows_of_a_checkpoint_are_passed_over(store, monkeypatch):
    monkeypatch.setattr(order, "ROWS_PER_GROUP", 4)
    write_checkpoint(store, load(store))
    snapshot = load(store)
    base = snapshot._replay.base
    assert base is not None
    groups = base.row_groups("add")
    assert len(groups) == 5
    cases = {"day = '2026-01-02'": 1, "id < 45": 2, "id IS NULL": 0, "id > 0": 5}
    for text, kept in cases.items():
        chosen = pruner(snapshot, to_predicate(text, snapshot.schema))
        assert chosen is not None
        assert len(chosen.groups(groups)) == kept, text


def _opened(driver: CountingDriver) -> set[str]:
    """The data files that were asked for since the last `clear`."""
    return {each.path for each in driver.requests if each.path.endswith(".parquet")}


def _duckdb(dataset, where):
    return duckdb.connect().execute(f"SELECT id FROM dataset WHERE {where}").fetchall()


def _polars(dataset, where):
    lazy = pl.scan_pyarrow_dataset(dataset)
    expression = {
        "day = DATE '2026-01-02'": pl.col("day") == DAYS[1],
        "id = 57": pl.col("id") == 57,
    }[where]
    return lazy.filter(expression).select("id").collect().rows()


def _pyarrow(dataset, where):
    expression = {
        "day = DATE '2026-01-02'": pc.field("day") == DAYS[1],
        "id = 57": pc.field("id") == 57,
    }[where]
    return dataset.to_table(columns=["id"], filter=expression).to_pylist()


@pytest.mark.parametrize("given", [False, True], ids=["pushed down", "given"])
@pytest.mark.parametrize("engine", [_duckdb, _polars, _pyarrow])
@pytest.mark.parametrize(
    ("where", "rows", "files"), [("day = DATE '2026-01-02'", 40, 4), ("id = 57", 1, 1)]
)
def test_engines_open_only_the_files_of_a_filter(store, driver, engine, given, where, rows, files):
    text = where.replace("DATE ", "")
    dataset = to_dataset(store, load(store), filter=text if given else None)
    driver.clear()
    assert len(engine(dataset, where)) == rows
    assert len(_opened(driver)) == files


def test_guarantees_of_many_files_are_of_partitions_only(store, driver, monkeypatch):
    assert MOST > 1000
    monkeypatch.setattr("atomic_manifest.data.read.reader.MOST", 10)
    dataset = to_dataset(store, load(store))
    driver.clear()
    assert dataset.to_table(filter=(pc.field("id") == 57)).num_rows == 1
    assert len(_opened(driver)) == 20
    driver.clear()
    assert dataset.to_table(filter=(pc.field("day") == DAYS[1])).num_rows == 40
    assert len(_opened(driver)) == 4
