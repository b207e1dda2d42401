"""Tables that are split while others are dealt with: the same parts, and no more tables in memory."""

import os
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.data.write.partitioning import split, split_ahead
from atomic_manifest.data.write.writer import write_files
from atomic_manifest.env import SYSTEM
from atomic_manifest.errors import DataError
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.local import LocalDriver

ROWS = 1 << 18
"""Of a table that is worth a thread."""


def table(number: int) -> pa.Table:
    return pa.table({"p": [row % 3 for row in range(ROWS)], "x": [float(number)] * ROWS})


def tables(count: int, read: list[int]) -> Iterator[pa.Table]:
    for number in range(count):
        read.append(number)
        yield table(number)


def test_tables_come_in_their_order_with_the_parts_that_each_has_alone() -> None:
    for number, (rows, parts) in enumerate(split_ahead(tables(7, []), ["p"], ["x"])):
        assert rows["x"][0].as_py() == number
        expected = split(rows, ["p"], ["x"])
        assert [values for values, _ in parts] == [values for values, _ in expected]
        assert all(
            part.equals(other) for (_, part), (_, other) in zip(parts, expected, strict=True)
        )


def test_few_tables_are_read_before_one_is_dealt_with() -> None:
    read: list[int] = []
    for number, _ in enumerate(split_ahead(tables(9, read), ["p"], ["x"])):
        assert len(read) <= number + 3


def test_a_small_table_takes_no_thread() -> None:
    before = threading.active_count()
    small = pa.table({"p": [1, 2], "x": [1.0, 2.0]})
    for rows, parts in split_ahead([small, small], ["p"], ["x"]):
        assert rows is small
        assert len(parts) == 2
        assert threading.active_count() == before


def test_what_one_table_has_no_text_for_comes_out_and_leaves_no_thread() -> None:
    def given() -> Iterator[pa.Table]:
        yield table(0).set_column(0, "p", pa.array(["a"] * ROWS))
        yield table(1).set_column(0, "p", pa.array([""] * ROWS))

    before = threading.active_count()
    splits = split_ahead(given(), ["p"], ["x"])
    with pytest.raises(DataError, match="'p'"):
        list(splits)
    assert threading.active_count() == before


def test_what_the_input_raises_comes_out_and_leaves_no_thread() -> None:
    def given() -> Iterator[pa.Table]:
        yield from tables(2, [])
        raise ValueError("no more")

    before = threading.active_count()
    with pytest.raises(ValueError, match="no more"):
        list(split_ahead(given(), ["p"], ["x"]))
    assert threading.active_count() == before


@pytest.mark.parametrize("processors", [1, 3, 16])
def test_files_are_the_same_however_many_processors_there_are(
    processors: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pa.concat_tables([table(number) for number in range(4)])

    options = am.WriteOptions(buffer_size=16 << 20, max_rows_per_group=50_000)

    def files() -> list[tuple[str, bytes]]:
        folder = tmp_path_factory.mktemp("table")
        store = ObjectStore(LocalDriver(folder))
        reader = rows.to_reader()
        staged = write_files(
            store,
            reader,
            schema=rows.schema,
            partition_by=["p"],
            file_prefix="a",
            options=options,
            env=SYSTEM,
        )
        return [(each.path, (folder / each.path).read_bytes()) for each in staged.written]

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    expected = files()
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert files() == expected
