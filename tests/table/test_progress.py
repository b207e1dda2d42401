"""How far an operation is: by callbacks of fsspec's kind, and by a bar."""

import io
from pathlib import Path

import fsspec.callbacks
import polars as pl
import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import DataError
from tests.table.conftest import ids, rows

DATA = rows(*range(1000))
MANY = pa.table({"id": range(300_000)})


class Counted(fsspec.callbacks.Callback):
    """Keeps its child, which counts bytes."""

    def __init__(self):
        super().__init__()
        self.bytes = fsspec.callbacks.Callback()
        self.asked = []

    def branched(self, path_1, path_2, **kwargs):
        self.asked.append((path_1, path_2))
        return self.bytes


class Least:
    """No more than what is asked of a callback."""

    def __init__(self):
        self.size = None
        self.value = 0

    def set_size(self, size):
        self.size = size

    def relative_update(self, inc=1):
        self.value += inc


class Stop(Exception):
    """Somebody pressed a button."""


class Stopping(Least):
    def relative_update(self, inc=1):
        super().relative_update(inc)
        raise Stop


def data_files(url):
    return [path.name for path in Path(url.removeprefix("file://")).rglob("*.parquet")]


def in_transaction(table, **given):
    with table.transaction() as transaction:
        transaction.append(DATA, **given)
    return transaction.result


def overwrite_in_transaction(table, **given):
    with table.transaction() as transaction:
        transaction.overwrite(DATA, **given)
    return transaction.result


WRITES = {
    "append": lambda table, **given: table.append(DATA, **given),
    "overwrite": lambda table, **given: table.overwrite(DATA, **given),
    "one-call append": lambda table, **given: am.append(table.url, DATA, **given),
    "write_dataset": lambda table, **given: am.write_dataset(
        DATA, table.url, existing_data_behavior="overwrite_or_ignore", **given
    ),
    "in a transaction": in_transaction,
    "overwrite in a transaction": overwrite_in_transaction,
    "first append": lambda table, **given: am.append(table.url + "-new", DATA, **given),
    "first write_dataset": lambda table, **given: am.write_dataset(
        DATA, table.url + "-new", **given
    ),
}
READS = {
    "to_arrow": lambda table, **given: table.to_arrow(**given),
    "to_batches": lambda table, **given: table.to_batches(**given).read_all(),
    "to_pandas": lambda table, **given: table.to_pandas(**given),
    "read_table": lambda table, **given: am.read_table(table.url, **given),
    "pandas": lambda table, **given: am.pandas.read_table(table.url, **given),
}
each_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
each_read = pytest.mark.parametrize("read", READS.values(), ids=READS)


@each_write
def test_a_write_tells_its_rows_and_bytes(table, write):
    callback = Counted()
    result = write(table, callback=callback)
    assert (callback.size, callback.value) == (1000, 1000)
    ((what, url),) = callback.asked
    assert what == "bytes"
    written = am.Table.open(url).files()["size"].to_pylist()
    assert callback.bytes.value == written[-1]
    assert result.rows == 1000


@each_read
def test_a_read_tells_its_rows_and_bytes(table, read):
    table.append(DATA)
    table.append(rows(1, 2))
    callback = Counted()
    read(table, callback=callback)
    assert (callback.size, callback.value) == (1002, 1002)
    assert callback.bytes.value >= DATA.nbytes
    assert callback.asked == [("bytes", table.url)]


def test_a_filtered_read_does_not_know_how_many_rows_there_will_be(table):
    table.append(DATA)
    callback = Counted()
    table.to_arrow(filter="id < 10", callback=callback)
    assert (callback.size, callback.value) == (None, 10)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (MANY, 300_000),
        (MANY.to_reader(), None),
        (MANY.combine_chunks().to_batches()[0], 300_000),
        (MANY.to_pandas(), 300_000),
        (pl.DataFrame(MANY), 300_000),
        ({"id": range(300_000)}, 300_000),
        (iter(MANY.to_batches(max_chunksize=1000)), None),
    ],
    ids=["table", "reader", "batch", "frame", "frame of Polars", "mapping", "batches"],
)
def test_the_size_is_told_if_the_input_tells(data, size):
    steps = []
    callback = fsspec.callbacks.Callback(hooks={"seen": lambda size, value: steps.append(value)})
    am.append(f"memory://progress-size-{id(data)}", data, callback=callback)
    assert (callback.size, callback.value) == (size, 300_000)
    assert steps == sorted(steps)
    assert len(set(steps)) > 2


def test_an_object_with_the_two_methods_is_enough(table):
    callback = Least()
    table.append(DATA, callback=callback)
    assert (callback.size, callback.value) == (1000, 1000)


