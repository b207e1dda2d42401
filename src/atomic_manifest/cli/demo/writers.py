"""Writer processes: started, watched, killed on the way and started again."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from atomic_manifest.cli.demo.worker import Commit, Task
from atomic_manifest.env import Env

_MOST_STARTS = 10
_KILL_WITHIN_SECONDS = 0.05


@dataclass(slots=True)
class WriterLog:
    """What became of one writer.

    Attributes:
        commits: The first acknowledgement of each slice, by index.
        kills: How often it was killed.
        error: What it printed when it failed by itself; empty if it did not.
    """

    commits: dict[int, Commit] = field(default_factory=dict)
    kills: int = 0
    error: str = ""

    @property
    def retries(self) -> int:
        """Lost races: PUTs of a log entry beyond the first of each commit."""
        return sum(max(0, commit.attempts - 1) for commit in self.commits.values())


def run_writers(
    tasks: Sequence[Task],
    kill_after: Sequence[Sequence[int]],
    env: Env,
    on_change: Callable[[int, WriterLog], None],
) -> list[WriterLog]:
    """Run all tasks at once, each in its own process, until each is done.

    Args:
        tasks: One for each writer.
        kill_after: For each writer, the slice indices after whose acknowledgement it is killed.
        env: Randomness and pauses for the kills.
        on_change: Called from the watching threads with the writer's number and its log.
    """
    logs = [WriterLog() for _ in tasks]
    threads = [
        threading.Thread(  # noqa: TID251 - while the main thread waits
            target=_keep_running, args=(number, task, kills, log, env, on_change)
        )
        for number, (task, kills, log) in enumerate(zip(tasks, kill_after, logs, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return logs


def _keep_running(
    number: int,
    task: Task,
    kill_after: Sequence[int],
    log: WriterLog,
    env: Env,
    on_change: Callable[[int, WriterLog], None],
) -> None:
    pending = sorted(kill_after)
    for _ in range(_MOST_STARTS):
        killed = _run_once(task, pending, log, env, lambda: on_change(number, log))
        if not killed:
            return
    log.error = f"not done after {_MOST_STARTS} starts"


def _run_once(
    task: Task, pending: list[int], log: WriterLog, env: Env, changed: Callable[[], None]
) -> bool:
    """One life of a writer. True if it was killed, False if it ended by itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "atomic_manifest.cli.demo.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - pipes
        process.stdin.write(msgspec.json.encode(task))
        process.stdin.close()
        for line in process.stdout:
            commit = msgspec.json.decode(line, type=Commit)
            log.commits.setdefault(commit.index, commit)
            changed()
            if pending and commit.index >= pending[0]:
                del pending[0]
                env.sleep(env.random() * _KILL_WITHIN_SECONDS)  # anywhere in the next commit
                process.kill()
                log.kills += 1
                changed()
                return True
        error = process.stderr.read().decode(errors="replace")
        if process.wait() != 0:
            log.error = error
    return False
