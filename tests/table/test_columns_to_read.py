"""Columns that cannot be read are refused by name, whichever way the table is read."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from fsspec.callbacks import Callback

import atomic_manifest as am
import atomic_manifest.pandas
from atomic_manifest.errors import DataError

URL = "memory://columns-to-read"


@pytest.fixture(scope="module", autouse=True)
def rows() -> None:
    am.append(URL, pa.table({"day": [1], "s": [{"x": 1}]}))


READERS: dict[str, Callable[[Any], Any]] = {
    "read_table": lambda columns: am.read_table(URL, columns=columns),
    "with a callback": lambda columns: am.read_table(URL, columns=columns, callback=Callback()),
    "pandas.read_table": lambda columns: am.pandas.read_table(URL, columns=columns),
    "transaction": lambda columns: am.Table.open(URL).run(lambda tx: tx.read(columns)),
    "to_batches": lambda columns: am.Table.open(URL).to_batches(columns),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["day", "nope"], "no column 'nope'"),
        ("day", "columns is a list of names, got 'day'"),
        ([0], "no column 0"),
        (["s.x"], "no column 's.x'"),
    ],
)
def test_a_column_that_is_not_there_is_refused_by_name(
    read: Callable[[Any], Any], columns: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(columns)


def test_columns_come_as_any_iterable_of_names() -> None:
    assert am.read_table(URL, columns=("day",)).num_columns == 1
    assert am.pandas.read_table(URL, columns=pd.Index(["day"])).shape == (1, 1)
    assert am.Table.open(URL).to_batches(iter(["day"])).read_all().num_columns == 1
