"""A driver around a driver that records what is asked."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import (
    Data,
    DeleteOutcome,
    Driver,
    DriverUpload,
    Object,
    ObjectMeta,
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