@pytest.mark.parametrize("operation", ["write", "read"])
def test_the_callback_of_tqdm_works(table, operation):
    shown = io.StringIO()
    with fsspec.callbacks.TqdmCallback(tqdm_kwargs={"file": shown, "unit": " rows"}) as callback:
        if operation == "write":
            table.append(DATA, callback=callback)
        else:
            am.append(table.url, DATA)
            table.refresh().to_arrow(callback=callback)
    assert "1000/1000" in shown.getvalue()


def test_a_delete_tells_the_rows_that_it_writes_again(table):
    table.append(DATA)
    callback = Least()
    assert table.delete("id < 400", callback=callback).rows_deleted == 400
    assert (callback.size, callback.value) == (None, 600)


def test_an_overwrite_of_some_rows_tells_those_written_again_too(table):
    table.append(DATA)
    callback = Least()
    table.overwrite(rows(1, 2), where="id < 400", callback=callback)
    assert (callback.size, callback.value) == (None, 602)


@each_write
def test_a_callback_that_raises_stops_the_write_and_leaves_nothing(table, write):
    am.append(table.url, rows(1))
    before = data_files(table.url)
    callback = Stopping()
    with pytest.raises(Stop):
        write(table.refresh(), callback=callback)
    assert ids(am.Table.open(table.url)) == [1]
    assert data_files(table.url) == before
    assert not am.Table.exists(table.url + "-new")
    assert not data_files(table.url + "-new")


def test_bytes_are_told_while_a_file_is_written(table):
    callback = Counted()
    told = []
    callback.bytes.hooks["told"] = lambda size, value: told.append(value)
    batches = DATA.to_batches(max_chunksize=100)
    # So small a buffer lets no row group be encoded before the one before it is written.
    options = am.WriteOptions(max_rows_per_group=100, buffer_size=1)
    table.append(batches, options=options, callback=callback)
    assert len(data_files(table.url)) == 1
    assert len(told) > 2
    assert told == sorted(told)


def test_a_child_that_cannot_be_closed_stops_the_write_too(table):
    class Child(fsspec.callbacks.Callback):
        def close(self):
            raise Stop

    callback = Counted()
    callback.bytes = Child()
    with pytest.raises(Stop):
        table.append(DATA, callback=callback)
    assert not data_files(table.url)


@each_read
def test_a_callback_that_raises_stops_the_read(table, read):
    table.append(DATA)
    with pytest.raises(Stop):
        read(table, callback=Stopping())


def test_nothing_is_told_once_the_commit_begins(table_on, table):
    from atomic_manifest.testing import CountingDriver

    driver = CountingDriver(am.store.open_store(table.url).driver)
    counted = table_on(driver)
    seen = []
    hooks = {"seen": lambda size, value: seen.extend(request.path for request in driver.requests)}
    counted.append(DATA, callback=fsspec.callbacks.Callback(hooks=hooks))
    assert seen
    assert f"_delta_log/{1:020}.json" not in seen


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"callback": object()}, r"builtins\.object has no set_size\(\)"),
        ({"callback": lambda rows: None}, "has no set_size"),
        ({"progress": Least()}, "an object goes to `callback`"),
    ],
)
@pytest.mark.parametrize("operation", [WRITES["append"], READS["to_arrow"], READS["to_batches"]])
def test_what_is_no_callback_is_refused_before_anything_is_done(table, given, message, operation):
    with pytest.raises(DataError, match=message):
        operation(table, **given)
    assert not data_files(table.url)


@each_write
def test_a_write_draws_a_bar_of_its_rows_and_bytes(table, write, capsys):
    write(table, progress=True)
    shown = capsys.readouterr()
    assert not shown.out
    assert "1,000 rows" in shown.err
    assert "kB" in shown.err
    assert "write" in shown.err


@each_read
def test_a_read_draws_a_bar(table, read, capsys):
    table.append(DATA)
    read(table, progress=True)
    assert "1,000 rows" in capsys.readouterr().err


def test_a_bar_and_a_callback_together(table, capsys):
    callback = Least()
    table.append(DATA.to_reader(), progress=True, callback=callback)
    assert callback.value == 1000
    assert "1,000 rows" in capsys.readouterr().err


def test_a_bar_without_rich_says_what_is_missing(table, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ModuleNotFoundError, match="progress=True draws with rich"):
        table.append(DATA, progress=True)
    assert not data_files(table.url)


def test_no_bar_and_no_callback_import_no_rich():
    import subprocess
    import sys

    code = (
        "import sys, pyarrow as pa, atomic_manifest as am\n"
        "am.append('memory://quiet', pa.table({'id': [1]}))\n"
        "am.read_table('memory://quiet')\n"
        "assert not {'rich.progress', 'tqdm', 'fsspec'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
