"""Files of the log in which damage shows, down to a single bit, and so does a file under another's name.

Parquet pages carry a checksum; the footer, which says what there is and where, and the headers of the
pages do not. So the bytes right before the footer hold `_MAGIC`, the CRC-32 of the footer and that of all
that comes before, four bytes each. Readers find a footer from the end of the file and columns by their
offsets, so none of them ever looks at what lies between.

JSON lines are sealed by their last one, `{"atomicManifest":{"crc32":n}}`, over the lines before it; a JSON
object by its last member, over the text before that; an entry by the last member of its `commitInfo`,
over all the rest of it. Readers ignore actions and fields they do not know.

Every seal is over the file's name too. What carries none, of another engine, is taken as it is.
"""

import re
import zlib
from typing import Any

import msgspec

_MAGIC = b"AMcs"
_END = b"PAR1"
_TAIL = 8  # the footer's length and the magic number
SEAL_BYTES = 12
"""What a seal adds to a Parquet file."""

_LAST_LINE = re.compile(rb'\{"atomicManifest":\{"crc32":(\d{1,10})\}\}\n?')
_LAST_MEMBER = re.compile(rb',"atomicManifest":\{"crc32":(\d{1,10})\}\}\n?')

ENTRY_SEAL = "atomicManifestCrc32"
"""The member of `commitInfo` that seals an entry."""

_ENTRY_MEMBER = re.compile(rb',"atomicManifestCrc32":(\d{1,10})\}\}')


class SealedSink:
    """A file for `pq.ParquetWriter` that seals the footer and passes everything on to another file.

    Args:
        sink: Takes the bytes.
        name: The file's.

    Attributes:
        closed: As of any file.
    """

    closed = False

    def __init__(self, sink: Any, name: str) -> None:
        self._sink = sink
        self._name = name
        self._body_crc = 0
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

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take bytes."""
        size = memoryview(data).nbytes
        if self._footer is None:
            self._body_crc = zlib.crc32(data, self._body_crc)
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
        crc = _salted(footer[:-_TAIL], self._name)
        self._sink.write(_MAGIC + _four_bytes(crc) + _four_bytes(self._body_crc))
        self._sink.write(footer)


def _four_bytes(crc: int) -> bytes:
    return crc.to_bytes(4, "little")


def footer_start(tail: bytes) -> int | None:
    """How far from the end of a Parquet file its footer starts; None if that is not its end.

    Args:
        tail: The file's last bytes, eight or more.
    """
    if len(tail) < _TAIL or not tail.endswith(_END):
        return None
    return int.from_bytes(tail[-_TAIL:-4], "little") + _TAIL


def check_footer(tail: bytes, name: str) -> bool:
    """Check the seal of a footer, if there is one.

    Args:
        tail: The end of a file: the footer, and `SEAL_BYTES` or more before it.
        name: The file's.

    Returns:
        Whether there is one.

    Raises:
        ValueError: The footer is not the one that was sealed, or there is none.
    """
    start = footer_start(tail)
    if start is None or start > len(tail):
        raise ValueError("no Parquet footer")
    seal = tail[-start - SEAL_BYTES : -start]
    if seal.startswith(_MAGIC):
        if seal[4:8] != _four_bytes(_salted(tail[-start:-_TAIL], name)):
            raise ValueError("the footer's checksum is another")
        return True
    moved = tail.rfind(_MAGIC)
    if moved >= 0 and tail[moved + 4 : moved + 8] == _four_bytes(
        _salted(tail[moved + SEAL_BYTES : -_TAIL], name)
    ):
        raise ValueError("the footer has another length")
    return False


def check_file(data: bytes, name: str) -> bool:
    """As `check_footer`, of a whole file, all of which is checked."""
    if not check_footer(data, name):
        return False
    end = len(data) - (footer_start(data) or 0) - SEAL_BYTES
    if data[end + 8 : end + SEAL_BYTES] != _four_bytes(zlib.crc32(memoryview(data)[:end])):
        raise ValueError("the file's checksum is another")
    return True


def sealed_entry(data: bytes, name: str) -> bytes:
    """An entry, the first action of which is its `commitInfo`, with a seal in that.

    Args:
        data: As `entry.encode` gives it.
        name: The file's.
    """
    first, _, rest = data.partition(b"\n")
    member = b',"%b":%d}}\n' % (ENTRY_SEAL.encode(), _salted(data, name))
    return first[:-2] + member + rest


def check_entry(data: bytes, name: str) -> bool:
    """Check the seal of an entry, if it has one.

    Returns:
        Whether it has.

    Raises:
        ValueError: The entry is not the one that was sealed, or is another kind of file.
    """
    if _LAST_LINE.fullmatch(data, data.rfind(b"\n", 0, len(data) - 1) + 1):
        raise ValueError("it is a compacted entry")
    end = data.find(b"\n")
    start = data.rfind(b',"' + ENTRY_SEAL.encode(), 0, max(end, 0))
    match = _ENTRY_MEMBER.fullmatch(data, start, end) if start >= 0 else None
    if match is None:
        return False
    if int(match[1]) != _salted(data[:start] + b"}}" + data[end:], name):
        raise ValueError("the entry's checksum is another")
    return True


def sealed_lines(lines: bytes, name: str) -> bytes:
    """JSON lines with a last one that seals them.

    Args:
        lines: Each with its end.
        name: The file's.
    """
    return lines + b'{"atomicManifest":{"crc32":%d}}\n' % _salted(lines, name)


def unsealed_lines(data: bytes, name: str) -> bytes | None:
    """The lines that were sealed; None if they were not, or are not what they were."""
    start = data.rfind(b"\n", 0, len(data) - 1) + 1
    return _sealed_by(_LAST_LINE, data, start, name)


def sealed_object(text: bytes, name: str) -> bytes:
    """A JSON object, not empty, with a last member that seals it. Arguments as of `sealed_lines`."""
    body = text[:-1]
    return body + b',"atomicManifest":{"crc32":%d}}' % _salted(body, name)


def is_sealed_object(data: bytes, name: str) -> bool:
    """Whether a JSON object is one that was sealed, and is what it was."""
    start = data.rfind(b',"atomicManifest":')
    return _sealed_by(_LAST_MEMBER, data, start, name) is not None


def has_no_seal(data: bytes) -> bool:
    """Whether JSON, of one line or several, is whole and was never sealed: another engine's."""
    if b'"atomicManifest"' in data:
        return False
    try:
        msgspec.json.Decoder(dict[str, msgspec.Raw]).decode_lines(data)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _salted(data: bytes, name: str) -> int:
    return zlib.crc32(data, zlib.crc32(name.encode()))


def _sealed_by(pattern: re.Pattern[bytes], data: bytes, start: int, name: str) -> bytes | None:
    match = pattern.fullmatch(data, max(start, 0))
    if match is None or int(match[1]) != _salted(data[:start], name):
        return None
    return data[:start]
