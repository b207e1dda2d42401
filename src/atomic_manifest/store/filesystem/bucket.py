"""The methods of a driver over a `Calls`, as coroutines of the filesystem's event loop.

Here paths become keys, conditions are checked, and what a call came to becomes an outcome or an error.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from atomic_manifest.errors import InvalidPath, NotModified, StoreUnavailable
from atomic_manifest.store.answers import CallFailed, can_hold, failed_request, write_outcome
from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import (
    Contended,
    Data,
    Deleted,
    DeleteOutcome,
    Object,
    ObjectMeta,
    Refused,
    Unanswered,
    WriteOutcome,
    Written,
    check_path,
)
from atomic_manifest.store.filesystem.calls import Calls, NotAsked, Page, readable
from atomic_manifest.store.filesystem.upload import FilesystemUpload
from atomic_manifest.store.keys import check_metadata, check_range, check_start, folder


class FilesystemBucket:
    """A folder of a bucket. The methods are those of `AsyncDriver`.

    Args:
        calls: Of the bucket.
        prefix: The folder; empty for the whole bucket.
    """

    def __init__(self, calls: Calls, prefix: str) -> None:
        self._calls = calls
        self._root = folder(prefix)

    async def endpoint(self) -> str | None:
        """See `Calls.endpoint`."""
        with self._reported(""):
            return await readable(self._calls.endpoint())

    async def get(
        self, path: str, *, range: tuple[int, int] | None, if_none_match: ETag | None
    ) -> Object:
        """See `Driver.get`."""
        key = self._key(path)
        asked = None if range is None else check_range(path, range)
        with self._reported(path):
            found = await readable(self._calls.get(key, asked, if_none_match))
        start, end = asked or (0, found.meta.size)
        if asked is not None:
            check_start(path, start, found.meta.size)  # Azure's client gives nothing
        if len(found.data) != min(end, found.meta.size) - start:
            raise StoreUnavailable(f"{path}: the answer broke off", path=path)
        return Object(found.data, replace(found.meta, path=path))

    async def head(self, path: str, *, if_none_match: ETag | None) -> ObjectMeta:
        """See `Driver.head`."""
        key = self._key(path)
        with self._reported(path):
            meta = await readable(self._calls.head(key, if_none_match))
        if if_none_match is not None and meta.etag == if_none_match:
            raise NotModified(f"{path} has not changed", path=path)
        return replace(meta, path=path)

    async def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None,
        metadata: Mapping[str, str] | None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        key, kept = self._key(path), metadata or {}
        check_metadata(path, kept)
        return await self._written(path, when, lambda: self._calls.put(key, data, when, kept))

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None,
        metadata: Mapping[str, str] | None,
    ) -> FilesystemUpload:
        """See `Driver.start_upload`. Sends nothing."""
        kept = metadata or {}
        check_metadata(path, kept)
        return FilesystemUpload(
            self._calls,
            path,
            self._key(path),
            lambda data: self.put(path, data, when=when, metadata=kept),
            reported=lambda: self._reported(path),
            when=when,
            metadata=kept,
            part_size=part_size,
            max_in_flight=max_in_flight,
        )

    async def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None,
        source_when: IfMatch | None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        origin, key = self._key(source), self._key(path)
        if not can_hold(source_when):
            return Refused()
        return await self._written(
            path, when, lambda: self._calls.copy(origin, key, when, source_when)
        )

    async def delete(
        self, path: str, *, when: IfMatch | None, version: str | None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        key = self._key(path)
        if not can_hold(when):
            return Refused()
        with self._asked(path):
            try:
                await readable(self._calls.delete(key, when, version))
            except CallFailed as failed:
                if when is None and version is None and failed.is_of_missing:
                    return Deleted()
                failure = failed
            else:
                return Deleted()
        return self._outcome(path, when, failure)

    async def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        named = list(paths)
        keys = [self._key(path) for path in named]
        if not named:
            return
        with self._asked(named[0]):
            try:
                await readable(self._calls.delete_many(keys))
            except CallFailed as failed:
                path = named[0] if failed.key is None else failed.key[len(self._root) :]
                error = failed_request(self._calls.service, path, failed)
            else:
                return
        raise error

    async def page(self, prefix: str, start_after: str | None, token: str | None) -> Page:
        """One page of `Driver.list`, from the one before on; the first for an empty token."""
        below = self._root + folder(prefix)
        after = self._root + start_after if start_after else ""
        with self._reported(prefix):
            found, token = await readable(self._calls.page(below, after, token))
        cut = len(self._root)
        named = [replace(meta, path=meta.path[cut:]) for meta in found if meta.path > after]
        return [meta for meta in named if _is_usable(meta.path)], token

    async def _written(
        self, path: str, when: Condition | None, write: Callable[[], Awaitable[ObjectMeta]]
    ) -> WriteOutcome:
        if not can_hold(when):
            return Refused()
        with self._asked(path):
            try:
                meta = await readable(write())
            except CallFailed as failed:
                failure = failed
            else:
                return Written(replace(meta, path=path))
        return self._outcome(path, when, failure)

    def _outcome(
        self, path: str, when: Condition | None, failed: CallFailed
    ) -> Refused | Contended | Unanswered:
        return write_outcome(self._calls.service, path, when, failed)

    def _key(self, path: str) -> str:
        return self._root + check_path(path)

    @contextmanager
    def _asked(self, path: str) -> Iterator[None]:
        """Say of which path it is that something could not be asked."""
        try:
            yield
        except NotAsked as error:
            refused = error.kind(f"{path or 'the root'}: {error.text}", path=path)
        else:
            return
        raise refused

    @contextmanager
    def _reported(self, path: str) -> Iterator[None]:
        """Turn what a call came to into this library's errors."""
        with self._asked(path):
            try:
                yield
            except CallFailed as failed:
                error = failed_request(self._calls.service, path, failed)
            else:
                return
        raise error


def _is_usable(path: str) -> bool:
    """False for what some tools leave to stand for a folder, and other keys that are no paths."""
    try:
        check_path(path)
    except InvalidPath:
        return False
    return True
