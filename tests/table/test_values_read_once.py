"""What can be read once only, such as a generator, means what a list of the same means."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from fsspec.callbacks import Callback

import atomic_manifest as am
import atomic_manifest.pandas
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.errors import DataError, InvalidFilter

ROWS = pa.table({"i": [1, 2, 3, 4], "k": ["a", "b", "a", "b"]})


class Once:
    """An iterable, no iterator, that gives its values to the first who asks."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._values = iter(values)

    def __iter__(self) -> Iterator[Any]:
        return self._values


HOLDERS: dict[str, Callable[[list[Any]], Any]] = {
    "iterator": iter,
    "generator": lambda values: (value for value in values),
    "map": lambda values: map(int, values),
    "filter": lambda values: filter(None, values),
    "reversed": reversed,
    "once": Once,
    "keys": lambda values: dict.fromkeys(values).keys(),
    "values": lambda values: dict(enumerate(values)).values(),
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
    "range": lambda values: range(values[0], values[-1] + 1),
    "numpy": np.array,
    "series": pd.Series,
    "index": pd.Index,
    "polars": pl.Series,
    "arrow": pa.array,
    "chunked": lambda values: pa.chunked_array([values]),
    "list scalar": pa.scalar,
}
READERS: dict[str, Callable[[Path, Any], pa.Table]] = {
    "read_table": lambda url, where: am.read_table(url, filters=where),
    "callback": lambda url, where: am.read_table(url, filters=where, callback=Callback()),
    "pandas": lambda url, where: pa.Table.from_pandas(am.pandas.read_table(url, filters=where)),
    "to_dataset": lambda url, where: am.Table.open(url).to_dataset(where).to_table(),
    "to_batches": lambda url, where: am.Table.open(url).to_batches(filter=where).read_all(),
    "transaction": lambda url, where: (
        am.Table.open(url).run(lambda tx: tx.read(filter=where)).value
    ),
}


@pytest.fixture
def url(tmp_path: Path) -> Path:
    am.append(tmp_path / "t", ROWS, partition_by=["k"])
    return tmp_path / "t"


def left(url: Path) -> list[int]:
    return sorted(am.read_table(url)["i"].to_pylist())


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
@pytest.mark.parametrize("op", ["in", "not in"])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_every_read_finds_the_rows(
    url: Path, read: Callable[[Path, Any], pa.Table], op: str, holder: Callable[[list[Any]], Any]
) -> None:
    rows = read(url, [("i", op, holder([1, 2]))])
    assert sorted(rows["i"].to_pylist()) == ([1, 2] if op == "in" else [3, 4])


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_overwrite_and_delete_take_what_is_meant(
    url: Path, holder: Callable[[list[Any]], Any]
) -> None:
    table = am.Table.open(url)
    assert table.overwrite(
        {"i": [9], "k": ["z"]}, where=[("i", "not in", holder([1, 2]))]
    ).rows_deleted == 2  # fmt: skip
    assert left(url) == [1, 2, 9]
    assert table.delete([("i", "in", holder([1, 2]))]).rows_deleted == 2
    assert left(url) == [9]


@pytest.mark.parametrize(
    "where",
    [
        lambda: (triple for triple in [("i", ">", 1), ("i", "<", 4)]),
        lambda: ([("i", "=", number)] for number in (2, 3)),
        lambda: [iter([("i", ">", 1), ("i", "in", iter([2, 3]))])],
        lambda: [(triple for triple in [("i", "=", number)]) for number in (2, 3)],
        lambda: {("i", ">", 1), ("i", "<", 4)},
    ],
)
def test_the_tuples_come_as_any_iterable(url: Path, where: Callable[[], Any]) -> None:
    for read in READERS.values():
        assert sorted(read(url, where())["i"].to_pylist()) == [2, 3]
    assert am.Table.open(url).delete(where()).rows_deleted == 2
    assert left(url) == [1, 4]


def test_a_delete_that_is_made_again_deletes_the_same(url: Path) -> None:
    table, other = am.Table.open(url), am.Table.open(url)
    other.append({"i": [5], "k": ["b"]})
    other.delete("i = 1")
    assert table.delete([("i", "not in", iter([2, 5]))]).rows_deleted == 2
    assert left(url) == [2, 5]


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_a_body_that_is_called_again_finds_the_values_again(
    url: Path, holder: Callable[[list[Any]], Any]
) -> None:
    table, other = am.Table.open(url), am.Table.open(url)
    where, calls = [("i", "not in", holder([1, 2]))], []

    def body(tx: am.Transaction) -> int:
        calls.append(tx.version)
        deleted = tx.delete(where)
        if len(calls) == 1:
            other.append({"i": [3], "k": ["a"]})
        return deleted

    assert table.run(body).value == 3
    assert len(calls) == 2
    assert left(url) == [1, 2]


def test_one_filter_serves_a_whole_transaction(url: Path) -> None:
    where = [("i", "in", iter([1, 2]))]
    with am.Table.open(url).transaction() as tx:
        assert tx.read(filter=where).num_rows == 2
        tx.overwrite({"i": [1], "k": ["z"]}, where=where)
        assert tx.read(filter=where).num_rows == 1
    assert left(url) == [1, 3, 4]


def test_files_are_chosen_by_it(url: Path) -> None:
    table = am.Table.open(url)
    files = table.files([("k", "in", iter(["a"]))], columns=iter(["path", "size"]))
    assert files.num_rows == 1
    assert files.schema.names == ["path", "size"]


