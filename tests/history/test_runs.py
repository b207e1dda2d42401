"""Real processes on real tables, killed on the way: what they recorded is a serializable history."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import atomic_manifest as am
from atomic_manifest.commit.intent import Isolation
from atomic_manifest.testing.history import History, Kind, Log, Violation, __main__
from atomic_manifest.testing.history.journal import Outcome
from atomic_manifest.testing.history.run import Options, Report, run
from atomic_manifest.testing.history.supervisor import Supervised
from atomic_manifest.testing.history.workload import ACCOUNTS, BALANCE

BROKEN = (sys.executable, str(Path(__file__).with_name("broken_worker.py")))


def check(options: Options) -> Report:
    report = run(options)
    assert report.holds, [*map(str, report.violations), *report.supervised.errors]
    assert report.supervised.kills == options.kills
    assert report.readers == ("atomic_manifest", "deltalake")
    assert sum(outcomes[Outcome.OK] for outcomes in report.kinds.values()) > 5
    table = am.Table.open(options.url, storage_options=options.storage_options)
    accounts = table.to_arrow(filter="part = 'bank'")["value"].to_pylist()
    assert (len(accounts), sum(accounts)) == (ACCOUNTS, ACCOUNTS * BALANCE)
    assert table.to_arrow(filter="part = 'duty' and value = 1").num_rows > 0
    return report


def test_killed_processes_on_local_files_leave_a_serializable_history(tmp_path):
    options = Options(
        str(tmp_path / "t"), tmp_path / "histories", seconds=4, workers=3, kills=2, seed=1
    )
    check(options)


def test_write_serializable_processes_on_an_unpartitioned_table(tmp_path):
    options = Options(
        str(tmp_path / "t"),
        tmp_path / "histories",
        seconds=2,
        workers=3,
        kills=1,
        seed=2,
        isolation=Isolation.WRITE_SERIALIZABLE,
        partitioned=False,
    )
    check(options)


@pytest.mark.parametrize("server", ["seaweedfs", pytest.param("ministack", marks=pytest.mark.slow)])
def test_killed_processes_on_a_real_s3_server_leave_a_serializable_history(
    request, tmp_path, server
):
    s3 = request.getfixturevalue(server)
    options = Options(
        f"s3://{s3.new_bucket()}/t",
        tmp_path / "histories",
        storage_options=s3.storage_options,
        seconds=4,
        workers=3,
        kills=2,
        seed=3,
    )
    check(options)


@pytest.mark.slow
@pytest.mark.parametrize("isolation", Isolation)
@pytest.mark.parametrize("partitioned", [True, False], ids=["partitioned", "unpartitioned"])
@pytest.mark.parametrize("where", ["local", "seaweedfs"])
def test_a_long_history(request, tmp_path, where, partitioned, isolation):
    s3 = None if where == "local" else request.getfixturevalue(where)
    options = Options(
        f"s3://{s3.new_bucket()}/t" if s3 else str(tmp_path / "t"),
        tmp_path / "histories",
        storage_options=s3.storage_options if s3 else {},
        seconds=60,
        workers=6,
        kills=20,
        seed=4,
        isolation=isolation,
        partitioned=partitioned,
    )
    check(options)


@pytest.mark.parametrize("rule", ["reads_do_not_count", "blind_appends_pass"])
def test_a_broken_conflict_rule_is_found(tmp_path, rule):
    for seed in range(5):
        options = Options(
            str(tmp_path / f"t{seed}"),
            tmp_path / f"histories-{seed}",
            seconds=2,
            workers=3,
            kills=0,
            seed=seed,
            command=(*BROKEN, rule),
        )
        report = run(options)
        assert not report.supervised.errors
        if report.violations:
            break
    wrong = [each.operations for each in report.violations if each.kind is Kind.READ]
    assert any(len(operations) > 1 for operations in wrong), "a read and whose write it missed"


def test_the_command_tells_what_it_did(tmp_path):
    arguments = ["--seconds", "1", "--workers", "2", "--kills", "1", "--seed", "5"]
    app = __main__.app
    result = CliRunner().invoke(app, [*arguments, "--histories", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "1 kills" in result.output
    assert result.output.strip().endswith("serializable")
    assert len(am.Table.open(tmp_path / "table").to_arrow(filter="part = 'bank'")) == ACCOUNTS
    again = CliRunner().invoke(app, [*arguments, "--url", str(tmp_path / "table")])
    assert again.exit_code == 2
    assert "TableAlreadyExists" in again.output


def test_the_command_fails_where_a_promise_is_broken(monkeypatch):
    violation = Violation(Kind.READ, "a read missed ('bank', 0, 1)", ("w0-0.0.1", "w1-1.0.2"))
    report = Report(History(), Log((), ()), ("reader",), Supervised(), (violation,))
    monkeypatch.setattr(__main__, "run", lambda options: report)
    result = CliRunner().invoke(__main__.app, [])
    assert result.exit_code == 1
    assert f"VIOLATED {violation}" in result.output
    assert "[w0-0.0.1, w1-1.0.2]" in result.output
    assert result.output.strip().endswith("NOT AS PROMISED")


@pytest.mark.parametrize("option", ["no-sign", "=value"])
def test_the_command_refuses_a_storage_option_without_a_name(option):
    assert CliRunner().invoke(__main__.app, ["-o", option]).exit_code == 2


def test_a_worker_that_fails_by_itself_is_told(tmp_path):
    options = Options(
        str(tmp_path / "t"),
        tmp_path / "histories",
        seconds=1,
        workers=1,
        kills=0,
        command=(*BROKEN, "no_such_rule"),
    )
    report = run(options)
    assert not report.holds
    assert "KeyError: 'no_such_rule'" in report.supervised.errors[0]
    assert report.history.operations.keys() == {"setup"}
