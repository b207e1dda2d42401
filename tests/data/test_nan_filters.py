"""Of a row group that holds one number and NaN, the NaN comes back where a filter takes it."""

import math
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import atomic_manifest as am

FILTERS = ["x != 5", "NOT x = 5", "NOT x <= 5", "x NOT IN (5)", [("x", "not in", [5.0])]]


@pytest.mark.parametrize("filter", FILTERS, ids=str)
def test_nan_beside_a_single_other_value_is_not_pruned_away(filter: object, tmp_path: Path) -> None:
    am.append(tmp_path, pa.table({"x": [5.0, math.nan]}))
    table = am.Table.open(tmp_path)
    read = {
        "to_arrow": table.to_arrow(filter=filter)["x"].to_pylist(),
        "to_batches": table.to_batches(filter=filter).read_all()["x"].to_pylist(),
        "to_pandas": table.to_pandas(filter=filter)["x"].tolist(),
        "polars": pl.scan_pyarrow_dataset(table.to_dataset(filter)).collect()["x"].to_list(),
        "read_table": am.read_table(tmp_path, filters=filter)["x"].to_pylist(),
    }
    assert {name: str(rows) for name, rows in read.items()} == dict.fromkeys(read, "[nan]")
