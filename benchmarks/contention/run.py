"""One run: so many processes of so many threads, one contestant, one fresh table."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self

from atomic_manifest.commit.messages import Budget
from benchmarks.contention.writers import Append, Bounds, Job, ProcessReport, write
from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.measuring import request_counts, rows
from benchmarks.modelled_s3 import ModelledS3

OPEN_SECONDS = 180.0
# Above the longest time any contestant gives one append before it raises.
DRAIN_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How many processes, and how many threads that share a handle in each."""

    processes: int
    threads: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `16` (processes of one writer each) or `2x32` (processes x threads)."""
        processes, _, threads = text.partition("x")
        shape = cls(int(processes), int(threads or 1))
        if min(shape.processes, shape.threads) < 1:
            raise ValueError(f"{text!r} has no writers")
        return shape

    @property
    def writers(self) -> int:
        """Appends that are under way at once."""
        return self.processes * self.threads

    def __str__(self) -> str:
        return f"{self.processes}x{self.threads}" if self.threads > 1 else str(self.processes)


@dataclass(slots=True)
class Run:
    """What happened.

    Attributes:
        name: The contestant.
        shape: The writers.
        bounds: When they stopped.
        url: The table.
        contestant: To ask for the table's contents.
        started: When the writers were let go, by `time.monotonic`.
        elapsed: Seconds from then until the last had finished.
        appends: Of all writers.
        hung: Processes that did not finish, and were killed.
        cpu_seconds: Of all writers.
        requests: Of all writers, by kind.
        stats: All that the service counted.
    """

    name: str
    shape: Shape
    bounds: Bounds
    url: str
    contestant: Contestant
    started: float = 0.0
    elapsed: float = 0.0
    appends: list[Append] = field(default_factory=list)
    hung: int = 0
    cpu_seconds: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)
    stats: dict[str, Any] = field(default_factory=dict)


def run(
    server: ModelledS3,
    name: str,
    shape: Shape,
    bounds: Bounds,
    at_start: Callable[[], None] = lambda: None,
    hasty: Budget | None = None,
    on_unknown: Callable[[str, Append], None] = lambda _url, _append: None,
) -> Run:
    """Let the writers loose on a fresh table.

    Args:
        server: Where the table is.
        name: The contestant, a key of `CONTESTANTS`.
        shape: The writers.
        bounds: When they stop.
        at_start: Called when every handle is open and nobody writes yet.
        hasty: Bounds of each commit of every second process; see `Job.budget`.
        on_unknown: Called with the table and each append of unknown outcome, while others go on.

    Raises:
        RuntimeError: A writer did not come up.
    """
    url = f"s3://{server.new_bucket()}/{name}"
    contestant = CONTESTANTS[name](server, url)
    contestant.create(rows(0).schema)
    jobs = [
        Job(name, server, url, number, shape.threads, bounds, hasty if number % 2 else None)
        for number in range(shape.processes)
    ]
    result = Run(name, shape, bounds, url, contestant)
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    with _processes(context, jobs, start) as channels:
        for channel in channels:
            _await_ready(channel)
        server.reset(keep_objects=True)
        at_start()
        start.set()
        result.started = time.monotonic()
        _gather(channels, result, on_unknown)
        result.elapsed = time.monotonic() - result.started
        result.requests, result.stats = request_counts(server), server.stats()
    return result


@contextmanager
def _processes(context: Any, jobs: list[Job], start: Any) -> Iterator[list[Connection]]:
    processes: list[BaseProcess] = []
    channels: list[Connection] = []
    try:
        for job in jobs:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=write, args=(job, theirs, start), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            channels.append(ours)
        yield channels
    finally:
        for channel in channels:
            channel.close()
        for process in processes:
            process.kill()
            process.join()


def _await_ready(channel: Connection) -> None:
    try:
        ready = channel.poll(OPEN_SECONDS) and channel.recv() is None
    except EOFError:
        ready = False
    if not ready:
        raise RuntimeError("a writer did not come up; its error is above")


def _gather(
    channels: list[Connection], result: Run, on_unknown: Callable[[str, Append], None]
) -> None:
    deadline = result.started + result.bounds.seconds + DRAIN_SECONDS
    waiting = list(channels)
    while waiting and (remaining := deadline - time.monotonic()) > 0:
        for channel in wait(waiting, remaining):
            assert isinstance(channel, Connection)
            try:
                report: ProcessReport | Append = channel.recv()
            except EOFError:
                waiting.remove(channel)
                result.hung += 1
                continue
            if isinstance(report, Append):
                on_unknown(result.url, report)
                continue
            waiting.remove(channel)
            result.appends += report.appends
            result.cpu_seconds += report.cpu_seconds
    result.hung += len(waiting)
