"""Reading as a stream: a few files ahead of the reader, never the whole table."""

import gc
import threading

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import DataError, InvalidFilter
from atomic_manifest.testing import CountingDriver
from tests.conformance.conftest import HandMade, column, inline

FILES, ROWS = 40, 2000
AHEAD = 8
"""The most files that may be open besides those whose rows were given."""


def rows_of(file):
    return pa.table({"id": pa.array(range(file * ROWS, (file + 1) * ROWS), pa.int64())})


def mapped(name, number):
    return column(
        name,
        "long",
        delta__columnMapping__id=number,
        delta__columnMapping__physicalName="id",
    )


@pytest.fixture(
    scope="module", params=["plain", "deletion vectors", "some with deletion vectors", "mapped"]
)
def made(request, tmp_path_factory):
    """A table of many files, which no test changes."""
    made = HandMade(tmp_path_factory.mktemp("stream") / "t")
    if request.param == "mapped":
        made.create([mapped("id", 1)], protocol=(2, 5), delta__columnMapping__mode="name")
    else:
        made.create([column("id", "long")], features=["deletionVectors"])
    every = {"deletion vectors": 1, "some with deletion vectors": 2}.get(request.param)
    vector = inline([0])
    made.commit(
        *(
            made.file(rows_of(file), vector=None if every is None or file % every else vector)
            for file in range(FILES)
        )
    )
    return made


@pytest.fixture
def counted(made, table_on):
    """The table, and the data files that were asked for so far."""
    driver = CountingDriver(am.store.open_store(made.root).driver)
    table = table_on(driver)
    driver.clear()
    return table, lambda: {each.path for each in driver.requests if each.path.endswith(".parquet")}


@pytest.fixture(params=["to_batches", "__arrow_c_stream__"])
def read(request):
    if request.param == "to_batches":
        return am.Table.to_batches
    return pa.RecordBatchReader.from_stream


def test_files_are_asked_for_as_their_rows_are_taken(counted, read):
    table, asked = counted
    reader = read(table)
    assert not asked()
    rows = 0
    for batch in reader:
        assert len(asked()) <= rows // ROWS + AHEAD + 1
        rows += batch.num_rows
    assert len(asked()) == FILES


def test_little_memory_is_held(made):
    whole = made.open().to_arrow().nbytes
    before, most = pa.total_allocated_bytes(), 0
    for _ in made.open().to_batches():
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < whole / 3


def test_a_reader_that_is_given_up_asks_for_no_more_and_leaves_no_thread(counted):
    table, asked = counted
    threads = set(threading.enumerate())
    reader = table.to_batches()
    reader.read_next_batch()
    assert set(threading.enumerate()) != threads
    reader.close()
    del reader
    gc.collect()
    assert set(threading.enumerate()) <= threads
    assert len(asked()) <= AHEAD + 1


def test_batches_have_at_most_the_rows_asked_for(made):
    batches = list(made.open().to_batches(batch_size=300))
    assert max(batch.num_rows for batch in batches) == 300
    assert pa.Table.from_batches(batches).equals(made.open().to_arrow())


def test_scanners_of_the_dataset_keep_to_the_batch_size(made):
    scanner = made.open().to_dataset().scanner(batch_size=300)
    assert max(batch.num_rows for batch in scanner.to_batches()) == 300


def test_row_groups_of_large_files_are_pieces_of_their_own(made, monkeypatch):
    from atomic_manifest.data.read import stream

    wanted = made.open().to_arrow(filter="id >= 777")
    monkeypatch.setattr(stream, "_WHOLE_BYTES", 0)
    assert made.open().to_batches(filter="id >= 777").read_all().equals(wanted)


@pytest.mark.parametrize(
    "filter",
    [
        None,
        "id < 10 OR id = 5000",
        [("id", "in", [1, 70_000])],
        pa.compute.field("id") == 3,
        "id = -1",
    ],
)
def test_a_stream_gives_the_rows_of_the_table_in_its_order(made, filter):
    table = made.open()
    assert table.to_batches(filter=filter).read_all() == table.to_arrow(filter=filter)


def test_a_stream_without_columns_has_the_rows(made):
    rows = sum(batch.num_rows for batch in made.open().to_batches([]))
    assert rows == made.open().to_arrow().num_rows


def test_engines_read_the_handle_by_the_arrow_interface(made):
    handle = made.open()
    ids = handle.to_arrow()["id"].to_pylist()
    assert pa.table(handle)["id"].to_pylist() == ids
    assert pl.DataFrame(handle)["id"].to_list() == ids
    for _ in range(2):  # each scan is a stream of its own
        (found,) = duckdb.sql("SELECT count(*), sum(id) FROM handle").fetchall()
        assert found == (len(ids), sum(ids))
    assert duckdb.sql("SELECT id FROM handle LIMIT 1").fetchall() == [(ids[0],)]


def test_bad_arguments_are_refused_before_a_file_is_read(counted):
    table, asked = counted
    with pytest.raises(DataError, match="batch_size must be at least 1, got 0"):
        table.to_batches(batch_size=0)
    with pytest.raises(InvalidFilter, match="nothing"):
        table.to_batches(filter="nothing = 1")
    assert not asked()


def test_only_files_that_may_match_are_asked_for(table_on):
    url = "memory://stream-of-one-partition"
    for start in range(0, 1000, 100):
        days = [f"2026-01-{start // 500 + 1:02}"] * 100
        rows = pa.table({"day": days, "id": range(start, start + 100)})
        am.append(url, rows, partition_by=["day"])
    driver = CountingDriver(am.store.open_store(url).driver)
    table = table_on(driver)
    for where, rows, files in [("day = '2026-01-02'", 500, 5), ("id < 150", 150, 2)]:
        for read in (am.Table.to_batches, am.Table.to_arrow, am.Table.to_pandas):
            driver.clear()
            given = read(table, ["id"], filter=where)
            found = given.read_all() if read is am.Table.to_batches else given
            assert len(found) == rows
            assert sum(each.path.endswith(".parquet") for each in driver.requests) == files


def test_a_file_that_is_gone_is_named_by_the_stream(tmp_path):
    am.append(tmp_path, rows_of(0))
    (gone,) = tmp_path.glob("*.parquet")
    gone.unlink()
    with pytest.raises(FileNotFoundError, match=gone.name):
        am.Table.open(tmp_path).to_batches().read_all()
