"""Work in threads, for as long as there are threads to be had.

Python starts none any more once the main thread has ended, although other threads and `atexit` handlers
run on; and a system has only so many. Work is then done at once by the thread that hands it over: it
takes longer, and gives the same. Everything that needs a thread in this library gets it here.

Threads carry the context variables of the caller that hands over the work.

Error semantics: what work raises comes out where its result is asked for. An interrupt is raised at once.
"""

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from atomic_manifest.forks import lock

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from concurrent.futures import Future, ThreadPoolExecutor

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")

_PREFIX = "atomic-manifest-"


class ThreadPool:
    """A pool of threads, which are started as they are needed.

    Leaving a `with` block of it waits for all work; after an error only for what has begun.

    Args:
        name: What they do, for who looks at the process.
        most: How many.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = _PREFIX + name
        self._most = most
        self._pool: ThreadPoolExecutor | None = None
        self._lock = lock()
        self._stopped = False

    def submit(self, work: Callable[..., _Result], *args: Any, **options: Any) -> "Future[_Result]":
        """Hand over work; where no thread can be had, it is done when this returns.

        Raises:
            RuntimeError: The pool was stopped.
        """
        job = _Job(partial(contextvars.copy_context().run, partial(work, *args, **options)))
        try:
            given = self._opened().submit(job.run)
        except RuntimeError:
            if self._stopped:
                raise
            job.run_here()
        else:
            given.add_done_callback(job.dropped)
        return job.future

    def map(self, work: Callable[..., _Result], *things: Iterable[Any]) -> Iterator[_Result]:
        """As `map` does, in order; all are handed over at once."""
        return _results(deque(self.submit(work, *each) for each in zip(*things, strict=False)))

    def stop(self, *, wait: bool = True) -> None:
        """Begin no more work, and wait for what has begun."""
        self._shut(wait=wait, cancel=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shut(wait=True, cancel=kind is not None)

    def _opened(self) -> "ThreadPoolExecutor":
        with self._lock:
            if self._stopped:
                raise RuntimeError("the threads were stopped")
            if self._pool is None:
                from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - loads logging

                self._pool = ThreadPoolExecutor(self._most, thread_name_prefix=self._name)
            return self._pool

    def _shut(self, *, wait: bool, cancel: bool) -> None:
        with self._lock:
            self._stopped = True
            pool = self._pool
        if pool is not None:
            pool.shutdown(wait=wait, cancel_futures=cancel)


class _Job(Generic[_Result]):
    """Work that is done once: by a thread, or by who handed it over because none could be started.

    A pool that cannot start a thread may have taken the work all the same, for another of its threads.
    """

    def __init__(self, work: Callable[[], _Result]) -> None:
        from concurrent.futures import Future  # noqa: PLC0415 - loads logging

        self.future: Future[_Result] = Future()
        self._work = work
        self._claim = threading.Lock()

    def run(self) -> None:
        """Do it, unless that was begun or cancelled."""
        if not self._claim.acquire(blocking=False):
            return
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - belongs to who asks for the result
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def run_here(self) -> None:
        """Do it in the thread that handed it over."""
        self.run()
        if self.future.done() and isinstance(
            error := self.future.exception(), KeyboardInterrupt | SystemExit
        ):
            raise error

    def dropped(self, given: "Future[None]") -> None:
        """Note that the pool is done with it, and perhaps never began it."""
        if given.cancelled():
            self.future.cancel()


def _results(jobs: "deque[Future[_Result]]") -> Iterator[_Result]:
    try:
        while jobs:
            yield jobs.popleft().result()
    finally:
        for job in jobs:
            job.cancel()


def in_parallel(
    name: str, work: Callable[[_Thing], _Result], things: Iterable[_Thing], most: int
) -> list[_Result]:
    """What comes of each thing, in their order. A single one takes no thread.

    Args:
        name: See `ThreadPool`.
        work: Done once for each, several at the same time.
        things: All of them are handed over at once.
        most: How many threads at most.

    Raises:
        BaseException: What `work` raised first, by the order of things.
    """
    given = list(things)
    if len(given) <= 1:
        return [work(thing) for thing in given]
    with ThreadPool(name, min(most, len(given))) as threads:
        return list(threads.map(work, given))


def at_once(
    name: str, acts: Sequence[Callable[[], _Result]], patience_seconds: float
) -> list[_Result]:
    """Do all at the same instant, each in a thread of its own; that cannot be done without.

    Args:
        name: See `ThreadPool`.
        acts: What to do.
        patience_seconds: How long the threads wait for each other to be there.

    Raises:
        RuntimeError: So many threads cannot be started; nothing was done.
        BaseException: What the first act raised that did.
    """
    barrier = threading.Barrier(len(acts), timeout=patience_seconds)

    def meet(act: Callable[[], _Result]) -> _Result:
        barrier.wait()
        return act()

    jobs = [_Job(partial(contextvars.copy_context().run, meet, act)) for act in acts]
    try:
        for job in jobs:
            threading.Thread(target=job.run, name=_PREFIX + name).start()
    except RuntimeError:
        barrier.abort()
        raise
    return [job.future.result() for job in jobs]


def ahead(
    name: str, work: Callable[[_Thing], _Result], things: Iterable[_Thing], count: int
) -> Iterator[_Result]:
    """What comes of each thing, in their order, made by threads while the caller has another.

    Who gives up leaves none behind.

    Args:
        name: See `ThreadPool`.
        work: Done once for each.
        things: Taken as they are needed.
        count: The most that are made and not yet taken.

    Raises:
        BaseException: What `work` raised, in place of its result.
    """
    waiting: deque[Future[_Result]] = deque()
    threads = ThreadPool(name, count)
    try:
        for thing in things:
            waiting.append(threads.submit(work, thing))
            if len(waiting) >= count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.stop()


def in_background(
    name: str, work: Callable[[], object], *, daemon: bool = False
) -> threading.Thread | None:
    """Do work that the caller goes on without; where no thread can be had, it is done when this returns.

    Args:
        name: See `ThreadPool`.
        work: Raises nothing.
        daemon: Whether the process may end before it.

    Returns:
        The thread; None if the work is done.
    """
    context = contextvars.copy_context()

    def call() -> None:
        context.run(work)

    try:
        thread = threading.Thread(target=call, name=_PREFIX + name, daemon=daemon)
        thread.start()
    except RuntimeError:
        call()
        return None
    return thread


async def from_loop(work: Callable[..., _Result], *args: Any, **options: Any) -> _Result:
    """Wait for work in a thread of the running event loop, or do it in the loop's own."""
    import asyncio  # noqa: PLC0415 - it costs as much as the store floor

    job = _Job(partial(contextvars.copy_context().run, partial(work, *args, **options)))
    try:
        given = asyncio.get_running_loop().run_in_executor(None, job.run)
    except RuntimeError:
        job.run_here()
    else:
        given.add_done_callback(lambda done: done.cancelled() and job.future.cancel())
    return await asyncio.wrap_future(job.future)


def outlive_main(loop: "AbstractEventLoop") -> None:
    """Let an event loop do without threads of its own once the main thread has ended.

    Otherwise it cannot even look up the address of a host any more.
    """
    if threading.main_thread().is_alive():
        return
    try:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - loads logging
    except RuntimeError:  # too late to load it
        return

    class Here(ThreadPoolExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **options: Any) -> "Future[Any]":
            job = _Job(partial(fn, *args, **options))
            job.run()
            return job.future

    loop.call_soon_threadsafe(loop.set_default_executor, Here(1))
