"""A writable file whose object appears whole, when it is closed, or not at all.

What is sent when is said in `assembly`. Memory is bounded by the parts in flight.
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from atomic_manifest.store.driver import Data, ObjectMeta
from atomic_manifest.store.policy.calls import Steps

if TYPE_CHECKING:
    from atomic_manifest.store.policy.assembly import Assembly


class Upload:
    """An object in the making; what `pyarrow.PythonFile` and `pq.ParquetWriter` need of a file.

    As a context manager it closes on success and aborts on an exception. One that is neither closed
    nor aborted may leave parts behind in the bucket. Not to be shared between threads.

    Args:
        assembly: The object.
        perform: Performs its steps.

    Attributes:
        meta: What the store said of the finished object; None until `close` returned. The ETag of an
            unconditional multipart upload may be missing.
    """

    def __init__(self, assembly: "Assembly", perform: Callable[[Steps[Any]], Any]) -> None:
        self.meta: ObjectMeta | None = None
        self._assembly = assembly
        self._perform = perform

    @property
    def closed(self) -> bool:
        """Whether the upload has been closed or aborted."""
        return self._assembly.closed

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
        return self._assembly.position

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
        if not self._assembly.take(data):
            self._perform(self._assembly.send(data))
        return memoryview(data).nbytes

    def hand_over(self, data: Data) -> int:
        """As `write`, of bytes that do not change any more: whole parts of them are not copied."""
        if not self._assembly.take(data):
            self._perform(self._assembly.send(data, copy=False))
        return memoryview(data).nbytes

    def close(self) -> None:
        """Make the object appear. Closing twice does nothing.

        Raises:
            PreconditionFailed: If the condition did not hold at this instant.
            Conflict409: If another operation on the key was in flight. Nothing was written.
            WriteOutcomeUnknown: If there is a condition, the end went unanswered, and looking at the
                object does not tell whether it landed.
            StoreError: If it cannot; then nothing appeared and the parts are removed, except that
                after `StoreUnavailable` of an unconditional upload the object may have appeared.
        """
        if not self._assembly.closed:
            self.meta = self._perform(self._assembly.close())

    def abort(self) -> None:
        """Give up: nothing appears, and no part stays behind. Does nothing after `close`."""
        self._perform(self._assembly.abort())

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
        return f"<Upload of {self._assembly.path!r}, {self.tell()} bytes>"


class AsyncUpload:
    """An `Upload` whose methods that may send are coroutines. Not to be shared between tasks.

    Args:
        assembly: The object.
        perform: Performs its steps.

    Attributes:
        meta: See `Upload`.
    """

    def __init__(
        self, assembly: "Assembly", perform: Callable[[Steps[Any]], Awaitable[Any]]
    ) -> None:
        self.meta: ObjectMeta | None = None
        self._assembly = assembly
        self._perform = perform

    @property
    def closed(self) -> bool:
        """See `Upload.closed`."""
        return self._assembly.closed

    def tell(self) -> int:
        """See `Upload.tell`."""
        return self._assembly.position

    async def write(self, data: Data) -> int:
        """See `Upload.write`. `data` may be reused when it has returned."""
        if not self._assembly.take(data):
            await self._perform(self._assembly.send(data))
        return memoryview(data).nbytes

    async def close(self) -> None:
        """See `Upload.close`."""
        if not self._assembly.closed:
            self.meta = await self._perform(self._assembly.close())

    async def abort(self) -> None:
        """See `Upload.abort`."""
        await self._perform(self._assembly.abort())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            await self.abort()

    def __repr__(self) -> str:
        return f"<AsyncUpload of {self._assembly.path!r}, {self.tell()} bytes>"
