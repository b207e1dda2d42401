"""Every Arrow type and pandas dtype, written and read: the cells of `docs/types.md`, one case at a time.

`pytest -s` prints the table as it goes.
"""

from functools import cache

import pytest

from docs.type_matrix import PAGE, table_of
from tests.interop import type_matrix
from tests.interop.pandas_cases import PANDAS_CASES
from tests.interop.type_cases import CASES
from tests.interop.type_matrix import CHANGED, COLUMNS, ENGINES

pytestmark = pytest.mark.interop
REWRITE = "`python -m docs.type_matrix` writes what is found now into docs/types.md"


@cache
def documented(place: str) -> tuple[str, dict[str, str]]:
    """The head of a table of the page and its rows by name."""
    head, _, *rows = table_of(PAGE.read_text(encoding="utf-8"), place)
    return head, {row.split("`")[1]: row for row in rows}


def compare(place: str, name: str, cells: list[str]) -> None:
    found = type_matrix.line(name, cells)
    print(found)
    assert CHANGED not in found
    head, rows = documented(place)
    now = [part.strip() for part in found.split("|")]
    page = [part.strip() for part in rows[name].split("|")]
    versions = {engine: f" {engine} {type_matrix.version_of(engine)} " for engine in ENGINES}
    for number, title in enumerate(("", *COLUMNS[place], "")):
        # Of an engine of another release the page says nothing.
        if title not in ENGINES or versions[title] in head:
            assert now[number] == page[number], f"{title}: {REWRITE}"


@pytest.mark.parametrize("name", CASES)
def test_an_arrow_type_is_written_and_read_as_the_page_says(name, tmp_path):
    compare("arrow", name, type_matrix.arrow_row(name, tmp_path))


@pytest.mark.parametrize("name", CASES)
def test_a_partition_column_is_read_as_the_page_says(name, tmp_path):
    cells = type_matrix.partitions_row(name, tmp_path)
    assert bool(cells) == (name in documented("partitions")[1]), REWRITE
    if cells:
        compare("partitions", name, cells)


@pytest.mark.parametrize("name", CASES)
def test_an_arrow_type_goes_into_the_columns_that_the_page_says(name):
    compare("targets", name, type_matrix.targets_row(name))


@pytest.mark.parametrize("name", PANDAS_CASES)
def test_a_dtype_of_pandas_is_written_and_read_as_the_page_says(name):
    cells = type_matrix.pandas_row(name)
    assert (PANDAS_CASES[name][1] is None) == cells[0].startswith("refused"), cells
    compare("pandas", name, cells)


def test_the_page_has_the_cases_that_are_tested_and_no_others():
    for place, cases in (("arrow", CASES), ("targets", CASES), ("pandas", PANDAS_CASES)):
        assert list(documented(place)[1]) == list(cases), REWRITE
