"""Drivers around drivers: one counts requests, one makes them fail."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, TypeVar

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


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a driver.

    Attributes:
        method: The driver's method, or `finish_upload`.
        path: Its path; the prefix of a listing, the first path of `delete_many`.
    """

    method: str
    path: str


class CountingDriver:
    """Records every request, then passes it on. Safe to share between threads.

    Args:
        inner: The driver that does the work.
    """

    def __init__(self, inner: Driver) -> None:
        self.inner = inner
        self._lock = threading.Lock()
        self._requests: list[Request] = []

    @property
    def requests(self) -> tuple[Request, ...]:
        """All requests since the start, or the last `clear`."""
        with self._lock:
            return tuple(self._requests)

    def clear(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._requests.clear()

    def count(self, method: str) -> int:
        """How many requests of one method there were."""
        return sum(request.method == method for request in self.requests)

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
        self._record("get", path)
        return self.inner.get(path, range=range, if_none_match=if_none_match)

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        self._record("head", path)
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
        self._record("put", path)
        return self.inner.put(path, data, when=when, metadata=metadata)

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> DriverUpload:
        """See `Driver.start_upload`. What the upload then sends is not counted."""
        self._record("start_upload", path)
        return self.inner.start_upload(
            path,
            part_size=part_size,
            max_in_flight=max_in_flight,
            when=when,
            metadata=metadata,
        )

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        self._record("copy", path)
        return self.inner.copy(source, path, when=when, source_when=source_when)

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        self._record("delete", path)
        return self.inner.delete(path, when=when, version=version)

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`. Counts as one."""
        given = [*paths]
        self._record("delete_many", given[0] if given else "")
        self.inner.delete_many(given)

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`. Counts as one, however many pages it has."""
        self._record("list", prefix)
        return self.inner.list(prefix, start_after=start_after)

    def _record(self, method: str, path: str) -> None:
        with self._lock:
            self._requests.append(Request(method, path))


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


_Outcome = TypeVar("_Outcome")
_Failed: TypeAlias = Contended | Unanswered
Faults: TypeAlias = Mapping[int, Fault] | Callable[[int, Request], Fault | None]


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
        return self._written(
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
        return _FaultyUpload(inner, path, lambda: self._fault("finish_upload", path))

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        return self._written(
            "copy",
            path,
            lambda: self.inner.copy(source, path, when=when, source_when=source_when),
        )

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        return self._written(
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

    def _fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            number = self._count
            self._count += 1
        if isinstance(self._faults, Mapping):
            return self._faults.get(number)
        return self._faults(number, Request(method, path))

    def _written(self, method: str, path: str, act: Callable[[], _Outcome]) -> _Outcome | _Failed:
        return _after(self._fault(method, path), path, act)

    def _fail_read(self, method: str, path: str) -> None:
        fault = self._fault(method, path)
        if fault is not None:
            raise _unavailable(path, fault)

    def _carry_out(self, method: str, path: str, act: Callable[[], None]) -> None:
        fault = self._fault(method, path)
        if fault in (None, Fault.LOST_AFTER):
            act()
        if fault is not None:
            raise _unavailable(path, fault)


class _FaultyUpload:
    def __init__(self, inner: DriverUpload, path: str, fault: Callable[[], Fault | None]) -> None:
        self._inner = inner
        self._path = path
        self._fault = fault

    def write(self, data: Data) -> None:
        self._inner.write(data)

    def finish(self) -> WriteOutcome:
        return _after(self._fault(), self._path, self._inner.finish)

    def abort(self) -> None:
        self._inner.abort()


def _after(fault: Fault | None, path: str, act: Callable[[], _Outcome]) -> _Outcome | _Failed:
    """What a write comes to with a fault."""
    match fault:
        case None:
            return act()
        case Fault.CONFLICT_409:
            return Contended(ContendedCause.CONFLICT)
        case Fault.THROTTLED_429:
            return Contended(ContendedCause.THROTTLED)
        case Fault.LOST_AFTER:
            act()
            return Unanswered(_unavailable(path, fault))
        case Fault.LOST_BEFORE | Fault.ERROR_500:
            return Unanswered(_unavailable(path, fault))


def _unavailable(path: str, fault: Fault) -> StoreUnavailable:
    return StoreUnavailable(f"{path}: injected fault: {fault.value}", path=path)
