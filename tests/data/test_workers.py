"""How work on files becomes jobs of threads."""

import os
import threading
from collections.abc import Callable

import pytest

from atomic_manifest.data.write.workers import THREADS, Workers

MANY = 1 << 30


def recorded(threads: list[str], barrier: threading.Barrier | None = None) -> Callable[[], int]:
    def work() -> int:
        threads.append(threading.current_thread().name)
        if barrier is not None:
            barrier.wait(30)
        return 1

    return work


def test_small_work_is_a_job_together_where_the_store_does_not_wait() -> None:
    workers, done = Workers(MANY, waits=False), list[int]()

    def work(number: int) -> Callable[[], int]:
        return lambda: done.append(number) or 1  # type: ignore[func-returns-value]

    for number in range(10):
        workers.add(work(number), 1 << 17)
    assert len(workers._given) <= 1
    workers.finish()
    assert sorted(done) == list(range(10))


def test_each_small_work_is_a_job_of_its_own_where_the_store_waits() -> None:
    workers, threads = Workers(MANY, waits=True), list[str]()
    barrier = threading.Barrier(THREADS)
    for _ in range(THREADS):
        workers.add(recorded(threads, barrier), 1)
    workers.finish()
    assert len(set(threads)) == THREADS


def test_an_upload_without_more_rows_is_finished_at_once() -> None:
    workers, done = Workers(MANY, waits=False), threading.Event()

    def work() -> int:
        done.set()
        return 1

    workers.add(work, 0)
    assert done.wait(30)
    workers.finish()


def test_very_small_files_are_not_one_job_however_many_they_are() -> None:
    workers, threads = Workers(MANY, waits=False), list[str]()
    for _ in range(100):
        workers.add(recorded(threads), 1)
    assert len(workers._given) + len(workers._few) < 100
    assert len(workers._few) < 16
    workers.finish()
    assert len(threads) == 100


@pytest.mark.parametrize("processors", [1, 3])
def test_where_the_store_does_not_wait_there_are_as_many_threads_as_processors(
    processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    workers, threads = Workers(MANY, waits=False), list[str]()
    barrier = threading.Barrier(processors)
    for _ in range(4 * processors):
        workers.add(recorded(threads, barrier), 1 << 20)
    workers.finish()
    assert len(set(threads)) == processors


@pytest.mark.parametrize("waits", [True, False])
def test_what_small_work_raises_comes_out(waits: bool) -> None:
    def broken() -> int:
        raise ZeroDivisionError

    workers, threads = Workers(MANY, waits=waits), list[str]()
    workers.add(recorded(threads), 1)
    workers.add(broken, 1)
    with pytest.raises(ZeroDivisionError):
        workers.finish()
    workers.stop()


def test_small_work_that_was_not_begun_is_given_up() -> None:
    workers, threads = Workers(MANY, waits=False), list[str]()
    workers.add(recorded(threads), 1)
    workers.stop()
    assert threads == []
