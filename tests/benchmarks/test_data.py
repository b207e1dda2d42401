"""The data benchmark measures every library, and says so where one fails."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.data.command import SCENARIOS
from benchmarks.data.measure import Job, measure


def test_the_command_prints_and_writes_the_figures(tmp_path):
    figures = tmp_path / "figures.json"
    arguments = ["data", "--only", "file", "--rounds", "1", "--megabytes", "5"]
    result = CliRunner().invoke(app, [*arguments, "--json", str(figures)])
    assert result.exit_code == 0, result.output
    measured = json.loads(figures.read_text())["file"]
    assert set(measured["taken"]) == set(SCENARIOS["file"].writers)
    assert not any(each[0]["error"] for each in measured["taken"].values())
    assert set(measured["ratios"]) == set(SCENARIOS["file"].writers) - {"atomic_manifest"}


@pytest.mark.parametrize("writer", SCENARIOS["partitions"].writers)
def test_partitions_are_written_by_everybody(tmp_path, writer):
    arguments = {"megabytes": 5, "partitions": 3}
    taken = measure(Job(writer, "trips", arguments, str(tmp_path / "t"), ("zone",)))
    assert not taken.error
    assert len([*(tmp_path / "t").glob("zone=*")]) == 3


@pytest.mark.parametrize("writer", SCENARIOS["appends"].writers)
def test_rows_are_appended_by_everybody(tmp_path, writer):
    arguments = {"columns": 2, "rows": 30}
    taken = measure(Job(writer, "wide", arguments, str(tmp_path / "t"), appends=3))
    assert not taken.error
    assert len([*(tmp_path / "t").glob("*.parquet")]) == 3


def test_what_a_library_raises_is_told_as_its_figure(tmp_path):
    taken = measure(Job("s3fs", "wide", {"columns": 2, "rows": 2}, "s3://nowhere/t"))
    assert "died" in taken.error or "Error" in taken.error


def test_an_unknown_scenario_is_refused():
    assert CliRunner().invoke(app, ["data", "--only", "nothing"]).exit_code == 2


@pytest.mark.slow
@pytest.mark.servers
def test_every_scenario_runs_on_a_bucket_too(tmp_path):
    figures = tmp_path / "figures.json"
    arguments = ["data", "--only", "upload,partitions", "--rounds", "1", "--megabytes", "5", "--s3"]
    result = CliRunner().invoke(app, [*arguments, "--json", str(figures)])
    assert result.exit_code == 0, result.output
    for measured in json.loads(figures.read_text()).values():
        assert measured["on_s3"]
        assert not any(each[0]["error"] for each in measured["taken"].values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "arguments", "partition_by", "bound"),
    [
        ("stream", {"megabytes": 2000}, (), 400e6),
        ("trips", {"megabytes": 500, "partitions": 1000}, ("zone",), 800e6),
    ],
)
def test_memory_is_bounded(tmp_path, source, arguments, partition_by, bound):
    job = Job("atomic_manifest", source, arguments, str(tmp_path / "t"), partition_by)
    taken = measure(job)
    assert not taken.error
    assert taken.peak_bytes < bound
