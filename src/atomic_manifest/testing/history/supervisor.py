"""Worker processes: started, killed at random times, started again, stopped at the end.

Only processes started here are ever killed, each by its own handle. A kill is `SIGKILL`: no code of the
worker runs any more. It hits a worker that has begun to work in its present life.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from atomic_manifest.env import Env
from atomic_manifest.testing.history.journal import Ended, Event, Invoked, Prepared, read_events
from atomic_manifest.testing.history.worker import Task

WORKER = (sys.executable, "-m", "atomic_manifest.testing.history.worker")

_POLL_SECONDS = 0.02
_EXTRA_SECONDS = 60.0
"""Beyond the asked time: for kills that found nobody at work, and for the last operations."""


@dataclass(slots=True)
class Supervised:
    """What became of the processes.

    Attributes:
        starts: How many there were.
        kills: How many were killed.
        errors: Of processes that ended by themselves, or did not end when told to.
    """

    starts: int = 0
    kills: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Life:
    """One process."""

    slot: int
    task: Task
    process: subprocess.Popen[bytes]
    complaints: Path

    @property
    def journal(self) -> Path:
        return Path(self.task.journal)

    @property
    def at_work(self) -> bool:
        return self.journal.exists() and self.journal.stat().st_size > 0

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.stop()

    def error(self) -> str:
        """How it ended; empty if well."""
        if self.process.returncode == 0:
            return ""
        last = self.complaints.read_text(errors="replace").strip().splitlines()[-8:]
        return "\n".join([f"{self.task.name} ended with {self.process.returncode}", *last])


class Supervisor:
    """See the module docstring.

    Args:
        make_task: The first task of a worker, by the worker's number, and the process's name and number.
        folder: Takes journals and what processes print.
        env: Clock and pauses.
        draw: When to kill, and whom.
        command: Runs a worker.
    """

    def __init__(
        self,
        make_task: Callable[[int, str, int], Task],
        folder: Path,
        env: Env,
        draw: Callable[[], float],
        command: Sequence[str] = WORKER,
    ) -> None:
        self._make_task = make_task
        self._folder = folder
        self._env = env
        self._draw = draw
        self._command = command
        self._lives: list[_Life] = []
        self._done = Supervised()

    def run(self, workers: int, seconds: float, kills: int) -> Supervised:
        """Let so many work for so long, and kill so often on the way."""
        try:
            self._lives = [self._start(slot, None) for slot in range(workers)]
            self._await_work()
            self._supervise(seconds, kills)
            self._stop_all()
        finally:
            for life in self._lives:
                if life.process.poll() is None:
                    life.kill()
        return self._done

    def _start(self, slot: int, before: _Life | None) -> _Life:
        number = self._done.starts
        self._done.starts += 1
        task = self._make_task(slot, f"w{slot}-{number}", number)
        if before is not None:
            task = _continued(task, before.task, read_events(before.journal))
        complaints = self._folder / f"{task.name}.err"
        with complaints.open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603 - the caller's own command
                [*self._command], stdin=subprocess.PIPE, stdout=errors, stderr=errors
            )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(task) + b"\n")
        process.stdin.flush()
        return _Life(slot, task, process, complaints)

    def _await_work(self) -> None:
        limit = self._env.monotonic() + _EXTRA_SECONDS
        while self._env.monotonic() < limit and not all(life.at_work for life in self._lives):
            if any(life.process.poll() is not None for life in self._lives):
                return
            self._env.sleep(_POLL_SECONDS)

    def _supervise(self, seconds: float, kills: int) -> None:
        began = self._env.monotonic()
        pending = sorted(seconds * (0.1 + 0.85 * self._draw()) for _ in range(kills))
        while True:
            elapsed = self._env.monotonic() - began
            over = elapsed >= seconds and not pending
            if over or elapsed >= seconds + _EXTRA_SECONDS:
                return
            if any(life.process.poll() is not None for life in self._lives):
                return
            if pending and elapsed >= pending[0] and self._kill_one():
                del pending[0]
            self._env.sleep(_POLL_SECONDS)

    def _kill_one(self) -> bool:
        busy = [number for number, life in enumerate(self._lives) if life.at_work]
        if not busy:
            return False
        number = busy[int(self._draw() * len(busy))]
        life = self._lives[number]
        self._env.sleep(self._draw() * _POLL_SECONDS)  # at no time that the polling prefers
        life.kill()
        self._done.kills += 1
        self._lives[number] = self._start(life.slot, life)
        return True

    def _stop_all(self) -> None:
        for life in self._lives:
            life.stop()
        for life in self._lives:
            try:
                life.process.wait(_EXTRA_SECONDS)
            except subprocess.TimeoutExpired:
                life.kill()
                self._done.errors.append(f"{life.task.name} did not stop, and was killed")
                continue
            if error := life.error():
                self._done.errors.append(error)


def _continued(task: Task, before: Task, events: Sequence[Event]) -> Task:
    """A task that goes on where a killed process was: its transactions in flight are given again."""
    ended = {event.operation for event in events if isinstance(event, Ended)}
    txns = dict(before.txns)
    open_commits = []
    for event in events:
        match event:
            case Invoked(operation=name, txn=(_, number)):
                thread = int(name.split(".")[1])
                txns[thread] = number + 1 if name in ended else number
            case Prepared(operation=name, commit_id=commit_id) if commit_id and name not in ended:
                open_commits.append(commit_id)
    return msgspec.structs.replace(task, txns=txns, open_commits=open_commits)
