"""`delete_matching` replaces what is written to; without rows that is nothing, as in pyarrow."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import atomic_manifest as am

ROWS = pa.table({"p": ["a", "b"], "x": [1, 2]})


@pytest.mark.parametrize("partitioning", [None, ["p"]], ids=["whole", "partitioned"])
def test_no_rows_delete_nothing(partitioning: list[str] | None, tmp_path: Path) -> None:
    theirs: dict[str, Any] = {"partitioning": partitioning, "format": "parquet"}
    if partitioning:
        theirs["partitioning_flavor"] = "hive"
    for rows in (ROWS, ROWS.slice(0, 0)):
        ds.write_dataset(
            rows, tmp_path / "theirs", existing_data_behavior="delete_matching", **theirs
        )
        am.write_dataset(
            rows,
            tmp_path / "ours",
            partitioning=partitioning,
            existing_data_behavior="delete_matching",
        )
    assert ds.dataset(tmp_path / "theirs").count_rows() == 2
    assert am.read_table(tmp_path / "ours").num_rows == 2
