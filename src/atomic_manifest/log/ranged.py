"""A stored object as a file that can be read from anywhere."""

import io
from collections.abc import Iterable
from typing import Any, TypeAlias

from atomic_manifest.errors import NotFound, StoreError
from atomic_manifest.store.conditions import ETag
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.threads import in_parallel

Range: TypeAlias = tuple[int, int]
"""Bytes from the first position up to the second, without it."""

_READERS = 8
_HOLE = 256 * 1024  # reading so many bytes in vain costs less than another request
_PIECE = 8 * 1024 * 1024


class RangedFile(io.RawIOBase):
    """A read-only file over an object; a read is one request, unless it was prefetched.

    Not to be shared between threads.

    Args:
        store: Where the object is.
        path: The object.
        size: Its bytes.
    """

    def __init__(self, store: ObjectStore, path: str, size: int) -> None:
        self._store = store
        self._path = path
        self._size = size
        self._position = 0
        self._etag: ETag | None = None
        self._held: list[tuple[int, bytes]] = []

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position; see `io.IOBase.seek`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes from the position on; all to the end if negative or None.

        Raises:
            OSError: The object was replaced since the first read, or is shorter than it should be.
        """
        whole = size is None or size < 0
        end = self._size if whole else min(self._position + (size or 0), self._size)
        if end <= self._position:
            return b""
        data = self._bytes(self._position, end)
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase.readinto`."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def prefetch(self, ranges: Iterable[Range]) -> None:
        """Read ranges in parallel, and hold them until the next call.

        Raises:
            OSError: As of `read`.
        """
        pieces = list(_pieces(_joined(ranges)))
        fetched = in_parallel("read", self._fetch, pieces, _READERS)
        self._held = [(start, data) for (start, _), data in zip(pieces, fetched, strict=True)]

    def release(self) -> None:
        """Let go of what was prefetched."""
        self._held = []

    def _bytes(self, start: int, end: int) -> bytes:
        """Those of a range within the object that is not empty."""
        return self._from_held(start, end) or self._fetch((start, end))

    def _from_held(self, start: int, end: int) -> bytes:
        found = b""
        for begin, data in self._held:
            if begin <= start < begin + len(data):
                found += data[start - begin : end - begin]
                start = begin + len(data)
                if start >= end:
                    return found
        return b""

    def _fetch(self, part: Range) -> bytes:
        start, end = part
        try:
            found = self._store.get(self._path, range=part)
        except NotFound:
            raise
        except StoreError as error:
            if self._store.head(self._path).size > start:
                raise
            raise OSError(f"{self._path} ends before byte {start}") from error
        if self._etag is None:
            self._etag = found.meta.etag
        if found.meta.etag != self._etag:
            raise OSError(f"{self._path} was replaced while it was being read")
        if len(found.data) < end - start:
            raise OSError(f"{self._path} ends before byte {end}")
        return found.data


def _joined(ranges: Iterable[Range]) -> list[Range]:
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1] + _HOLE:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _pieces(ranges: Iterable[Range]) -> Iterable[Range]:
    for start, end in ranges:
        for begin in range(start, end, _PIECE):
            yield begin, min(begin + _PIECE, end)
