"""Schedules and seeds across processes.

The parts into which a case is split do not depend on the number of processes, so the same schedules are run
by one as by many. What breaks an invariant comes back as a value, with all that it takes to repeat it.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from atomic_manifest.testing.model.schedules import Case, Schedule
from atomic_manifest.testing.model.tree import CounterexampleError, follow, split

_PARTS = 12
"""Into so many a case is split at least, if it has as many schedules."""

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Found:
    """A schedule that broke an invariant.

    Attributes:
        case: Of which case.
        script: Its options; `repeat` follows it.
        message: What it broke.
    """

    case: str
    script: tuple[int, ...]
    message: str


@dataclass(frozen=True)
class Explored:
    """Part of a case.

    Attributes:
        case: Its name.
        schedules: How many were run to their end.
        found: What was broken, if anything.
    """

    case: str
    schedules: int
    found: Found | None = None


_Part: TypeAlias = tuple[Case, tuple[int, ...], int | None]


def processors() -> int:
    """How many processes can run at the same time."""
    return os.cpu_count() or 1


def each(function: Callable[[_T], _R], items: Iterable[_T], jobs: int) -> Iterator[_R]:
    """Apply `function` to every item in `jobs` processes; results as they come.

    Whoever stops early ends what is under way, and what was not begun is left out.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    # A fork would inherit the threads of whoever calls, and the locks they hold.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context)
    try:
        for done in as_completed([pool.submit(function, item) for item in items]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def explore_all(cases: Sequence[Case], jobs: int) -> Iterator[Explored]:
    """Run the schedules of all cases, each up to its limit; part by part, as they come."""
    return each(_explore_part, _parts(cases), jobs)


def repeat(case: Case, script: Sequence[int]) -> tuple[list[str], str | None]:
    """Run one schedule again: what happened in it, and what it broke."""
    schedule = Schedule(case, traced=True)
    try:
        with case.rules():
            follow(lambda: schedule, script)
    except AssertionError as error:
        return schedule.trace, str(error)
    return schedule.trace, None


def _parts(cases: Sequence[Case]) -> Iterator[_Part]:
    for case in cases:
        with case.rules():
            scripts = split(case.start, _PARTS)
        share = None if case.limit is None else -(-case.limit // len(scripts))
        yield from ((case, script, share) for script in scripts)


def _explore_part(part: _Part) -> Explored:
    case, script, share = part
    try:
        return Explored(case.name, case.explore(script, share))
    except CounterexampleError as error:
        return Explored(case.name, 0, Found(case.name, error.script, str(error.cause)))
