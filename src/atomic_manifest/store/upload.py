"""A writable file whose object appears whole, when it is closed, or not at all.

Up to one part is kept in memory and sent as one request when the file is closed; what is larger goes
out as a multipart upload while it is being written. Memory is bounded by the parts in flight.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from atomic_manifest.errors import StoreError
from atomic_manifest.store.driver import Data, DriverUpload, ObjectMeta
from atomic_manifest.store.writing import finished


class Upload:
    """An object in the making; what `pyarrow.PythonFile` and `pq.ParquetWriter` need of a file.

    As a context manager it closes on success and aborts on an exception. One that is neither closed
    nor aborted may leave parts behind in the bucket. Not to be shared between threads.

    Args:
        path: The object's path.
        part_size: Bytes of a part; every part but the last has exactly that many.
        put: Sends a small object whole.
        start: Begins a multipart upload.

    Attributes:
        meta: What the store said of the finished object; None until `close` returned. The ETag of a
            multipart upload may be missing.
    """

    def __init__(
        self,
        path: str,
        part_size: int,
        put: Callable[[Data], ObjectMeta],
        start: Callable[[], DriverUpload],
    ) -> None:
        self.meta: ObjectMeta | None = None
        self._path = path
        self._part_size = part_size
        self._put = put
        self._start = start
        self._parts: DriverUpload | None = None
        self._buffer = bytearray()
        self._position = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the upload has been closed or aborted."""
        return self._closed

    def readable(self) -> bool:
        """False."""
        return False

    def writable(self) -> bool:
        """True: `write` may be called, until the upload is closed."""
        return True

    def seekable(self) -> bool:
        """False."""
        return False

    def tell(self) -> int:
        """Bytes taken so far."""
        return self._position

    def flush(self) -> None:
        """Do nothing: a part leaves when it is full."""

    def write(self, data: Data) -> int:
        """Take the next bytes.

        Args:
            data: Bytes, or anything with the buffer protocol; may be reused after the call.

        Returns:
            How many bytes were taken: all.

        Raises:
            StoreError: If the upload is closed, or a part could not be sent.
        """
        if self._closed:
            raise StoreError(f"{self._path}: the upload is closed", path=self._path)
        view = memoryview(data).cast("B")
        for start in range(0, len(view), self._part_size):
            self._buffer += view[start : start + self._part_size]
            self._send_full_parts()
        self._position += len(view)
        return len(view)

    def close(self) -> None:
        """Make the object appear. Closing twice does nothing.

        Raises:
            StoreError: If it cannot; then nothing appeared and the parts are removed, except that
                after `StoreUnavailable` the object may yet have appeared.
        """
        if self._closed:
            return
        self._closed = True
        if self._parts is None:
            self.meta = self._put(self._buffer)
            return
        try:
            if self._buffer:
                self._parts.write(self._buffer)
            self.meta = finished(self._path, self._parts.finish())
        except BaseException:
            self._parts.abort()
            raise

    def abort(self) -> None:
        """Give up: nothing appears, and no part stays behind. Does nothing after `close`."""
        if self._closed:
            return
        self._closed = True
        self._buffer = bytearray()
        if self._parts is not None:
            self._parts.abort()

    def _send_full_parts(self) -> None:
        if len(self._buffer) < self._part_size:
            return
        if self._parts is None:
            self._parts = self._start()
        full, rest = self._buffer, self._buffer[self._part_size :]
        del full[self._part_size :]
        self._buffer = rest
        self._parts.write(full)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __repr__(self) -> str:
        return f"<Upload of {self._path!r}, {self._position} bytes>"
