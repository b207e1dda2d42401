"""One process of writers: open, warm up, wait for the start, append in a loop, tell what happened.

Times are those of `time.monotonic`, which on one machine all processes share.
"""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

from atomic_manifest.commit.messages import Budget
from atomic_manifest.errors import CommitOutcomeUnknown
from benchmarks.contestants import CONTESTANTS, AtomicManifest, Contestant
from benchmarks.endpoint import S3Endpoint
from benchmarks.measuring import rows
from benchmarks.usage import cpu_seconds

NUMBERS_PER_WRITER = 100_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a writer stops beginning appends: whichever comes first.

    Attributes:
        seconds: After the start.
        commits: Appends of each writer, however they ended; None for no such bound.
    """

    seconds: float
    commits: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What a process is to do.

    Attributes:
        name: The contestant, a key of `CONTESTANTS`.
        endpoint: Where the service is.
        url: The table.
        process: Number of the process.
        threads: Writers in it, which share one handle.
        bounds: When to stop.
        budget: Bounds of each commit, of our own library alone; None for what it has by default.
    """

    name: str
    endpoint: S3Endpoint
    url: str
    process: int
    threads: int
    bounds: Bounds
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """One append and what the library said of it.

    Attributes:
        number: What its rows hold as `day`.
        began: When it was called.
        ended: When the call returned or raised.
        commit_id: The commit's id, where the library tells it; empty otherwise.
        error: What it raised; empty if it was acknowledged.
        unknown: The error itself, if it says that the commit may or may not be there.
    """

    number: int
    began: float
    ended: float
    commit_id: str = ""
    error: str = ""
    unknown: CommitOutcomeUnknown | None = None


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """What the writers of a process did, and the processor time that took."""

    appends: list[Append]
    cpu_seconds: float


def write(job: Job, channel: Connection, start: Event) -> None:
    """Run the writers of one process, until it is killed.

    Sends None when ready, each append of unknown outcome at once, and at the end a `ProcessReport`.
    Then it stays: interpreters that end take the processor from those who still write, for seconds if
    there are many.
    """
    warm_up(job)
    contestant = _contestant(job)
    contestant.open()
    sending = threading.Lock()

    def tell(append: Append) -> None:
        with sending:
            channel.send(append)

    channel.send(None)
    start.wait()
    deadline = time.monotonic() + job.bounds.seconds
    before = cpu_seconds()
    with ThreadPoolExecutor(job.threads) as pool:
        writers = range(job.process * job.threads, (job.process + 1) * job.threads)
        lists = list(
            pool.map(lambda each: _loop(contestant, each, deadline, job.bounds, tell), writers)
        )
    appends = list(itertools.chain.from_iterable(lists))
    channel.send(ProcessReport(appends, cpu_seconds() - before))
    threading.Event().wait()


def _contestant(job: Job) -> Contestant:
    if job.budget is None:
        return CONTESTANTS[job.name](job.endpoint, job.url)
    return AtomicManifest(job.endpoint, job.url, job.budget)


def warm_up(job: Job) -> None:
    """Append once to a table of one's own, so that whatever loads late has been loaded."""
    contestant = CONTESTANTS[job.name](job.endpoint, f"{job.url}-warm-up-{job.process}")
    contestant.create(rows(0).schema)
    contestant.open()
    contestant.append(rows(0))


def _loop(
    contestant: Contestant,
    writer: int,
    deadline: float,
    bounds: Bounds,
    tell_unknown: Callable[[Append], None],
) -> list[Append]:
    appends: list[Append] = []
    first = writer * NUMBERS_PER_WRITER
    last = first + (bounds.commits or NUMBERS_PER_WRITER)
    for number in range(first, last):
        if time.monotonic() >= deadline:
            break
        appends.append(_append(contestant, number))
        if appends[-1].unknown is not None:
            tell_unknown(appends[-1])
    return appends


def _append(contestant: Contestant, number: int) -> Append:
    data = rows(number)
    began = time.monotonic()
    try:
        commit_id = contestant.append(data)
    except Exception as error:
        unknown = error if isinstance(error, CommitOutcomeUnknown) else None
        told = f"{type(error).__name__}: {error}"
        return Append(number, began, time.monotonic(), error=told, unknown=unknown)
    return Append(number, began, time.monotonic(), commit_id)
