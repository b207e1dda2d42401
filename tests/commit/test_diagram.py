"""The diagram in the documentation is the one that the transition table draws."""

from pathlib import Path

from docs.diagram import diagram

PAGE = Path(__file__).parents[2] / "docs" / "design" / "commit-machine.md"


def test_the_page_shows_the_diagram_of_the_present_table():
    (_, after) = PAGE.read_text(encoding="utf-8").split("```mermaid\n")
    assert after.split("```")[0] == diagram()
