"""Bodies that are not in memory: read into it if they are small, streamed if they are not.

Reading is a `Call`: an asynchronous store wraps a source in `InThread`, or reads an asynchronous
iterable (`AsyncChunks`). What can be sent again is said in `bodies`.
"""

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Protocol

from atomic_manifest.errors import InvalidRequest
from atomic_manifest.store.policy.bodies import IN_MEMORY, Body, ReadInThread
from atomic_manifest.store.policy.calls import Call, Steps


class Source(Protocol):
    """Bytes to be read in order; the methods may be coroutines.

    Attributes:
        rewindable: Whether they can be read again.
        size: How many there are, if `fits` could find out.
    """

    rewindable: bool
    size: int | None

    def rewind(self) -> Any:
        """Go back to the first byte."""
        ...

    def fits(self, size: int) -> Any:
        """Whether no more than `size` bytes are left; loses none of them."""
        ...

    def read(self, size: int) -> Any:
        """Give the next `size` bytes, fewer only at the end."""
        ...


def prepare(
    path: str, given: Any, threshold: int, in_thread: ReadInThread | None = None
) -> Steps[Body]:
    """Look at a body, and read it if it is small.

    Args:
        path: For messages.
        given: What the caller passed.
        threshold: Bytes; larger bodies are not read into memory.
        in_thread: Runs blocking reads elsewhere; None reads in place.

    Raises:
        InvalidRequest: If `given` is no body.
    """
    source = _source(path, given, in_thread)
    if isinstance(source, memoryview):
        return Body(source, None, rewindable=True, size=source.nbytes, in_thread=in_thread)
    if (yield Call("fits", (threshold,), on=source)):
        data = yield Call("read", (threshold,), on=source)
        return Body(data, None, source.rewindable, len(data), in_thread)
    return Body(None, source, source.rewindable, source.size, in_thread)


def _source(path: str, given: Any, in_thread: ReadInThread | None) -> Any:
    """What to read `given` from; a memoryview if it is in memory after all."""
    if isinstance(given, str):
        raise InvalidRequest(f"{path}: a body is bytes, not text", path=path)
    try:
        return memoryview(given).cast("B")
    except TypeError:
        pass
    source: Source
    if hasattr(given, "read"):
        source = File(path, given)
    elif in_thread is not None and isinstance(given, AsyncIterable):
        return AsyncChunks(path, aiter(given))
    elif isinstance(given, Iterable):
        source = Chunks(path, iter(given))
    else:
        raise InvalidRequest(
            f"{path}: a body is bytes, a binary file or an iterable of bytes,"
            f" not {type(given).__name__}",
            path=path,
        )
    return source if in_thread is None else InThread(source, in_thread)


class File:
    """A binary file, read from where it stands.

    Args:
        path: Of the object, for messages.
        file: Rewound for each attempt, if it can be.
    """

    def __init__(self, path: str, file: Any) -> None:
        self._path = path
        self._file = file
        seekable = getattr(file, "seekable", None)
        self.rewindable = bool(seekable is not None and seekable())
        self.size: int | None = None
        self._start = file.tell() if self.rewindable else 0
        self._ahead = b""

    def rewind(self) -> None:
        """See `Source.rewind`."""
        self._file.seek(self._start)

    def fits(self, size: int) -> bool:
        """See `Source.fits`."""
        if self.rewindable:
            self.size = max(0, int(self._file.seek(0, os.SEEK_END)) - self._start)
            self.rewind()
            return self.size <= size
        self._ahead = self._read(size + 1)
        return len(self._ahead) <= size

    def read(self, size: int) -> bytes:
        """See `Source.read`."""
        ahead, self._ahead = self._ahead[:size], self._ahead[size:]
        return ahead + self._read(size - len(ahead))

    def _read(self, size: int) -> bytes:
        pieces = []
        while size > 0 and (piece := self._file.read(size)):
            pieces.append(_piece(self._path, piece))
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Buffer:
    """Pieces of any size, given out in others."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._held = bytearray()

    def take(self, piece: Any) -> None:
        self._held += _piece(self._path, piece)

    def holds(self, size: int) -> bool:
        return len(self._held) >= size

    def give(self, size: int) -> bytearray:
        given = self._held[:size]
        del self._held[:size]
        return given


class Chunks:
    """An iterator of bytes. It can be read once.

    Args:
        path: Of the object, for messages.
        chunks: Of any sizes.
    """

    rewindable = False
    size: int | None = None

    def __init__(self, path: str, chunks: Iterator[Any]) -> None:
        self._chunks = chunks
        self._buffer = _Buffer(path)

    def rewind(self) -> None:
        """See `Source.rewind`. Never asked for."""
        raise NotImplementedError

    def fits(self, size: int) -> bool:
        """See `Source.fits`."""
        self._fill(size + 1)
        return not self._buffer.holds(size + 1)

    def read(self, size: int) -> bytearray:
        """See `Source.read`."""
        self._fill(size)
        return self._buffer.give(size)

    def _fill(self, size: int) -> None:
        while not self._buffer.holds(size):
            try:
                piece = next(self._chunks)
            except StopIteration:
                return
            self._buffer.take(piece)


class AsyncChunks:
    """An asynchronous iterator of bytes. It can be read once.

    Args:
        path: Of the object, for messages.
        chunks: Of any sizes.
    """

    rewindable = False
    size: int | None = None

    def __init__(self, path: str, chunks: AsyncIterator[Any]) -> None:
        self._chunks = chunks
        self._buffer = _Buffer(path)

    def rewind(self) -> None:
        """See `Source.rewind`. Never asked for."""
        raise NotImplementedError

    async def fits(self, size: int) -> bool:
        """See `Source.fits`."""
        await self._fill(size + 1)
        return not self._buffer.holds(size + 1)

    async def read(self, size: int) -> bytearray:
        """See `Source.read`."""
        await self._fill(size)
        return self._buffer.give(size)

    async def _fill(self, size: int) -> None:
        while not self._buffer.holds(size):
            try:
                piece = await anext(self._chunks)
            except StopAsyncIteration:
                return
            self._buffer.take(piece)


class InThread:
    """A blocking source whose reads do not block the event loop.

    Args:
        source: Reads.
        in_thread: See `ReadInThread`.
    """

    def __init__(self, source: Source, in_thread: ReadInThread) -> None:
        self._source = source
        self._in_thread = in_thread
        self.rewindable = source.rewindable

    @property
    def size(self) -> int | None:
        """See `Source`."""
        return self._source.size

    def rewind(self) -> Any:
        """See `Source.rewind`."""
        return self._in_thread(self._source.rewind)

    def fits(self, size: int) -> Any:
        """See `Source.fits`."""
        return self._in_thread(self._source.fits, size)

    def read(self, size: int) -> Any:
        """See `Source.read`."""
        return self._in_thread(self._source.read, size)


def _piece(path: str, piece: Any) -> Any:
    """Return a piece of a body, if it is one of bytes."""
    if isinstance(piece, str):
        raise InvalidRequest(f"{path}: a body is bytes, not text; open it as binary", path=path)
    try:
        return piece if isinstance(piece, IN_MEMORY) else memoryview(piece).cast("B")
    except TypeError as error:
        raise InvalidRequest(
            f"{path}: a body is made of bytes, not of {type(piece).__name__}", path=path
        ) from error
