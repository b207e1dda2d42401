"""Writes the type matrix into `docs/types.md`: `python -m docs.type_matrix` from the repository's root."""  # noqa: INP001 - a script

import re
import tempfile
from pathlib import Path

from tests.interop import type_matrix
from tests.interop.pandas_cases import PANDAS_CASES
from tests.interop.type_cases import CASES

PAGE = Path(__file__).with_name("types.md")


def with_table(page: str, place: str, lines: list[str]) -> str:
    """The page with another table between the markers of a place.

    Raises:
        ValueError: The page has no such markers.
    """
    pattern = re.compile(f"(<!-- matrix: {place} -->\n).*?(<!-- end of matrix -->)", re.DOTALL)
    text = "\n".join(["", *lines, "", ""])
    changed, count = pattern.subn(lambda found: f"{found[1]}{text}{found[2]}", page)
    if count != 1:
        raise ValueError(f"{count} places for the table {place}")
    return changed


def table_of(page: str, place: str) -> list[str]:
    """The lines of the table at a place."""
    marked = page.partition(f"<!-- matrix: {place} -->\n")[2].partition("<!-- end of matrix -->")[0]
    return [line for line in marked.splitlines() if line]


def main() -> None:
    """Make the tables and rewrite the page."""
    tables: dict[str, dict[str, list[str]]] = {"arrow": {}, "partitions": {}}
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(CASES):
            for place, row in (
                ("arrow", type_matrix.arrow_row),
                ("partitions", type_matrix.partitions_row),
            ):
                if cells := row(name, Path(folder, f"{place}-{number}")):
                    tables[place][name] = cells
    tables["targets"] = {name: type_matrix.targets_row(name) for name in CASES}
    tables["pandas"] = {name: type_matrix.pandas_row(name) for name in PANDAS_CASES}
    page = PAGE.read_text(encoding="utf-8")
    for place, rows in tables.items():
        page = with_table(page, place, type_matrix.lines(place, rows))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
