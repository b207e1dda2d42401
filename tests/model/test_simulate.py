"""The command: what it says, and that what it prints repeats what it found."""

import shlex

import pytest
from typer.testing import CliRunner

from atomic_manifest.commit.progress import Progress
from atomic_manifest.testing.simulate import app

COMMAND = "python -m atomic_manifest.testing.simulate"


def command(*arguments):
    return CliRunner().invoke(app, [*arguments])


def told(output):
    """The lines of a table, as words without its rules."""
    return [" ".join(line.replace("│", " ").split()) for line in output.splitlines()]


def repeated(output):
    """The arguments of the command that repeats the failure."""
    (line,) = [line for line in output.splitlines() if COMMAND in line]
    return shlex.split(line.partition(COMMAND)[2])


@pytest.fixture
def careless(monkeypatch):
    """A 404 counts as proof that nothing landed."""
    monkeypatch.setattr(Progress, "uncertain", property(lambda _progress: False))


def test_seeds_are_summed_up():
    result = command("--seeds", "3", "--writers", "4", "--commits", "2", "--jobs", "1")
    assert result.exit_code == 0
    lines = told(result.output)
    assert "seeds 3" in lines
    assert any(line.startswith("Committed ") for line in lines)
    assert any(line.startswith("faults ") for line in lines)
    assert any(line.startswith("seconds ") for line in lines)


def test_several_processes_run_the_same_seeds():
    one, two = (
        command("--seeds", "12", "--writers", "4", "--commits", "2", "--jobs", jobs)
        for jobs in ("1", "2")
    )
    assert sorted(told(one.output)[:-2]) == sorted(told(two.output)[:-2])


@pytest.mark.usefixtures("careless")
def test_a_seed_that_breaks_an_invariant_is_repeated_by_the_command_it_prints():
    result = command("--seeds", "50", "--fault-rate", "0.5", "--jobs", "1")
    assert result.exit_code == 1
    assert "Plan(seed=" in result.output
    arguments = repeated(result.output)
    again = command(*arguments, "--jobs", "1")
    assert again.exit_code == 1
    assert again.output.partition("broken")[2] == result.output.partition("broken")[2]


def test_schedules_are_counted_up_to_as_many_as_asked_for():
    result = command("--schedules", "200", "--case", "two appends, racing, 2 faults", "--jobs", "1")
    assert result.exit_code == 0
    (line,) = [line for line in told(result.output) if line.startswith("schedules ")]
    assert 200 <= int(line.split()[1].replace(",", "")) < 6956


@pytest.mark.usefixtures("careless")
def test_a_schedule_that_breaks_an_invariant_is_repeated_by_the_command_it_prints():
    result = command("--schedules", "1000", "--jobs", "1")
    assert result.exit_code == 1
    again = command(*repeated(result.output))
    assert again.exit_code == 1
    assert "A: CreateEntry(version=1)" in again.output
    assert again.output.splitlines()[-1] in result.output


def test_a_script_of_a_schedule_that_holds_shows_it():
    result = command("--case", "two appends, both met others", "--script", "0.0")
    assert result.exit_code == 0
    assert "1 A: PostIntent" in result.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "give --seeds or --schedules"),
        (("--schedules", "1", "--case", "no such case"), "there is no case"),
        (("--script", "0.1"), "needs --case"),
    ],
)
def test_wrong_arguments_are_named(arguments, why):
    result = command(*arguments)
    assert result.exit_code == 2
    assert why in result.output
