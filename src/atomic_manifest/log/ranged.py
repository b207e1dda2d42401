"""A stored object as a file that can be read from anywhere."""

import io

from atomic_manifest.store.object_store import ObjectStore


class RangedFile(io.RawIOBase):
    """A read-only file over an object; every read is one request for a range of bytes.

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
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the position on; all to the end if negative."""
        end = self._size if size < 0 else min(self._position + size, self._size)
        if end <= self._position:
            return b""
        data = self._store.get(self._path, range=(self._position, end)).data
        self._position += len(data)
        return data
