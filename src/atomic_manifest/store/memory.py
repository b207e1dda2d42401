"""The reference driver: objects in a dictionary, conditions evaluated exactly as RFC 9110 says.

Every request holds one lock for its whole length, so requests are linearizable. ETags are opaque
numbers from one counter: the same bytes written twice get two ETags. A listing is of one instant.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import NotFound, NotModified, UnsupportedByStore
from atomic_manifest.forks import lock
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Data,
    Deleted,
    DeleteOutcome,
    Object,
    ObjectMeta,
    Refused,
    WriteOutcome,
    Written,
    check_path,
)
from atomic_manifest.store.keys import check_metadata, check_range, check_start, folder


class MemoryDriver:
    """Objects in this process's memory, shared by all threads.

    Args:
        name: Only for messages: the URL is `memory://{name}`.
        env: Gives `last_modified`.
    """

    lists_in_order = True

    def __init__(self, name: str = "memory", *, env: Env = SYSTEM) -> None:
        self._url = f"memory://{name}"
        self._env = env
        self._lock = lock()
        self._objects: dict[str, Object] = {}
        self._tags = itertools.count(1)

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self._url

    def __repr__(self) -> str:
        return f"MemoryDriver({self._url!r})"

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        found = self._find(path, if_none_match)
        if range is None:
            return found
        start, end = check_range(path, range)
        check_start(path, start, len(found.data))
        return Object(found.data[start:end], found.meta)

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        return self._find(path, if_none_match).meta

    def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        check_path(path)
        check_metadata(path, metadata or {})
        body = bytes(data)
        with self._lock:
            current = self._etag(path)
            if not _holds(when, current):
                there = self._objects.get(path)
                return Refused(current, None if there is None else there.meta)
            return Written(self._store(path, body, metadata or {}))

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> "MemoryUpload":
        """See `Driver.start_upload`. The sizes are of no use here."""
        del part_size, max_in_flight
        check_metadata(path, metadata or {})
        return MemoryUpload(self, check_path(path), when, metadata)

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        check_path(source)
        check_path(path)
        with self._lock:
            found, current = self._objects.get(source), self._etag(path)
            if found is None:
                raise NotFound(f"{source} does not exist", path=source)
            if not _holds(source_when, found.meta.etag):
                return Refused(current)
            if not _holds(when, current):
                return Refused(current)
            return Written(self._store(path, found.data, found.meta.metadata))

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`. There are no versions."""
        check_path(path)
        if version is not None:
            raise UnsupportedByStore(f"{path}: this store keeps no versions", path=path)
        with self._lock:
            current = self._etag(path)
            if not _holds(when, current):
                return Refused(current)
            self._objects.pop(path, None)
        return Deleted()

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        for path in paths:
            self.delete(path)

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`."""
        below, after = folder(prefix), start_after or ""
        with self._lock:
            metas = [
                found.meta
                for path, found in self._objects.items()
                if path.startswith(below) and path > after
            ]
        return iter(sorted(metas, key=lambda meta: meta.path))

    def _find(self, path: str, if_none_match: ETag | None) -> Object:
        check_path(path)
        with self._lock:
            found = self._objects.get(path)
        if found is None:
            raise NotFound(f"{path} does not exist", path=path)
        if if_none_match is not None and found.meta.etag == if_none_match:
            raise NotModified(f"{path} has not changed", path=path)
        return found

    def _etag(self, path: str) -> ETag | None:
        current = self._objects.get(path)
        return None if current is None else current.meta.etag

    def _store(self, path: str, body: bytes, metadata: Mapping[str, str]) -> ObjectMeta:
        meta = ObjectMeta(
            path,
            len(body),
            ETag(f"{next(self._tags):x}"),
            datetime.fromtimestamp(self._env.now(), UTC),
            {key.lower(): value for key, value in metadata.items()},
        )
        self._objects[path] = Object(body, meta)
        return meta


def _holds(when: Condition | None, current: ETag | None) -> bool:
    if when is None:
        return True
    if isinstance(when, IfAbsent):
        return current is None
    return when.satisfied_by(current)


class MemoryUpload:
    """An upload kept aside until it is finished.

    Args:
        driver: Where to put the object.
        path: A checked path.
        when: Asked when it is finished.
        metadata: To keep with the object.
    """

    def __init__(
        self,
        driver: MemoryDriver,
        path: str,
        when: Condition | None,
        metadata: Mapping[str, str] | None,
    ) -> None:
        self._driver = driver
        self._path = path
        self._when = when
        self._metadata = metadata
        self._data = bytearray()

    def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        self._data += data

    def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`."""
        return self._driver.put(self._path, self._data, when=self._when, metadata=self._metadata)

    def abort(self) -> None:
        """See `DriverUpload.abort`."""
        self._data.clear()
