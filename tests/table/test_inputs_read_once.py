"""What gives its rows once is never committed as if it had none."""

import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import atomic_manifest as am
from atomic_manifest.errors import DataError
from tests.table.conftest import ids, rows


class Stream:
    """An object of the Arrow C interface that says nothing of giving its rows once."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._reader.__arrow_c_stream__(requested_schema)


class DrainedStream(Stream):
    """One that gives an empty stream from the second time on."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        schema = self._reader.schema
        stream = super().__arrow_c_stream__(requested_schema)
        self._reader = pa.RecordBatchReader.from_batches(schema, [])
        return stream


def generator() -> Iterator[pa.Table]:
    yield rows(7)


ONCE: dict[str, Callable[[], Any]] = {
    "iterator of a list": lambda: iter([rows(7)]),
    "generator": generator,
    "map": lambda: map(rows, [7]),
    "slice of an iterator": lambda: islice(iter([rows(7), rows(8)]), 1),
    "reader": lambda: rows(7).to_reader(),
    "list of readers": lambda: [rows(7).to_reader()],
    "scanner of a reader": lambda: ds.Scanner.from_batches(rows(7).to_reader()),
    "stream": lambda: Stream(rows(7).to_reader()),
    "drained stream": lambda: DrainedStream(rows(7).to_reader()),
}
OFTEN: dict[str, Callable[[], Any]] = {
    "table": lambda: rows(7),
    "list of tables": lambda: [rows(7)],
    "range mapping": lambda: {"id": [7]},
    "dataset": lambda: ds.dataset(rows(7)),
    "scanner": lambda: ds.dataset(rows(7)).scanner(),
}
VERBS: dict[str, Callable[[Any, Any], None]] = {
    "append": lambda tx, data: tx.append(data),
    "overwrite": lambda tx, data: tx.overwrite(data),
    "overwrite where": lambda tx, data: tx.overwrite(data, where="id = 7"),
}


def run_twice(table: am.Table, data: Any, verb: Callable[[Any, Any], None]) -> int:
    """Give `data` to a function that is called again, for another commit came between."""
    table.append(rows(1))
    other, calls = am.Table.open(table.url), 0

    def body(tx: Any) -> None:
        nonlocal calls
        calls += 1
        tx.read()
        if verb is VERBS["append"]:
            tx.delete("true")
        verb(tx, data)
        if calls == 1:
            other.append(rows(2))

    table.run(body)
    return calls


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
@pytest.mark.parametrize("make", ONCE.values(), ids=ONCE)
def test_a_used_up_input_of_a_function_that_runs_again_is_refused_by_name(table, make, verb):
    data = make()
    kind = type(data[0] if isinstance(data, list) else data)
    with pytest.raises(DataError, match=f"{kind.__qualname__}.*(used up|released|ended)"):
        run_twice(table, data, verb)
    assert ids(table.refresh()) == [1, 2]


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
@pytest.mark.parametrize("make", OFTEN.values(), ids=OFTEN)
def test_an_input_that_holds_its_rows_is_written_by_the_call_that_commits(table, make, verb):
    assert run_twice(table, make(), verb) == 2
    assert 7 in ids(table.refresh())


@pytest.mark.parametrize("make", ONCE.values(), ids=ONCE)
def test_an_input_made_in_the_function_is_written(table, make):
    assert run_twice(table, None, lambda tx, _: tx.overwrite(make())) == 2
    assert ids(table.refresh()) == [7]


def test_an_iterator_over_a_used_up_one_is_refused_in_the_second_call(table):
    source = iter([rows(7)])
    with pytest.raises(DataError, match="generator was used up"):
        run_twice(table, source, lambda tx, data: tx.append(each for each in data))
    assert ids(table.refresh()) == [1, 2]


def test_names_of_columns_by_a_used_up_iterator_are_refused_in_the_second_call(table):
    names = iter(["id"])
    with pytest.raises(DataError, match="list_iterator was used up"):
        run_twice(table, rows(7), lambda tx, data: tx.append(data) or tx.read(names))


@pytest.mark.parametrize("kind", ["reader", "generator"])
@pytest.mark.parametrize(
    "write",
    [
        lambda table, data: table.append(data),
        lambda table, data: table.overwrite(data),
        lambda table, data: table.overwrite(data, where="id = 7"),
        lambda table, data: am.append(table.url, data),
        lambda table, data: am.write_dataset(
            data, table.url, existing_data_behavior="delete_matching"
        ),
    ],
)
def test_an_input_that_was_given_to_another_write_is_refused(table, kind, write):
    data = ONCE[kind]()
    table.append(data)
    with pytest.raises(DataError, match="was used up"):
        write(table, data)
    assert ids(table.refresh()) == [7]


def test_a_reader_that_a_failed_write_had_begun_is_refused(table):
    reader = pa.table({"id": [1, None, 3]}).to_reader(max_chunksize=1)
    fits = pa.table({"id": [4, 5]}).to_reader()
    with pytest.raises(DataError):
        table.overwrite(reader, where="id = 1")
    with pytest.raises(DataError, match="RecordBatchReader was used up: an earlier write began"):
        table.append(reader)
    table.append(fits)
    assert ids(table) == [4, 5]


def test_a_reader_that_was_refused_by_its_schema_can_be_given_again(table):
    reader = pa.table({"id": [1], "more": [2]}).to_reader()
    with pytest.raises(DataError, match="more"):
        table.append(reader)
    table.append(reader, schema_mode="merge")
    assert table.to_arrow(["id", "more"]).to_pylist() == [{"id": 1, "more": 2}]


def test_an_iterator_that_goes_on_giving_can_be_given_again(table):
    class Queue:
        def __init__(self) -> None:
            self.waiting: list[pa.Table] = []

        def __iter__(self) -> Iterator[pa.Table]:
            return self

        def __next__(self) -> pa.Table:
            if not self.waiting:
                raise StopIteration
            return self.waiting.pop(0)

    queue = Queue()
    for number in (1, 2):
        queue.waiting.append(rows(number))
        table.append(queue)
    assert ids(table) == [1, 2]


def test_no_input_is_kept_alive(table):
    reader = rows(1).to_reader()
    alive = weakref.ref(reader)
    table.append(reader)
    del reader
    assert alive() is None
