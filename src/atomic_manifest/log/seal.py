"""Checkpoint files in which damage shows, down to a single bit.

Parquet pages carry a checksum; the footer, which says what there is and where, does not. So the bytes
right before it hold one: `_MAGIC` and the CRC-32 of the footer, four bytes each. Readers find a footer from
the end of the file and columns by their offsets, so none of them ever looks at what lies between.

JSON lines are sealed by their last one, `{"atomicManifest":{"crc32":n}}`, over the lines before it; a JSON
object by its last member, over the text before that. Readers ignore actions and fields they do not know.
"""

import re
import zlib
from typing import Any

from atomic_manifest.store.driver import Data

_MAGIC = b"AMcs"
_END = b"PAR1"
_TAIL = 8  # the footer's length and the magic number
SEAL_BYTES = 8
"""What a seal adds to a Parquet file."""

_LAST_LINE = re.compile(rb'\{"atomicManifest":\{"crc32":(\d{1,10})\}\}\n?')
_LAST_MEMBER = re.compile(rb',"atomicManifest":\{"crc32":(\d{1,10})\}\}\n?')


class SealedSink:
    """A file for `pq.ParquetWriter` that seals the footer and passes everything on to another file.

    Args:
        sink: Takes the bytes.

    Attributes:
        closed: As of any file.
    """

    closed = False

    def __init__(self, sink: Any) -> None:
        self._sink = sink
        self._position = 0
        self._footer: bytearray | None = None

    def writable(self) -> bool:
        """Always true."""
        return True

    def readable(self) -> bool:
        """Always false."""
        return False

    def seekable(self) -> bool:
        """Always false."""
        return False

    def tell(self) -> int:
        """Bytes taken so far."""
        return self._position

    def flush(self) -> None:
        """Nothing is held back but the footer."""

    def write(self, data: Data) -> int:
        """Take bytes."""
        size = memoryview(data).nbytes
        if self._footer is None:
            self._sink.write(data)
        else:
            self._footer += data
        self._position += size
        return size

    def begin_footer(self) -> None:
        """From here on everything is the footer."""
        self._footer = bytearray()

    def finish(self) -> None:
        """Pass on the seal and the footer."""
        footer = bytes(self._footer or b"")
        self._sink.write(_seal(footer[:-_TAIL]))
        self._sink.write(footer)


def _seal(footer: bytes) -> bytes:
    return _MAGIC + zlib.crc32(footer).to_bytes(4, "little")


def footer_start(tail: bytes) -> int | None:
    """How far from the end of a Parquet file its footer starts; None if that is not its end.

    Args:
        tail: The file's last bytes, eight or more.
    """
    if len(tail) < _TAIL or not tail.endswith(_END):
        return None
    return int.from_bytes(tail[-_TAIL:-4], "little") + _TAIL


def check_footer(tail: bytes) -> None:
    """Check the seal of a footer, if there is one.

    Args:
        tail: The end of a file: the footer, and `SEAL_BYTES` or more before it.

    Raises:
        ValueError: The footer is not the one that was sealed, or there is none.
    """
    start = footer_start(tail)
    if start is None or start > len(tail):
        raise ValueError("no Parquet footer")
    footer, seal = tail[-start:-_TAIL], tail[-start - SEAL_BYTES : -start]
    if seal.startswith(_MAGIC) and seal != _seal(footer):
        raise ValueError("the footer's checksum is another")


def sealed_lines(lines: bytes, salt: int) -> bytes:
    """JSON lines with a last one that seals them.

    Args:
        lines: Each with its end.
        salt: A version, which is then sealed too.
    """
    return lines + b'{"atomicManifest":{"crc32":%d}}\n' % _salted(lines, salt)


def unsealed_lines(data: bytes, salt: int) -> bytes | None:
    """The lines that were sealed; None if they were not, or are not what they were."""
    start = data.rfind(b"\n", 0, len(data) - 1) + 1
    return _sealed_by(_LAST_LINE, data, start, salt)


def sealed_object(text: bytes, salt: int) -> bytes:
    """A JSON object, not empty, with a last member that seals it. Arguments as of `sealed_lines`."""
    body = text[:-1]
    return body + b',"atomicManifest":{"crc32":%d}}' % _salted(body, salt)


def is_sealed_object(data: bytes, salt: int) -> bool:
    """Whether a JSON object is one that was sealed, and is what it was."""
    start = data.rfind(b',"atomicManifest":')
    return _sealed_by(_LAST_MEMBER, data, start, salt) is not None


def _salted(data: bytes, salt: int) -> int:
    return zlib.crc32(data, zlib.crc32(str(salt).encode()))


def _sealed_by(pattern: re.Pattern[bytes], data: bytes, start: int, salt: int) -> bytes | None:
    match = pattern.fullmatch(data, max(start, 0))
    if match is None or int(match[1]) != _salted(data[:start], salt):
        return None
    return data[:start]
