"""A multipart upload through a client that runs on an event loop.

At most `max_in_flight` parts, and one that is being filled, are in memory. Nothing is sent before
there is more than one part; what stays below that goes as one
put, unless it has a condition, which services may honour at the end of an upload alone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from atomic_manifest.store.answers import CallFailed, can_hold, write_outcome
from atomic_manifest.store.conditions import Condition
from atomic_manifest.store.driver import Data, Refused, WriteOutcome, Written
from atomic_manifest.store.filesystem.calls import Calls, Parts, readable


class FilesystemUpload:
    """An upload in progress, on the filesystem's event loop. See `AsyncDriverUpload`.

    Args:
        calls: Of the bucket.
        path: The object's.
        key: The same in the bucket.
        put: Writes the object at once instead.
        reported: Turns what a call came to into errors.
        when: The condition.
        metadata: To go with it.
        part_size: Bytes of a part; rounded down to what the service takes.
        max_in_flight: Parts on their way at once.
    """

    def __init__(
        self,
        calls: Calls,
        path: str,
        key: str,
        put: Callable[[bytes], Awaitable[WriteOutcome]],
        *,
        reported: Callable[[], AbstractContextManager[None]],
        when: Condition | None,
        metadata: Mapping[str, str],
        part_size: int,
        max_in_flight: int,
    ) -> None:
        self._calls = calls
        self._path = path
        self._key = key
        self._put = put
        self._reported = reported
        self._when = when
        self._metadata = metadata
        multiple = calls.part_multiple
        self._part_size = max(part_size // multiple, 1) * multiple
        self._most = min(max_in_flight, calls.parts_at_once or max_in_flight)
        self._parts: Parts | None = None
        self._under_way: deque[asyncio.Task[Any]] = deque()
        self._sent: list[Any] = []
        self._buffer = bytearray()
        self._refused: Refused | None = None if can_hold(when) else Refused()

    async def write(self, data: Data) -> None:
        """See `AsyncDriverUpload.write`."""
        if self._refused is not None:
            return
        self._buffer += memoryview(data).cast("B")
        while len(self._buffer) > self._part_size and self._refused is None:
            part = bytes(self._buffer[: self._part_size])
            del self._buffer[: self._part_size]
            await self._send(part)

    async def flush(self) -> None:
        """Send what was written, so that `finish` only completes, where parts may have any size."""
        if self._calls.part_multiple == 1 and self._refused is None and self._buffer:
            part = bytes(self._buffer)
            self._buffer.clear()
            await self._send(part)
            while self._under_way:
                await self._settle_oldest()

    async def finish(self) -> WriteOutcome:
        """See `AsyncDriverUpload.finish`."""
        if self._refused is not None:
            return self._refused
        # A service may honour a condition at the end of an upload alone.
        in_parts = self._parts is None and self._when is not None and bool(self._buffer)
        if in_parts and (refused := await self._start()) is not None:
            return refused
        if self._parts is None:
            return await self._put(bytes(self._buffer))
        while self._under_way:
            await self._settle_oldest()
        try:
            meta = await readable(self._parts.complete(self._sent, bytes(self._buffer)))
        except CallFailed as failed:
            return write_outcome(self._calls.service, self._path, self._when, failed)
        self._parts = None
        return Written(replace(meta, path=self._path))

    async def abort(self) -> None:
        """See `AsyncDriverUpload.abort`."""
        self._buffer.clear()
        tasks = list(self._under_way)
        self._under_way.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        parts, self._parts = self._parts, None
        if parts is not None:
            with self._reported():
                await readable(parts.discard())

    async def _send(self, part: bytes) -> None:
        if self._parts is None:
            await self._start()
            if self._parts is None:
                return
        while len(self._under_way) >= self._most:
            await self._settle_oldest()
        number = len(self._sent) + len(self._under_way)
        self._under_way.append(asyncio.ensure_future(readable(self._parts.send(number, part))))

    async def _start(self) -> Refused | None:
        with self._reported():
            try:
                self._parts = await readable(
                    self._calls.start(self._key, self._when, self._metadata)
                )
            except CallFailed as failed:
                outcome = write_outcome(self._calls.service, self._path, self._when, failed)
                if not isinstance(outcome, Refused):
                    raise
                self._refused = outcome  # some services ask the condition now
                self._buffer.clear()
        return self._refused

    async def _settle_oldest(self) -> None:
        with self._reported():
            self._sent.append(await self._under_way[0])
        self._under_way.popleft()
