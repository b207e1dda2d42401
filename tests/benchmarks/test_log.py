"""The log benchmark runs both libraries on the same tables, and counts what it says."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.log import tables
from benchmarks.log.command import OURS, THEIRS, TITLES, Row, report
from benchmarks.log.measures import LIBRARIES, MEASURES
from benchmarks.log.plot import plot

FILES = 100


@pytest.mark.parametrize("name", list(LIBRARIES))
def test_every_measure_finds_the_files_of_the_shared_table(tmp_path, name):
    tables.make(tmp_path / "log", FILES)
    path = str(tables.linked(tmp_path / "log", tmp_path / name))
    library = LIBRARIES[name]()
    written = MEASURES["checkpoint"](library, path, FILES)
    assert written["bytes"] > 1000
    for what, measure in MEASURES.items():
        if what != "checkpoint":
            assert all(figure > 0 for figure in measure(library, path, FILES).values()), what
    assert len(list((tmp_path / "log" / "_delta_log").iterdir())) == tables.ENTRIES + 1


def test_figures_are_drawn_and_printed(tmp_path):
    rows = [Row(what, size, {OURS: 1.0, THEIRS: 2.0}) for what in TITLES for size in (10, 100)]
    assert report(rows).row_count == len(rows)
    plot(rows, tmp_path / "growth.svg")
    assert (tmp_path / "growth.svg").read_text().startswith("<?xml")


@pytest.mark.slow
def test_command_writes_the_figures_of_processes_of_their_own(tmp_path):
    figures = tmp_path / "figures.json"
    arguments = ["log", "--files", str(FILES), "--json", str(figures)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(figures.read_text())["results"]
    assert {row["what"] for row in rows} == set(TITLES)
    assert all(set(row["figures"]) == {OURS, THEIRS} for row in rows)


def test_command_refuses_sizes_that_are_no_numbers():
    assert CliRunner().invoke(app, ["log", "--files", "many"]).exit_code == 2
