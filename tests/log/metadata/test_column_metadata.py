"""Metadata of a column that is nearly JSON: other engines read the table, and it comes back as it was."""

import json
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.log.metadata.schema import canonical


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", '{"a": [NaN]}', '"\\ud800"'])
def test_metadata_that_is_no_json_elsewhere_is_kept_as_text(value: str, tmp_path: Path) -> None:
    field = pa.field("x", pa.int64(), metadata={"missing_value": value})
    am.append(tmp_path, pa.table({"x": [1]}, schema=pa.schema([field])))
    assert deltalake.DeltaTable(tmp_path).to_pyarrow_table()["x"].to_pylist() == [1]
    schema = am.Table.open(tmp_path).schema
    assert json.loads(schema.field("x").metadata[b"missing_value"]) == value
    assert canonical(schema).equals(schema, check_metadata=True)
