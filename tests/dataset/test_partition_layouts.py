"""`write_dataset` partitions by a column in every layout that its type has."""

import pyarrow as pa
import pytest

import atomic_manifest as am

TEXT, BYTES = pa.array(["a", "b", "a"]), pa.array([b"k" * 16, b"l" * 16, b"k" * 16], pa.binary(16))
ENDS = pa.array([1, 2, 3], pa.int32())
COLUMNS = {
    "run ends": (pa.RunEndEncodedArray.from_arrays(ENDS, TEXT), TEXT),
    "dictionary": (TEXT.dictionary_encode(), TEXT),
    "view": (TEXT.cast(pa.string_view()), TEXT),
    "uuid": (pa.ExtensionArray.from_storage(pa.uuid(), BYTES), BYTES.cast(pa.binary())),
    "bool8": (pa.array([1, 0, 1], pa.int8()).cast(pa.bool8()), pa.array([True, False, True])),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("exists", [False, True])
def test_a_column_of_any_layout_partitions(name: str, exists: bool) -> None:
    column, plain = COLUMNS[name]
    url = f"memory://partition-layouts-{name}-{exists}"
    rows = pa.table({"p": column, "x": range(3)})
    for _ in range(1 + exists):
        am.write_dataset(rows, url, partitioning=["p"], existing_data_behavior="delete_matching")
    assert am.read_table(url).sort_by("x")["p"].combine_chunks() == plain
    assert am.Table.open(url).files().num_rows == 2


def test_partitions_are_counted_as_they_are_written() -> None:
    rows = pa.table({"p": COLUMNS["run ends"][0], "x": range(3)})
    with pytest.raises(am.dataset.DataError, match="rows of 2 partitions, max_partitions is 1"):
        am.write_dataset(rows, "memory://partition-layouts", partitioning=["p"], max_partitions=1)
