"""Work on files in threads: encoding and uploading, several files at a time.

Arrow gives the interpreter free while it encodes and compresses, and a store while it sends, so threads
are enough to keep processors, network and disk busy at once.

Not all of them encode at the same time: beyond one for each processor they would only take turns at it, and
at the interpreter's lock, which costs a third more time. Where writing waits for nothing either, there are
no more threads than that.

Invariants: the rows handed over and not yet dealt with are never more bytes than the bound, save that a
single job may exceed it. Jobs begin in the order they were given, so a job may wait for one given before.

Error semantics: what a job raised comes out of a later `submit` or `finish`. `stop` raises nothing.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Semaphore
from typing import TypeAlias

from atomic_manifest.threads import ThreadPool

THREADS = 8
"""Of a write to a store that waits: a job that finishes a file keeps no processor busy."""

_ENOUGH = 1 << 20
"""Bytes of rows that are worth a job: handing over a file of few rows costs as much as its encoding."""

_MANY = 16
"""Files that are, however few rows they have."""

Job: TypeAlias = Future[int]
"""Gives the bytes that the rows became."""


@dataclass(frozen=True, slots=True)
class _Given:
    job: Job
    nbytes: int


class Workers:
    """The threads of one write. To be used by one thread.

    Args:
        most_bytes: The bound.
        waits: Whether the store does, see `Batch`.

    Attributes:
        processor: To be held by a job while it encodes.
    """

    def __init__(self, most_bytes: int, *, waits: bool) -> None:
        processors = os.cpu_count() or 1
        self._most = most_bytes
        self._waits = waits
        self._threads = ThreadPool("write", THREADS if waits else processors)
        self._few: list[Callable[[], int]] = []
        self._few_bytes = 0
        self.processor: AbstractContextManager[object] = (
            Semaphore(processors) if waits else nullcontext()
        )
        self._given: deque[_Given] = deque()
        self._nbytes = 0

    def add(self, work: Callable[[], int], nbytes: int) -> None:
        """As `submit`, of work that no job waits for. Where the store does not wait, some become one job.

        Raises:
            BaseException: What an earlier job raised.
        """
        self._few.append(work)
        self._few_bytes += nbytes
        # Without rows, there is something to let go of: an upload.
        enough = not nbytes or self._few_bytes >= _ENOUGH or len(self._few) >= _MANY
        if self._waits or enough:
            self._flush()

    def submit(self, work: Callable[[], int], nbytes: int) -> Job:
        """Let a thread do some work that holds so many bytes, as soon as they are within the bound.

        Raises:
            BaseException: What an earlier job raised.
        """
        while self._given and (self._given[0].job.done() or self._nbytes + nbytes > self._most):
            self._settle()
        job = self._threads.submit(work)
        self._given.append(_Given(job, nbytes))
        self._nbytes += nbytes
        return job

    def finish(self) -> None:
        """Wait for all jobs, and end the threads.

        Raises:
            BaseException: What a job raised.
        """
        self._flush()
        while self._given:
            self._settle()
        self.stop()

    def stop(self) -> None:
        """Begin no more jobs, wait for those that run, and end the threads."""
        self._threads.stop()

    def _flush(self) -> None:
        few, nbytes = self._few, self._few_bytes
        self._few, self._few_bytes = [], 0
        if few:
            self.submit(lambda: sum(work() for work in few), nbytes)

    def _settle(self) -> None:
        """Wait for the oldest job."""
        given = self._given.popleft()
        self._nbytes -= given.nbytes
        given.job.result()
