"""The append benchmark counts what it says, for both libraries."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.append import measure, quantile


def test_append_to_a_table_with_files_is_two_requests_of_ours_in_sequence():
    summaries = measure(["atomic_manifest", "deltalake"], commits=2, files=20)
    ours = dict(summaries["atomic_manifest"].requests_per_commit)
    assert ours.pop("GET log", 0) <= 1  # beside the upload: whether the table is still the same
    assert ours == {"PUT data": 1, "PUT log": 1}
    assert summaries["deltalake"].requests_per_commit["PUT log"] == 1


def test_command_prints_and_writes_the_figures(tmp_path):
    figures = tmp_path / "figures.json"
    arguments = ["append", "--commits", "1", "--only", "deltalake", "--json", str(figures)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "deltalake" in result.output
    assert json.loads(figures.read_text())["results"]["deltalake"]["commits"] == 1


def test_command_refuses_an_unknown_contestant():
    assert CliRunner().invoke(app, ["append", "--only", "nobody"]).exit_code == 2


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2), (0.51, 3), (0.99, 4), (0.01, 1)])
def test_quantile_is_the_smallest_value_that_covers_the_share(share, expected):
    assert quantile([1, 2, 3, 4], share) == expected
