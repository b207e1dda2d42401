"""One write in a process of its own: how long, how much processor time, how much memory."""

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.data import sources
from benchmarks.data.writers import WRITERS
from benchmarks.endpoint import S3Endpoint
from benchmarks.usage import cpu_seconds, forget_peak, peak_memory, resident_memory


@dataclass(frozen=True, slots=True)
class Job:
    """What is written, by whom, where to.

    Attributes:
        writer: A key of `WRITERS`.
        source: A function of `benchmarks.data.sources`.
        arguments: Of the source.
        url: A table that is not there yet.
        partition_by: Its partition columns.
        endpoint: The service of an `s3://` URL.
        appends: Into how many commits the rows are split.
    """

    writer: str
    source: str
    arguments: dict[str, Any]
    url: str
    partition_by: tuple[str, ...] = ()
    endpoint: S3Endpoint | None = None
    appends: int = 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What one write took.

    Attributes:
        seconds: From call to return.
        cpu_seconds: Of all threads of the process.
        peak_bytes: Of memory above what the process held before, its input included.
        input_bytes: Size of the input as Arrow; 0 of a stream.
        error: What it raised instead; empty if nothing.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    input_bytes: int
    error: str = ""


def measure(job: Job) -> Taken:
    """Run a job in a fresh process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(job, theirs))
    process.start()
    theirs.close()
    try:
        taken: Taken = ours.recv()
    except EOFError:
        taken = Taken(0, 0, 0, 0, "the process died")
    process.join()
    return taken


def _run(job: Job, channel: Connection) -> None:
    data = getattr(sources, job.source)(**job.arguments)
    size = getattr(data, "nbytes", 0)
    write = WRITERS[job.writer]
    write(sources.wide(2, 10), f"{job.url}-warm", [], job.endpoint)  # imports, connections
    pieces = [data] if job.appends == 1 else _split(data, job.appends)
    forget_peak()
    before, cpu, start = resident_memory(), cpu_seconds(), time.perf_counter()
    error = ""
    try:
        for piece in pieces:
            write(piece, job.url, list(job.partition_by), job.endpoint)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"[:200]
    seconds = time.perf_counter() - start
    channel.send(Taken(seconds, cpu_seconds() - cpu, peak_memory() - before, size, error))


def _split(data: Any, count: int) -> list[Any]:
    step = -(-data.num_rows // count)
    return [data.slice(start, step) for start in range(0, data.num_rows, step)]
