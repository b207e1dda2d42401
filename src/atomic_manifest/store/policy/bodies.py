"""What `put` takes for a body, and whether it can be sent again.

| given | sent again after a failure |
| --- | --- |
| bytes, or anything with the buffer protocol | yes |
| a seekable binary file, from where it stands | yes: rewound to there |
| any other binary file, an iterable of bytes | never: one attempt |

What is in memory is sent from there; how the rest is read is said in `sources`.
"""

from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

from atomic_manifest.store.driver import Data

BodyData: TypeAlias = Data | BinaryIO | Iterable[Data]
"""What `ObjectStore.put` takes; other objects with the buffer protocol too."""

AsyncBodyData: TypeAlias = BodyData | AsyncIterable[Data]
"""What `AsyncObjectStore.put` takes."""

ReadInThread: TypeAlias = Callable[..., Any]
"""Given a method and its arguments, returns an awaitable of what it returns."""

IN_MEMORY = (bytes, bytearray, memoryview)
"""What is a body as it is."""

PART_SIZE = 8 * 1024 * 1024
"""Bytes of a part of a multipart upload, unless told otherwise."""


@dataclass(slots=True)
class Body:
    """A body ready to be sent.

    Attributes:
        data: All of it, if it is in memory.
        source: What to read it from otherwise.
        rewindable: Whether it can be sent more than once.
        size: Bytes, where known before it is sent.
        in_thread: See `ReadInThread`; for long computations on it too.
    """

    data: Data | None
    source: Any
    rewindable: bool
    size: int | None
    in_thread: "ReadInThread | None" = None


def in_memory(given: Any, in_thread: ReadInThread | None) -> Body | None:
    """The body of what is bytes already; None for anything else.

    It spares the most common write a generator.
    """
    if not isinstance(given, IN_MEMORY):
        return None
    size = len(given) if isinstance(given, bytes) else memoryview(given).nbytes
    return Body(given, None, rewindable=True, size=size, in_thread=in_thread)
