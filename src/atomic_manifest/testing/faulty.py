"""A driver around a driver that makes chosen requests fail in the ways that networks and services do."""

import threading
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from typing import Any, TypeAlias, TypeVar, cast

from atomic_manifest.errors import StoreUnavailable
from atomic_manifest.store.conditions import Condition
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    Data,
    Driver,
    DriverUpload,
    Unanswered,
    WriteOutcome,
)
from atomic_manifest.store.passing import PassingDriver
from atomic_manifest.testing.drivers import Request


class Fault(Enum):
    """What goes wrong with a request."""

    LOST_BEFORE = "lost before"
    """The request never reaches the store, and no answer comes."""
    LOST_AFTER = "lost after"
    """The store carries the request out, and the answer is lost."""
    CONFLICT_409 = "409"
    """The store declines a write: another operation on the key is in flight."""
    THROTTLED_429 = "429"
    """The store declines: too many requests."""
    ERROR_500 = "500"
    """The store fails before it has done anything, which the answer does not tell."""
    ERROR_503 = "503"
    """The store is too busy to do anything, which the answer does not prove."""
    DELAYED = "delayed"
    """No answer comes; the store carries a write out later, just before the next request."""
    DUPLICATED = "duplicated"
    """The store carries a write out twice; the first answer is the one that comes."""


_WRITES = frozenset({"put", "copy", "delete"})
_Answer = TypeVar("_Answer")
_Failed: TypeAlias = Contended | Unanswered
Faults: TypeAlias = Mapping[int, Fault] | Callable[[int, Request], Fault | None]


def seeded_faults(
    seed: int, share: float = 0.2, kinds: Sequence[Fault] = tuple(Fault)
) -> Callable[[int, Request], Fault | None]:
    """Faults that follow from a seed and a request's number, whichever thread makes it.

    Args:
        seed: The same seed gives the same faults, in every process.
        share: How many of all requests fail, between 0 and 1.
        kinds: What may happen, each as often.
    """

    def fault(number: int, _: Request) -> Fault | None:
        drawn = int.from_bytes(sha256(f"{seed}/{number}".encode()).digest()[:12])
        happens = (drawn >> 32) / (1 << 64) < share
        return kinds[(drawn & 0xFFFF_FFFF) % len(kinds)] if happens else None

    return fault


class FaultyDriver(PassingDriver):
    """Makes chosen requests fail, and passes the rest on. Safe to share between threads.

    Requests are numbered from 0 in the order they come; an upload counts when it starts and when it
    is finished, a listing once. Writes get the value of the fault, everything else raises
    `StoreUnavailable`.

    Args:
        inner: The driver that does the work.
        faults: Number to fault, or a function of number and request that gives one or None.
    """

    def __init__(self, inner: Driver, faults: Faults) -> None:
        super().__init__(inner)
        self._faults = faults
        self._lock = threading.Lock()
        self._count = 0
        self._late: list[Callable[[], Any]] = []

    def around(self, method: str, path: str, act: Callable[[], _Answer]) -> _Answer:
        """See `PassingDriver.around`."""
        if method in _WRITES:
            # Every write may be answered by what a fault comes to.
            return cast("_Answer", self.written(method, path, act))
        fault = self._fault(method, path)
        if fault in (None, Fault.DUPLICATED):
            return act()
        if method == "delete_many" and fault is Fault.LOST_AFTER:
            act()
        if method == "delete_many" and fault is Fault.DELAYED:
            self._put_off(act)
        raise _unavailable(path, fault)

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> DriverUpload:
        """See `Driver.start_upload`."""
        inner = super().start_upload(
            path, part_size=part_size, max_in_flight=max_in_flight, when=when, metadata=metadata
        )
        return _FaultyUpload(self, inner, path)

    def land(self) -> None:
        """Carry out what was delayed."""
        with self._lock:
            late, self._late = self._late, []
        for act in late:
            act()

    def written(self, method: str, path: str, act: Callable[[], _Answer]) -> _Answer | _Failed:
        """What a write comes to, which is the next request."""
        fault = self._fault(method, path)
        match fault:
            case None:
                return act()
            case Fault.DUPLICATED:
                outcome = act()
                act()
                return outcome
            case Fault.CONFLICT_409:
                return Contended(ContendedCause.CONFLICT)
            case Fault.THROTTLED_429:
                return Contended(ContendedCause.THROTTLED)
            case Fault.DELAYED:
                self._put_off(act)
            case Fault.LOST_AFTER:
                act()
        return Unanswered(_unavailable(path, fault))

    def _fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            number = self._count
            self._count += 1
        self.land()
        if isinstance(self._faults, Mapping):
            return self._faults.get(number)
        return self._faults(number, Request(method, path))

    def _put_off(self, act: Callable[[], Any]) -> None:
        with self._lock:
            self._late.append(act)


class _FaultyUpload:
    def __init__(self, driver: FaultyDriver, inner: DriverUpload, path: str) -> None:
        self._driver = driver
        self._inner = inner
        self._path = path
        self._done: WriteOutcome | None = None

    def write(self, data: Data) -> None:
        self._inner.write(data)

    def finish(self) -> WriteOutcome:
        return self._driver.written("finish_upload", self._path, self._finish_once)

    def abort(self) -> None:
        self._driver.land()
        self._inner.abort()

    def _finish_once(self) -> WriteOutcome:
        """An upload that is completed twice is completed once: the second time it is no more."""
        if self._done is None:
            self._done = self._inner.finish()
        return self._done


def _unavailable(path: str, fault: Fault | None) -> StoreUnavailable:
    told = "" if fault is None else fault.value
    return StoreUnavailable(f"{path}: injected fault: {told}", path=path)
