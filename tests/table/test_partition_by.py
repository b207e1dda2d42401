"""The name of one column is no list of columns: `partition_by="ab"` must not mean `a` and `b`."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import atomic_manifest as am
import atomic_manifest.pandas
from atomic_manifest.errors import DataError

FRAME = pd.DataFrame({"a": ["x"], "b": ["y"], "ab": [1]})
SCHEMA = pa.schema([("a", pa.string()), ("b", pa.string()), ("ab", pa.int64())])
URL = "memory://partition-by"
WRITERS: dict[str, Callable[[Any], Any]] = {
    "append": lambda by: am.append(URL, FRAME, partition_by=by),
    "atomic.append": lambda by: FRAME.atomic.append(URL, partition_by=by),
    "atomic.overwrite": lambda by: FRAME.atomic.overwrite(URL, partition_by=by),
    "create": lambda by: am.Table.create(URL, SCHEMA, partition_by=by),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_name_alone_is_refused(write: Callable[[Any], Any]) -> None:
    with pytest.raises(DataError, match="partition_by is a list of names, got 'ab'"):
        write("ab")
    assert not am.Table.exists(URL)
