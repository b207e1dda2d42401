"""A driver around a driver that records what is asked."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from atomic_manifest.store.driver import Driver
from atomic_manifest.store.passing import PassingDriver

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a driver.

    Attributes:
        method: The driver's method, or `finish_upload`.
        path: Its path; the prefix of a listing, the first path of `delete_many`.
    """

    method: str
    path: str


class CountingDriver(PassingDriver):
    """Records every request, then passes it on. Safe to share between threads.

    Args:
        inner: The driver that does the work.
    """

    def __init__(self, inner: Driver) -> None:
        super().__init__(inner)
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

    def around(self, method: str, path: str, act: Callable[[], _Answer]) -> _Answer:
        """See `PassingDriver.around`."""
        self._record(method, path)
        return act()

    def _record(self, method: str, path: str) -> None:
        with self._lock:
            self._requests.append(Request(method, path))
