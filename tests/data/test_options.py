from typing import Any

import pytest

from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.errors import DataError


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_rows_per_group": 0},
        {"min_rows_per_group": -1},
        {"min_rows_per_group": 11, "max_rows_per_group": 10},
        {"target_file_size": 0},
        {"max_rows_per_file": -1},
        {"max_open_files": 0},
        {"part_size": 0},
        {"buffer_size": 0},
    ],
)
def test_impossible_sizes_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        WriteOptions(**wrong)


@pytest.mark.parametrize(
    "name", ["coerce_timestamps", "flavor", "use_deprecated_int96_timestamps", "schema", "where"]
)
def test_parquet_options_that_would_change_data_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=name):
        WriteOptions(parquet={name: "x"})


def test_parquet_options_set_to_their_neutral_value_are_taken() -> None:
    options = WriteOptions(parquet={"coerce_timestamps": None, "compression_level": 3})
    assert options.writer_arguments()["compression_level"] == 3
