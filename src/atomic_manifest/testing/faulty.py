"""A driver around a driver that makes chosen requests fail in the ways that networks and services do."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from typing import Any, TypeAlias, TypeVar

from atomic_manifest.errors import StoreUnavailable
from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    Data,
    DeleteOutcome,
    Driver,
    DriverUpload,
    Object,
    ObjectMeta,
    Unanswered,
    WriteOutcome,
)
from atomic_manifest.store.keys import keeps_metadata
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


_Outcome = TypeVar("_Outcome")
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


class FaultyDriver:
    """Makes chosen requests fail, and passes the rest on. Safe to share between threads.

    Requests are numbered from 0 in the order they come; an upload counts when it starts and when it
    is finished, a listing once. Writes get the value of the fault, everything else raises
    `StoreUnavailable`.

    Args:
        inner: The driver that does the work.
        faults: Number to fault, or a function of number and request that gives one or None.
    """

    def __init__(self, inner: Driver, faults: Faults) -> None:
        self.inner = inner
        self._faults = faults
        self._lock = threading.Lock()
        self._count = 0
        self._late: list[Callable[[], Any]] = []

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self.inner.url

    @property
    def keeps_metadata(self) -> bool:
        """As of the inner driver."""
        return keeps_metadata(self.inner)

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        self._fail_read("get", path)
        return self.inner.get(path, range=range, if_none_match=if_none_match)

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        self._fail_read("head", path)
        return self.inner.head(path, if_none_match=if_none_match)

    def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        return self.written(
            "put", path, lambda: self.inner.put(path, data, when=when, metadata=metadata)
        )

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
        self._fail_read("start_upload", path)
        inner = self.inner.start_upload(
            path,
            part_size=part_size,
            max_in_flight=max_in_flight,
            when=when,
            metadata=metadata,
        )
        return _FaultyUpload(self, inner, path)

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        return self.written(
            "copy",
            path,
            lambda: self.inner.copy(source, path, when=when, source_when=source_when),
        )

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        return self.written(
            "delete", path, lambda: self.inner.delete(path, when=when, version=version)
        )

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        given = [*paths]
        first = given[0] if given else ""
        self._carry_out("delete_many", first, lambda: self.inner.delete_many(given))

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`."""
        self._fail_read("list", prefix)
        return self.inner.list(prefix, start_after=start_after)

    def land(self) -> None:
        """Carry out what was delayed."""
        with self._lock:
            late, self._late = self._late, []
        for act in late:
            act()

    def written(self, method: str, path: str, act: Callable[[], _Outcome]) -> _Outcome | _Failed:
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
                with self._lock:
                    self._late.append(act)
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

    def _fail_read(self, method: str, path: str) -> None:
        fault = self._fault(method, path)
        if fault not in (None, Fault.DUPLICATED):
            raise _unavailable(path, fault)

    def _carry_out(self, method: str, path: str, act: Callable[[], None]) -> None:
        fault = self._fault(method, path)
        if fault in (None, Fault.LOST_AFTER, Fault.DUPLICATED):
            act()
        if fault is Fault.DELAYED:
            with self._lock:
                self._late.append(act)
        if fault not in (None, Fault.DUPLICATED):
            raise _unavailable(path, fault)


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
