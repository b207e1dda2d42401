"""What an asynchronous driver is: the methods of `Driver` as coroutines.

Everything `store.driver` says of outcomes and errors holds here word for word. Cancelling a coroutine
of a write leaves open whether the write landed, as `Unanswered` does.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Protocol

from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import Data, DeleteOutcome, Object, ObjectMeta, WriteOutcome


class AsyncDriverUpload(Protocol):
    """A `DriverUpload` whose methods are coroutines."""

    async def write(self, data: Data) -> None:
        """See `DriverUpload.write`. `data` is not changed before the upload is over."""
        ...

    async def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`."""
        ...

    async def abort(self) -> None:
        """See `DriverUpload.abort`."""
        ...


class AsyncDriver(Protocol):
    """A `Driver` whose methods are coroutines; `list` is an asynchronous iterator."""

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        ...

    async def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        ...

    async def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        ...

    async def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        ...

    async def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> AsyncDriverUpload:
        """See `Driver.start_upload`."""
        ...

    async def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        ...

    async def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        ...

    async def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        ...

    def list(
        self, prefix: str = "", *, start_after: str | None = None
    ) -> AsyncIterator[ObjectMeta]:
        """See `Driver.list`."""
        ...

    async def close(self) -> None:
        """Let go of connections and threads. Safe to call twice; nothing may be asked afterwards."""
        ...
