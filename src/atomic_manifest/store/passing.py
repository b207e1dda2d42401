"""A driver around a driver, for those that change, count or fail some of the requests.

Invariants: every request goes through `around`, and a put on condition of `IfAbsent` through `create`
too; what is not overridden reaches the inner driver as it came.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Data,
    DeleteOutcome,
    Driver,
    DriverUpload,
    Object,
    ObjectMeta,
    WriteOutcome,
)
from atomic_manifest.store.keys import keeps_metadata, lists_in_order

_Answer = TypeVar("_Answer")


class PassingDriver:
    """Passes every request on to another driver.

    Args:
        inner: The driver that does the work.
    """

    def __init__(self, inner: Driver) -> None:
        self.inner = inner

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self.inner.url

    @property
    def keeps_metadata(self) -> bool:
        """As of the inner driver."""
        return keeps_metadata(self.inner)

    @property
    def lists_in_order(self) -> bool | None:
        """As of the inner driver; not known of a class that lists in its own way."""
        return lists_in_order(self.inner) if type(self).list is PassingDriver.list else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"

    def around(
        self,
        method: str,  # noqa: ARG002 - for subclasses
        path: str,  # noqa: ARG002 - for subclasses
        act: Callable[[], _Answer],
    ) -> _Answer:
        """Make one request.

        Args:
            method: The driver's method.
            path: Its path; the prefix of a listing, the first path of `delete_many`.
            act: Asks the inner driver.
        """
        return act()

    def create(self, path: str, data: Data, metadata: Mapping[str, str] | None) -> WriteOutcome:
        """A put on condition of `IfAbsent`."""
        return self.inner.put(path, data, when=IfAbsent(), metadata=metadata)

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        return self.around(
            "get", path, lambda: self.inner.get(path, range=range, if_none_match=if_none_match)
        )

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        return self.around("head", path, lambda: self.inner.head(path, if_none_match=if_none_match))

    def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        if isinstance(when, IfAbsent):
            return self.around("put", path, lambda: self.create(path, data, metadata))
        return self.around(
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
        """See `Driver.start_upload`. What the upload then sends does not pass here."""
        return self.around(
            "start_upload",
            path,
            lambda: self.inner.start_upload(
                path,
                part_size=part_size,
                max_in_flight=max_in_flight,
                when=when,
                metadata=metadata,
            ),
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
        return self.around(
            "copy",
            path,
            lambda: self.inner.copy(source, path, when=when, source_when=source_when),
        )

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        return self.around(
            "delete", path, lambda: self.inner.delete(path, when=when, version=version)
        )

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`. One request, however many paths there are."""
        given = [*paths]
        first = given[0] if given else ""
        self.around("delete_many", first, lambda: self.inner.delete_many(given))

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`. One request, however many pages there are."""
        return self.around("list", prefix, lambda: self.inner.list(prefix, start_after=start_after))
