"""An index that has a name is a column of the table, whatever numbers are in it.

pandas makes a RangeIndex of evenly spaced numbers: `set_index("id")` may give one, or not.
"""

import pandas as pd
import pyarrow as pa
import pytest

import atomic_manifest as am

FRAME = pd.DataFrame({"id": [10, 20, 30], "x": [1.5, 2.5, 3.5]})


def test_a_named_index_of_evenly_spaced_numbers_is_written() -> None:
    url = "memory://named-range"
    am.append(url, FRAME.set_index("id"))
    assert am.read_table(url)["id"].to_pylist() == [10, 20, 30]
    pd.testing.assert_frame_equal(
        am.Table.open(url).to_pandas(), FRAME.set_index(pd.Index([10, 20, 30], name="id"))[["x"]]
    )


@pytest.mark.parametrize("numbers", [[1, 2, 3], [1, 2, 4]])
def test_it_is_written_to_a_table_that_has_the_column(numbers: list[int]) -> None:
    url = f"memory://named-range-appended-{numbers[-1]}"
    am.append(url, FRAME)
    am.append(url, FRAME.assign(id=numbers).set_index("id"))
    assert am.read_table(url)["id"].to_pylist() == [10, 20, 30, *numbers]


def test_all_named_levels_are_written_even_if_all_are_ranges() -> None:
    url = "memory://named-ranges"
    levels = [range(3), pd.RangeIndex(0, 30, 10)]
    am.append(url, FRAME.set_index(pd.MultiIndex.from_arrays(levels, names=["p", "q"])))
    found = am.read_table(url, columns=["p", "q"])
    assert found == pa.table({"p": [0, 1, 2], "q": [0, 10, 20]})


def test_a_range_without_a_name_is_not_written() -> None:
    url = "memory://nameless-range"
    am.append(url, FRAME.set_axis(range(5, 8)))
    assert am.Table.open(url).schema.names == ["id", "x"]
