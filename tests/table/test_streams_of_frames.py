"""One set of rules for all frames of a stream, whether it makes a table, is added to it, or extends it."""

import datetime as dt
import itertools
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import atomic_manifest as am

NUMBERS = itertools.count()
A, AB = pa.table({"a": [1]}), pa.table({"a": [2], "b": ["x"]})


@pytest.fixture
def url() -> str:
    return f"memory://streams-of-frames-{next(NUMBERS)}"


@pytest.mark.parametrize("schema_mode", [None, "merge"])
def test_a_later_frame_may_have_a_column_of_the_table_that_the_first_lacks(
    url: str, schema_mode: str | None
) -> None:
    am.append(url, AB)
    am.append(url, iter([A, AB]), schema_mode=schema_mode)
    assert am.read_table(url)["b"].to_pylist() == ["x", None, "x"]


@pytest.mark.parametrize("schema_mode", [None, "merge"])
def test_the_types_of_the_table_hold_where_the_first_frame_has_narrower_ones(
    url: str, schema_mode: str | None
) -> None:
    am.append(url, A)
    am.append(url, iter([pa.table({"a": pa.array([2], pa.int8())}), A]), schema_mode=schema_mode)
    assert am.read_table(url)["a"].to_pylist() == [1, 2, 1]


def test_new_columns_of_the_first_frame_are_added_for_all(url: str) -> None:
    am.append(url, A)
    am.append(url, iter([AB, A, AB]), schema_mode="merge")
    assert am.read_table(url).to_pydict() == {"a": [1, 2, 1, 2], "b": [None, "x", None, "x"]}


@pytest.mark.parametrize("schema_mode", [None, "merge"])
@pytest.mark.parametrize("exists", [False, True])
def test_digits_of_every_frame_are_dropped_if_asked_for(
    url: str, exists: bool, schema_mode: str | None
) -> None:
    moment = dt.datetime(2026, 1, 1)
    frames = [
        pd.DataFrame({"t": pd.Series([1], dtype=f"datetime64[{unit}]")}) for unit in ("us", "ns")
    ]
    if exists:
        am.append(url, pa.table({"t": [moment]}))
    am.append(url, iter(frames), coerce_timestamps=True, schema_mode=schema_mode)
    epoch = dt.datetime(1970, 1, 1)
    wanted = [moment] * exists + [epoch + dt.timedelta(microseconds=1), epoch]
    assert am.read_table(url)["t"].to_pylist() == wanted


@pytest.mark.parametrize("schema_mode", [None, "merge"])
def test_write_dataset_goes_by_the_table_and_not_by_the_first_frame(
    url: str, schema_mode: str | None
) -> None:
    am.append(url, pa.table({"a": [0.5], "b": ["x"], "p": ["z"]}), partition_by=["p"])
    frames = [
        pd.DataFrame({"a": [1], "b": [None], "p": ["z"]}),
        pd.DataFrame({"p": ["y"], "b": ["w"], "a": [7.5]}),
        pd.DataFrame({"a": [None], "p": ["y"]}),
    ]
    am.write_dataset(
        iter(frames),
        url,
        partitioning=["p"],
        existing_data_behavior="delete_matching",
        schema_mode=schema_mode,
    )
    rows = am.read_table(url).sort_by([("p", "ascending"), ("b", "ascending")]).to_pylist()
    assert rows == [
        {"a": 7.5, "b": "w", "p": "y"},
        {"a": None, "b": None, "p": "y"},
        {"a": 1.0, "b": None, "p": "z"},
    ]


def test_write_dataset_adds_new_columns_of_the_first_frame_for_all(url: str) -> None:
    am.append(url, A)
    am.write_dataset(
        iter([AB, A, AB]), url, existing_data_behavior="delete_matching", schema_mode="merge"
    )
    assert am.read_table(url)["b"].to_pylist() == ["x", None, "x"]


@pytest.mark.parametrize("behavior", ["delete_matching", "overwrite_or_ignore"])
def test_write_dataset_of_no_frames_leaves_a_table_as_it_is(url: str, behavior: Any) -> None:
    am.append(url, A)
    result = am.write_dataset(iter([]), url, existing_data_behavior=behavior)
    assert (result.version, result.rows, am.read_table(url)) == (0, 0, A)
