"""The contention benchmark counts what it says, and its verification sees what is wrong."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from typer.testing import CliRunner

import atomic_manifest as am
from atomic_manifest.commit.result import Resolution, ResolutionState
from atomic_manifest.errors import CommitOutcomeUnknown
from benchmarks.__main__ import app
from benchmarks.contention.command import measure
from benchmarks.contention.faulty import agrees_with_log, faulty_run
from benchmarks.contention.figures import as_json, details, ratios
from benchmarks.contention.plot import plot
from benchmarks.contention.run import Shape
from benchmarks.contention.verify import verify
from benchmarks.contention.writers import Append, Bounds
from benchmarks.contents import Contents
from benchmarks.measuring import ROWS, rows

AT_ONCE = dict.fromkeys(("put_ms", "get_ms", "list_ms", "head_ms", "delete_ms"), 0)
TWO_EACH = Bounds(seconds=60, commits=2)


@pytest.fixture(scope="module")
def results():
    names = ["atomic_manifest", "deltalake"]
    return list(measure(names, [Shape(2), Shape(1, 2)], TWO_EACH, AT_ONCE))


def test_every_append_of_processes_and_of_threads_is_counted_and_found_once(results):
    assert [(each.name, str(each.shape)) for each in results] == [
        ("atomic_manifest", "2"),
        ("deltalake", "2"),
        ("atomic_manifest", "1x2"),
        ("deltalake", "1x2"),
    ]
    for each in results:
        assert (each.attempts, each.failures) == (4, 0)
        assert each.verification.acknowledged == 4
        assert each.verification.holds
        assert each.requests_per_commit["PUT data"] == 1
        assert 0 < each.p50_ms <= each.p99_ms <= each.max_ms
        assert each.cpu_ms_per_commit > 0
        assert each.service_cpu_share > 0


def test_figures_are_json_with_ratios_for_each_shape(results):
    told = json.loads(json.dumps(as_json(results)))
    assert told["ratios"].keys() == {"2", "1x2"}
    assert told["ratios"]["2"]["deltalake"] == pytest.approx(ratios(results)["2"]["deltalake"])
    assert told["results"][0]["shape"] == "2"
    assert any("times as often as deltalake" in line for line in details(results))


def test_a_plot_without_processes_to_draw_is_refused(tmp_path):
    arguments = ["contention", "--threads", "2", "--plot", str(tmp_path / "no.svg")]
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_plot_is_the_same_file_for_the_same_figures(results, tmp_path):
    for name in ("one.svg", "two.svg"):
        plot(results, tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text()
    assert "commits per second" in drawn
    assert drawn == (tmp_path / "two.svg").read_text()


def test_lance_takes_part(tmp_path):
    figures = tmp_path / "figures.json"
    options = ["--writers", "1", "--commits", "1", "--only", "lance", "--json", str(figures)]
    result = CliRunner().invoke(app, ["contention", *options])
    assert result.exit_code == 0, result.output
    (lance,) = json.loads(figures.read_text())["results"]
    assert lance["verification"]["acknowledged"] == lance["verification"]["versions"] == 1
    assert lance["verification"]["missing"] == 0


@pytest.mark.parametrize(
    "options", [["--only", "nobody"], ["--writers", "some"], ["--writers", "0"]]
)
def test_command_refuses_what_it_cannot_run(options):
    assert CliRunner().invoke(app, ["contention", *options]).exit_code == 2


@pytest.mark.parametrize(
    ("shape", "writers"), [(Shape(16), 16), (Shape(2, 32), 64), (Shape(1, 1), 1)]
)
def test_shape_reads_back_what_it_prints(shape, writers):
    assert Shape.parse(str(shape)) == shape
    assert shape.writers == writers


UNKNOWN = CommitOutcomeUnknown("unknown", commit_id="u", versions=(3,))
APPENDS = [
    Append(1, 0, 1, commit_id="a"),
    Append(2, 0, 1, error="CommitConflict: refused"),
    Append(3, 0, 1, error="CommitOutcomeUnknown: unknown", unknown=UNKNOWN),
]


@pytest.mark.parametrize(
    ("present", "ids", "problem"),
    [
        ({1: ROWS}, ["a"], None),
        ({1: ROWS, 3: ROWS}, ["a", "u"], None),
        ({}, [], "missing"),
        ({1: ROWS - 1}, ["a"], "missing"),
        ({1: 2 * ROWS}, ["a"], "duplicated"),
        ({1: ROWS, 2: ROWS}, ["a"], "refused_present"),
        ({1: ROWS}, ["a", "a"], "ids_wrong"),
        ({1: ROWS}, [], "ids_wrong"),
    ],
)
def test_verification_names_what_does_not_hold(present, ids, problem):
    contents = Contents(Counter(present), versions=len(present), commit_ids=Counter(ids))
    found = verify(APPENDS, contents)
    assert found.holds is (problem is None)
    assert problem is None or getattr(found, problem) == 1
    assert len(list(found.problems())) >= (problem is not None)


def test_faulty_run_accounts_for_every_append_and_tells_a_violation():
    outcome = faulty_run(Shape(2), Bounds(seconds=60, commits=3), {"503": 0.2, "409": 0.2})
    assert len(outcome.run.appends) == 6
    assert outcome.run.stats["faults"]
    assert outcome.holds, list(outcome.lines())
    wrong = replace(outcome, resolutions=Counter({"not committed": 1}), resolved_wrongly=1)
    assert not wrong.holds
    assert list(wrong.lines())[-1] == "verdict: VIOLATED: 1 resolved wrongly"


def test_unknown_outcomes_of_hasty_writers_are_resolved_truthfully_by_another_process():
    rates = {"lost": 0.1, "503": 0.1, "500": 0.1}
    hasty = am.Budget(attempts=1, seconds=0.02)
    outcome = faulty_run(Shape(4), Bounds(seconds=120, commits=10), rates, hasty)
    unknown = [each for each in outcome.run.appends if each.unknown]
    assert unknown
    assert outcome.early.total() == outcome.resolutions.total() == len(unknown)
    assert outcome.resolutions.keys() <= {"committed", "not committed"}
    assert outcome.holds, list(outcome.lines())


@pytest.mark.parametrize(
    ("state", "version", "logged", "rows", "agrees"),
    [
        (ResolutionState.COMMITTED, 3, 3, ROWS, True),
        (ResolutionState.COMMITTED, 3, 4, ROWS, False),
        (ResolutionState.COMMITTED, 3, None, 0, False),
        (ResolutionState.NOT_COMMITTED, None, None, 0, True),
        (ResolutionState.NOT_COMMITTED, None, 3, ROWS, False),
        (ResolutionState.NOT_COMMITTED, None, None, ROWS, False),
        (ResolutionState.OPEN, None, 3, ROWS, True),
        (ResolutionState.OPEN, None, None, ROWS, False),
    ],
)
def test_an_answer_is_compared_with_the_log_and_the_rows(state, version, logged, rows, agrees):
    log = {} if logged is None else {UNKNOWN.commit_id: logged}
    contents = Contents(Counter({3: rows}), versions=5, commit_ids=Counter())
    assert agrees_with_log(Resolution(state, version), APPENDS[2], log, contents) is agrees
    assert agrees_with_log(None, APPENDS[2], {}, Contents(Counter(), 0, Counter()))


def test_rows_of_appends_differ_in_number_alone():
    first, second = rows(0), rows(7)
    assert first.schema == second.schema
    assert second["day"].unique().to_pylist() == [7]
    assert second["id"][0].as_py() == 7 * ROWS
