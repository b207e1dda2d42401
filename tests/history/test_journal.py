"""A journal survives its process: what is in it was done or begun, and what is torn does not count."""

import subprocess
import sys

import pytest

from atomic_manifest.testing.history.journal import (
    Ended,
    Invoked,
    Journal,
    Outcome,
    Prepared,
    Resolved,
    read_events,
    read_history,
)
from atomic_manifest.testing.history.steps import EVERYTHING, Append, Delete, Overwrite, Read
from atomic_manifest.testing.history.supervisor import _continued
from atomic_manifest.testing.history.worker import Task

ROW = ("f0", 1, 2)
EVENTS = [
    Invoked("p.0.1", "append", 1.5, ("app", 0), (Append((ROW,)),)),
    Ended("p.0.1", 2.5, Outcome.OK, "id", 7, rows_deleted=0),
    Invoked("p.1.1", "transfer", 3.0, ("other", 4)),
    Prepared("p.1.1", "id-1", 7, (Read(EVERYTHING, (ROW,)), Overwrite((ROW,), EVERYTHING))),
    Resolved("id-0", "open", None, settled=False),
    Prepared("p.1.1", "id-2", 8, (Delete(EVERYTHING, 1),)),
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "p.jsonl"
    with Journal(path) as journal:
        for event in EVENTS:
            journal.write(event)
    return path


def test_events_are_read_back_as_written(path):
    assert read_events(path) == EVENTS


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_torn_last_line_is_left_out(path, cut):
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_events(path) == EVENTS[:-1]


def test_a_journal_is_never_written_over(path):
    with pytest.raises(FileExistsError):
        Journal(path)


def test_an_empty_journal_is_an_empty_history(tmp_path):
    Journal(tmp_path / "p.jsonl").close()
    assert read_history(tmp_path).operations == {}


def test_a_history_puts_together_what_belongs_to_an_operation(path, tmp_path):
    history = read_history(tmp_path)
    done, killed = history.operations.values()
    assert (done.outcome, done.attempts[0].commit_id, done.process) == (Outcome.OK, None, "p")
    assert killed.outcome is Outcome.UNKNOWN
    assert [(each.commit_id, each.base) for each in killed.attempts] == [("id-1", 7), ("id-2", 8)]
    assert [each.commit_id for each in history.resolutions] == ["id-0"]


def test_a_process_goes_on_where_the_one_before_was_killed():
    task = Task("url", {}, "q", "app", "q.jsonl", seed=0, number=1)
    continued = _continued(task, task, EVENTS)
    assert continued.txns == {0: 1, 1: 4}
    assert continued.open_commits == ["id-1", "id-2"]


def test_what_was_written_before_a_kill_is_there(tmp_path):
    program = f"""
import os, pathlib, signal
from atomic_manifest.testing.history.journal import Invoked, Journal
Journal(pathlib.Path({str(tmp_path / "p.jsonl")!r})).write(Invoked("p.0.1", "append", 1.0))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -9
    assert read_events(tmp_path / "p.jsonl") == [Invoked("p.0.1", "append", 1.0)]
