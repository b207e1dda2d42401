"""A stream reads large files by row groups, filtered by columns that are not in the files as well."""

import numpy as np
import pyarrow as pa
import pytest

import atomic_manifest as am

ROWS = 1 << 20


@pytest.fixture(scope="module")
def table() -> am.Table:
    """A file of more than 16 MiB, and a newer one with a column more."""
    url = "memory://streams-of-large-files"
    noise = np.random.default_rng(0).integers(0, 1 << 62, (3, ROWS))
    columns = {f"n{number}": each for number, each in enumerate(noise)}
    old = pa.table(
        {"p": pa.repeat("old", ROWS), "void": pa.nulls(ROWS), "x": range(ROWS), **columns}
    )
    options = am.WriteOptions(max_rows_per_group=ROWS // 4)
    am.Table.create(url, old.schema, partition_by=["p"])  # `void` is left out where rows decide
    am.append(url, old, options=options)
    am.append(url, pa.table({"p": ["new"], "x": [ROWS], "new": ["a"]}), schema_mode="merge")
    return am.Table.open(url)


@pytest.mark.parametrize(
    ("filter", "rows"),
    [
        ("p = 'old'", ROWS),
        ("p = 'old' AND x < 3", 3),
        ("void IS NULL", ROWS + 1),
        ("new = 'a'", 1),
        ("new IS NULL AND x < 3", 3),
    ],
)
def test_a_filter_on_a_column_that_a_large_file_lacks(
    table: am.Table, filter: str, rows: int
) -> None:
    assert max(table.files(columns=["size"])["size"].to_pylist()) > 16 << 20
    assert table.to_arrow(["x"], filter=filter).num_rows == rows
    assert table.to_batches(["x"], filter=filter).read_all().num_rows == rows
