"""Partition folders whose names hold a colon, which are no URLs."""

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

import atomic_manifest as am

COLUMNS = ["dc:type", "http:", "c:", "s3:x"]


@pytest.mark.parametrize("column", COLUMNS)
def test_table_of_another_engine_is_read_and_changed(column, tmp_path):
    url = str(tmp_path / "t")
    write_deltalake(url, pa.table({column: ["a"], "i": [1]}), partition_by=[column])
    table = am.Table.open(url)
    assert table.to_arrow().to_pylist() == [{column: "a", "i": 1}]
    table.append(pa.table({column: ["a", "b:/c"], "i": [2, 3]}))
    assert sorted(table.to_arrow().column("i").to_pylist()) == [1, 2, 3]
    assert table.to_dataset().to_table().num_rows == 3
    assert sum(batch.num_rows for batch in table.to_batches()) == 3
    table.delete([("i", "=", 1)])
    assert sorted(am.Table.open(url).to_arrow().column("i").to_pylist()) == [2, 3]
    assert sorted(DeltaTable(url).to_pyarrow_table().column("i").to_pylist()) == [2, 3]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("place", ["memory", "folder"])
def test_own_table_with_such_a_column_is_the_same_everywhere(column, place, tmp_path):
    url = f"memory://{tmp_path}" if place == "memory" else str(tmp_path)
    am.append(url, pa.table({column: ["a", "b:c"], "i": [1, 2]}), partition_by=[column])
    found = am.Table.open(url).to_arrow(filter=[(column, "=", "b:c")])
    assert found.to_pylist() == [{column: "b:c", "i": 2}]
