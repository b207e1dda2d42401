"""The demo: does what it says, and says no when something is wrong."""

import itertools
import json
import subprocess
import sys

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import atomic_manifest as am
from atomic_manifest.cli import app as cli
from atomic_manifest.cli.demo.flights import load_flights, slices
from atomic_manifest.cli.demo.verify import verify
from atomic_manifest.log.entry import seal
from atomic_manifest.log.seal import ENTRY_SEAL


def demo(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", "from atomic_manifest.cli import main; main()", "demo", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demo_ingests_kills_restarts_and_verifies(tmp_path):
    url = str(tmp_path / "flights")
    done = demo("--uri", url, "--writers", "3", "--commits", "5", "--kills", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills" in done.stdout
    assert "NO" not in done.stdout
    assert url in done.stdout.replace("\n", "")
    table = am.Table.open(url)
    assert table.version <= 15
    assert sum(len(entry.commits) for entry in table.history()) == 16
    assert table.partition_columns == ("month",)
    assert table.to_dataset().count_rows() == 336_776


def test_the_demo_runs_on_s3(ministack):
    options = [f"-o{name}={value}" for name, value in ministack.storage_options.items()]
    url = f"s3://{ministack.new_bucket()}/flights"
    done = demo("--uri", url, "--writers", "2", "--commits", "3", "--kills", "1", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ministack.secret not in done.stdout


def test_the_demo_does_not_touch_a_table_that_is_there(tmp_path):
    am.append(tmp_path / "t", {"x": [1]})
    done = demo("--uri", str(tmp_path / "t"))
    assert done.returncode == 2
    assert "TableAlreadyExists" in done.stdout
    assert am.Table.open(tmp_path / "t").version == 0


def test_the_demo_is_not_tried_in_memory():
    done = demo("--uri", "memory://flights")
    assert done.returncode == 2
    assert "UnsupportedByStore" in done.stdout
    assert "memory://" in done.stdout


def test_a_failed_verification_is_the_exit_code(monkeypatch):
    monkeypatch.setattr(cli, "run_demo", lambda options, console, env: False)
    assert CliRunner().invoke(cli.app, ["demo"]).exit_code == 1
    monkeypatch.setattr(cli, "run_demo", lambda options, console, env: True)
    assert CliRunner().invoke(cli.app, ["demo"]).exit_code == 0


SOURCE = pa.table({"row": pa.array(range(6), pa.int64()), "month": [1, 1, 2, 2, 3, 3]})
EXPECTED = [("writer", number) for number in range(3)]


@pytest.fixture
def url(tmp_path) -> str:
    path = str(tmp_path / "t")
    table = am.Table.create(path, SOURCE.schema, partition_by=["month"])
    for number in range(3):
        table.append(SOURCE.slice(2 * number, 2), txn=("writer", number))
    return path


def failed(url: str, expected=EXPECTED, source=SOURCE) -> list[str]:
    return [check.name for check in verify(url, {}, source, expected) if not check.holds]


def test_verification_of_what_is_right(url):
    assert failed(url) == []


def test_verification_finds_rows_that_are_there_twice(url):
    am.Table.open(url).append(SOURCE.slice(0, 1), txn=("other", 0))
    assert "every row is there exactly once" in failed(url, [*EXPECTED, ("other", 0)])


def test_verification_finds_rows_that_are_missing(url):
    more = pa.concat_tables([SOURCE, pa.table({"row": [6], "month": [4]})])
    assert failed(url, source=more) == ["every row is there exactly once"]


def test_verification_finds_values_that_changed(url):
    changed = SOURCE.set_column(0, "row", pa.array([0, 1, 2, 3, 4, 7], pa.int64()))
    assert failed(url, source=changed) == ["every row is there exactly once"]


def test_verification_finds_a_missing_and_a_repeated_transaction(url):
    name = "every commit is in the log exactly once"
    assert failed(url, [*EXPECTED, ("writer", 3)]) == [name]
    am.Table.open(url).append(
        pa.table({"row": pa.array([], pa.int64()), "month": pa.array([], pa.int64())}),
        txn=("writer", 9),
    )
    assert failed(url) == [name]


def test_verification_finds_a_gap(url, tmp_path):
    am.Table.open(url).checkpoint()
    (tmp_path / "t" / "_delta_log" / f"{1:020}.json").unlink()
    assert "versions are gapless" in failed(url)


def test_verification_finds_a_checkpoint_that_says_otherwise_than_the_log(url, tmp_path):
    am.Table.open(url).checkpoint()
    entry = tmp_path / "t" / "_delta_log" / f"{3:020}.json"
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    del lines[0]["commitInfo"][ENTRY_SEAL]
    kept = "".join(json.dumps(line) + "\n" for line in lines if "add" not in line)
    entry.write_bytes(seal(kept.encode(), 3))
    assert "serial replay of the log equals the table" in failed(url)


def test_the_flights_are_all_there_and_dealt_out_once():
    flights = load_flights()
    assert flights.num_rows == 336_776
    spans = sorted(span for writer in slices(flights.num_rows, 6, 20) for span in writer)
    assert spans[0][0] == 0
    assert spans[-1][1] == flights.num_rows
    assert all(left[1] == right[0] for left, right in itertools.pairwise(spans))
