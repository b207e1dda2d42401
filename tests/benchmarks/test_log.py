"""The log benchmark runs both libraries on the same tables, and counts what it says."""

import json

from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.log.command import TITLES


def test_command_prints_writes_and_draws_the_figures(tmp_path):
    figures, picture = tmp_path / "figures.json", tmp_path / "growth.svg"
    arguments = ["log", "--files", "100", "--json", str(figures), "--plot", str(picture)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(figures.read_text())["results"]
    assert {row["what"] for row in rows} == set(TITLES)
    assert all(set(row["figures"]) == {"atomic_manifest", "deltalake"} for row in rows)
    assert picture.read_text().startswith("<?xml")


def test_command_refuses_sizes_that_are_no_numbers():
    assert CliRunner().invoke(app, ["log", "--files", "many"]).exit_code == 2
