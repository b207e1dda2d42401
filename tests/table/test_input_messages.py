"""What is wrong with an input is said of the column that is wrong, in words that are true of it."""

from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import AtomicManifestError

TWICE = pa.table([[1], [2]], names=["a", "a"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({1: [1]}, "column 1 is called by no text"),
        (TWICE, "a: given twice"),
        (pd.DataFrame(), "there are no columns"),
        (pl.DataFrame({"x": pl.Series([1], dtype=pl.Int128)}), "column 'x' is Int128"),
    ],
    ids=["name", "twice", "no columns", "Int128"],
)
def test_an_input_is_refused_in_words_that_are_true_of_it(data: Any, message: str) -> None:
    with pytest.raises(AtomicManifestError, match=message):
        am.append("memory://input-messages", data)