@pytest.mark.parametrize("value", [{"a": 1}, "ab", b"ab", 7, np.array(7), pd.DataFrame({"k": [1]})])
def test_values_of_the_wrong_kind_are_refused_by_name(url: Path, value: Any) -> None:
    with pytest.raises(InvalidFilter, match="column 'k': 'in' takes a list of values"):
        am.read_table(url, filters=[("k", "in", value)])


@pytest.mark.parametrize("op", ["=", "!=", "<"])
def test_a_comparison_takes_one_value(url: Path, op: str) -> None:
    with pytest.raises(InvalidFilter, match="column 'i'"):
        am.read_table(url, filters=[("i", op, iter([1]))])


@pytest.mark.parametrize("where", [{"i": 1}, {}, iter([]), iter([[]]), 7, pd.DataFrame({"i": [1]})])
def test_what_is_no_filter_deletes_nothing(url: Path, where: Any) -> None:
    with pytest.raises(InvalidFilter):
        am.Table.open(url).delete(where)
    with pytest.raises(InvalidFilter):
        am.Table.open(url).overwrite({"i": [9], "k": ["z"]}, where=where)
    assert left(url) == [1, 2, 3, 4]


def test_columns_are_named_by_any_iterable(url: Path) -> None:
    assert am.read_table(url, columns=iter(["i"])).schema.names == ["i"]
    assert am.read_table(url, columns=iter(["i"]), callback=Callback()).schema.names == ["i"]
    assert list(am.pandas.read_table(url, columns=(c for c in ["i"]))) == ["i"]
    table = am.Table.open(url)
    assert table.to_batches(iter(["i"])).read_all().schema.names == ["i"]
    assert table.run(lambda tx: tx.read(iter(["k"]))).value.schema.names == ["k"]


@pytest.mark.parametrize(
    "write",
    [
        lambda url: am.append(url, ROWS, partition_by=iter(["k"])),
        lambda url: am.Table.create(url, ROWS.schema, partition_by=(c for c in ["k"])),
        lambda url: ROWS.to_pandas().atomic.append(url, partition_by=iter(["k"])),
        lambda url: ROWS.to_pandas().atomic.overwrite(url, partition_by={"k": None}.keys()),
        lambda url: am.pandas.to_table(ROWS.to_pandas(), url, partition_cols=iter(["k"])),
        lambda url: am.pandas.to_table(ROWS.to_pandas(), url, partition_cols=np.array(["k"])),
        lambda url: am.write_dataset(ROWS, url, partitioning=iter(["k"])),
    ],
)
def test_partition_columns_are_named_by_any_iterable(
    tmp_path: Path, write: Callable[[Path], Any]
) -> None:
    write(tmp_path / "t")
    assert am.Table.open(tmp_path / "t").partition_columns == ("k",)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda url: am.append(url / "n", ROWS, partition_by={"k": "string"}), "partition_by"),
        (lambda url: am.Table.create(url / "n", ROWS.schema, partition_by=7), "partition_by"),
        (lambda url: am.write_dataset(ROWS, url / "n", partitioning={"k": 1}), "partitioning"),
        (lambda url: am.read_table(url, columns={"i": ds.field("i") + 1}), "columns"),
        (lambda url: am.read_table(url, columns=7), "columns"),
        (lambda url: am.Table.open(url).files(columns="path"), "columns"),
        (lambda url: am.Table.open(url).files(columns={"path": 1}), "columns"),
    ],
)
def test_names_of_the_wrong_kind_are_refused_by_the_argument(
    url: Path, call: Callable[[Path], Any], argument: str
) -> None:
    with pytest.raises(DataError, match=f"{argument} is a list of names, got"):
        call(url)


def test_options_of_parquet_are_the_same_for_every_file() -> None:
    options = WriteOptions(parquet={"use_dictionary": iter(["i"])})
    assert options.writer_arguments()["use_dictionary"] == ["i"]
    assert options.writer_arguments()["use_dictionary"] == ["i"]


FIELDS = [pa.field("i", pa.int64()), pa.field("k", pa.string())]


@pytest.mark.parametrize(
    "schema",
    [lambda: iter(FIELDS), lambda: {f.name: f.type for f in FIELDS}, lambda: pa.struct(FIELDS),
     lambda: ((f.name, f.type) for f in FIELDS)],
)  # fmt: skip
def test_a_schema_is_made_of_any_iterable_of_fields(
    tmp_path: Path, schema: Callable[[], Any]
) -> None:
    assert am.Table.create(tmp_path / "t", schema()).schema.names == ["i", "k"]
    am.write_dataset(ROWS, tmp_path / "d", schema=schema())
    assert am.read_table(tmp_path / "d").schema.equals(pa.schema(FIELDS))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda url: am.Table.create(url, 7), am.errors.InvalidSchema, "no schema: 7"),
        (
            lambda url: am.write_dataset(ROWS, url, schema=["i"]),
            am.errors.InvalidSchema,
            "no schema",
        ),
        (
            lambda url: am.append(url, ROWS, storage_options=iter([("key", "s3cret")])),
            am.errors.InvalidStorageOption,
            "^storage_options maps names to values, got list_iterator$",
        ),
        (
            lambda url: am.Table.create(url, FIELDS, configuration=iter([("delta.x", "y")])),
            DataError,
            "configuration maps names",
        ),
        (lambda url: am.append(url, ROWS, txn=iter(("a", 1))), DataError, "txn is"),
        (lambda url: am.append(url, ROWS, commit_info=iter([("a", 1)])), DataError, "commit_info"),
        (lambda _: WriteOptions(parquet=iter([("a", 1)])), DataError, "parquet maps options"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused_by_name(
    tmp_path: Path, call: Callable[[Path], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(tmp_path / "t")
    assert not am.Table.exists(tmp_path / "t")
