"""Work on the next few of many things while the caller has one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")


def ahead(
    work: Callable[[_Thing], _Result], things: Iterable[_Thing], count: int
) -> Iterator[_Result]:
    """What comes of each thing, in their order, made by threads. Who gives up leaves none behind.

    Args:
        work: Done once for each.
        things: Taken as they are needed.
        count: The most that are made and not yet taken.

    Raises:
        BaseException: What `work` raised, in place of its result.
    """
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            for thing in things:
                waiting.append(pool.submit(work, thing))
                if len(waiting) >= count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
