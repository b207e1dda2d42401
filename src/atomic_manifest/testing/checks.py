"""What the classes of tests are made of."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor  # noqa: TID251 - the main thread waits
from typing import TypeVar

from atomic_manifest.store.conditions import Condition, ETag
from atomic_manifest.store.driver import (
    Contended,
    DeleteOutcome,
    Driver,
    DriverUpload,
    ObjectMeta,
    Unanswered,
    WriteOutcome,
    Written,
)

PART = 5 * 1024 * 1024
_T = TypeVar("_T")
_E = TypeVar("_E", bound=Exception)
_Outcome = TypeVar("_Outcome", bound=WriteOutcome | DeleteOutcome)


def race(count: int, act: Callable[[int], _T]) -> list[_T]:
    """Run `act(0)` to `act(count - 1)` in threads that start together."""
    barrier = threading.Barrier(count)

    def started(number: int) -> _T:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(started, range(count)))


def decided(act: Callable[[], _Outcome]) -> _Outcome:
    """The outcome of `act`, asked again while the service declines to decide."""
    while True:
        outcome = act()
        assert not isinstance(outcome, Unanswered), outcome
        if not isinstance(outcome, Contended):
            return outcome


def begin(
    driver: Driver,
    path: str,
    *,
    when: Condition | None = None,
    metadata: Mapping[str, str] | None = None,
) -> DriverUpload:
    """An upload of the smallest parts that services take."""
    return driver.start_upload(path, part_size=PART, max_in_flight=2, when=when, metadata=metadata)


def upload(
    driver: Driver, path: str, data: bytes, *, when: Condition | None = None
) -> WriteOutcome:
    """One whole upload; of one that did not succeed the parts are removed."""
    started = begin(driver, path, when=when)
    started.write(data)
    outcome = started.finish()
    if not isinstance(outcome, Written):
        started.abort()
    return outcome


def written(outcome: WriteOutcome) -> ObjectMeta:
    """What was written, of a write that must have succeeded."""
    assert isinstance(outcome, Written), outcome
    return outcome.meta


def tag(outcome: WriteOutcome) -> ETag:
    """The new ETag, of a write that must have succeeded."""
    etag = written(outcome).etag
    assert etag is not None
    return etag


def current(driver: Driver, path: str) -> ETag:
    """The ETag of an object that must exist."""
    etag = driver.head(path).etag
    assert etag is not None
    return etag


def raised(kind: type[_E], act: Callable[[], object]) -> _E:
    """The error of this kind that `act` must raise."""
    try:
        result = act()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised; the result was {result!r}")
