"""Deletion vectors: which rows of a data file are deleted (protocol, "Deletion Vectors").

Invariants: a vector is read whole and checked in every way the protocol gives (version of the file,
length, checksum, magic number, cardinality), or it is an error: a vector is never passed over, and
never taken for another. Rows are positions in the physical file, counted from zero.

Besides the protocol's serialization (magic number 1681511377) the one before it is read
(1681511376: a count and, each with its length, the 32-bit bitmaps), in either byte order: the
protocol's own example of an inline vector is in that form.

Error semantics: `CorruptLog` naming the vector, and its file where it has one, for all of: a file that
is missing or not where the table is, text that is not Base85, bytes that fail a check.
"""

import struct
import zlib
from array import array
from collections.abc import Iterator
from functools import lru_cache
from typing import NoReturn
from urllib.parse import unquote
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from pyroaring import BitMap, BitMap64

from atomic_manifest.errors import CorruptLog, InvalidPath, NotFound, StoreError
from atomic_manifest.log.actions import DeletionVector
from atomic_manifest.store.object_store import ObjectStore

_FILE_VERSION = 1
_FRAME = 8
"""Bytes around a vector's data in a file: its length before, its checksum after it."""

_PORTABLE = 1681511377
_NATIVE = 1681511376
_UUID_TEXT = 20
_NEAR = 64 << 10
"""Up to here one request reads from the file's first byte, its version, to the vector."""

_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_DIGITS = {character: digit for digit, character in enumerate(_Z85)}
_DAMAGED = (ValueError, IndexError, OverflowError, MemoryError, struct.error)


class DeletedRows:
    """The deleted rows of one file.

    Args:
        positions: Ascending.
    """

    def __init__(self, positions: "array[int]") -> None:
        self._array = pa.Array.from_buffers(
            pa.uint64(), len(positions), [None, pa.py_buffer(positions)]
        )

    def __len__(self) -> int:
        return len(self._array)

    @property
    def last(self) -> int:
        """The greatest position; -1 if there is none."""
        return int(self._array[-1].as_py()) if len(self._array) else -1

    def kept(self, start: int, rows: int) -> pa.Array | None:
        """A mask over the rows `start` to `start + rows` of the file, true for those that remain.

        Returns:
            None if all of them remain.
        """
        begin, end = self._count_below(start), self._count_below(start + rows)
        if begin == end:
            return None
        numbers = pc.add(_numbers(rows), pa.scalar(start, pa.uint64()))
        return pc.invert(pc.is_in(numbers, value_set=self._array.slice(begin, end - begin)))

    def _count_below(self, position: int) -> int:
        low, high = 0, len(self._array)
        while low < high:
            middle = (low + high) // 2
            if self._array[middle].as_py() < position:
                low = middle + 1
            else:
                high = middle
        return low


@lru_cache(maxsize=4)
def _numbers(rows: int) -> pa.Array:
    return pa.array(range(rows), pa.uint64())


def read_deleted_rows(store: ObjectStore, vector: DeletionVector) -> DeletedRows:
    """Read a vector.

    Args:
        store: Rooted at the table.
        vector: As the file's `add` describes it.

    Raises:
        CorruptLog: See the module docstring.
        StoreError: The store failed.
    """
    if vector.storage_type == "i":
        data = _base85(vector.path_or_inline_dv, vector)
        if len(data) != vector.size_in_bytes:
            # Base85 stands for whole words: an encoder may have had to fill up the last one.
            data = _trimmed(data, vector)
    else:
        data = _from_file(store, vector_path(store, vector), vector)
    return DeletedRows(_positions(data, vector))


def vector_path(store: ObjectStore, vector: DeletionVector) -> str:
    """The path, relative to the table's root, of the file that a vector is in.

    Raises:
        CorruptLog: The vector names a place outside of the table, or none at all.
    """
    text = vector.path_or_inline_dv
    if vector.storage_type == "u":
        prefix, name = text[:-_UUID_TEXT], text[-_UUID_TEXT:]
        raw = _base85(name, vector)
        if len(raw) != len(UUID(int=0).bytes):
            _damaged(vector, "does not name a file")
        path = f"deletion_vector_{UUID(bytes=raw)}.bin"
        if prefix and not _is_sound(prefix):
            _damaged(vector, f"has the impossible prefix {prefix!r}")
        return f"{prefix}/{path}" if prefix else path
    if vector.storage_type == "p":
        return _below(store, vector)
    raise _error(vector, f"has the unknown storage type {vector.storage_type!r}")


def _below(store: ObjectStore, vector: DeletionVector) -> str:
    """The path of a vector with an absolute one, which has to be below the table's root."""
    root = _plain(unquote(store.url).rstrip("/") + "/")
    text = unquote(vector.path_or_inline_dv)
    place = _plain(f"file:{text}" if text.startswith("/") else text)
    path = place.removeprefix(root)
    if path != place and _is_sound(path):
        return path
    raise _error(vector, f"is outside of the table {store.url}")


def _is_sound(path: str) -> bool:
    return all(part not in ("", ".", "..") for part in path.split("/"))


def _plain(url: str) -> str:
    """URLs of one place in one form: `s3a` is `s3`, `file:/x` is `file:///x`."""
    scheme, colon, rest = url.partition(":")
    if not colon:
        return url
    scheme = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}.get(scheme.lower(), scheme.lower())
    return f"file:///{rest.lstrip('/')}" if scheme == "file" else f"{scheme}:{rest}"


def _from_file(store: ObjectStore, path: str, vector: DeletionVector) -> bytes:
    """The data of a vector in a file (protocol, "Deletion Vector File Storage Format")."""
    start = vector.offset or 1  # a file begins with its version: there is nothing to read at 0
    end = start + vector.size_in_bytes + _FRAME
    if start < 0 or vector.size_in_bytes < 0:
        _damaged(vector, "has a negative offset or size", path)
    try:
        if start <= _NEAR:
            near = store.get(path, range=(0, end)).data
            version, frame = near[:1], near[start:]
        else:
            version = store.get(path, range=(0, 1)).data
            frame = store.get(path, range=(start, end)).data
    except NotFound as error:
        raise _error(vector, "is missing", path) from error
    except StoreError as error:
        if type(error) not in (StoreError, InvalidPath):  # no such byte, no such name
            raise
        raise _error(vector, f"cannot be read: {error}", path) from error
    if version != bytes([_FILE_VERSION]):
        _damaged(vector, f"is of the unknown version {version.hex()}", path)
    if len(frame) != end - start:
        _damaged(vector, "ends before the vector does", path)
    length, data, checksum = frame[:4], frame[4:-4], frame[-4:]
    if int.from_bytes(length, "big") != len(data):
        _damaged(vector, "has another length than the log says", path)
    if int.from_bytes(checksum, "big") != zlib.crc32(data):
        _damaged(vector, "does not match its checksum", path)
    return bytes(data)


def _positions(data: bytes, vector: DeletionVector) -> "array[int]":
    positions: array[int] = array("Q")
    found = 0
    try:
        for high, bitmap in _bitmaps(data):
            found += len(bitmap)
            if found > vector.cardinality:  # before a damaged run becomes an array
                break
            positions.extend((high << 32) + low for low in bitmap.to_array())
    except _DAMAGED as error:
        raise _error(vector, f"is not a bitmap of rows: {error}") from error
    if found != vector.cardinality:
        _damaged(vector, f"holds {found} rows or more where the log says {vector.cardinality}")
    return positions


def _bitmaps(data: bytes) -> Iterator[tuple[int, BitMap | BitMap64]]:
    magic = struct.unpack_from("<I", data)[0]
    if magic == _PORTABLE:
        yield 0, BitMap64.deserialize(data[4:])
        return
    for order in ("<", ">"):
        if struct.unpack_from(f"{order}I", data)[0] == _NATIVE:
            yield from _native(data, order)
            return
    raise ValueError(f"unknown magic number {magic}")


def _native(data: bytes, order: str) -> Iterator[tuple[int, BitMap]]:
    (count,) = struct.unpack_from(f"{order}I", data, 4)
    place = 8
    for high in range(count):
        (size,) = struct.unpack_from(f"{order}I", data, place)
        place += 4
        if place + size > len(data):
            raise ValueError("it is cut short")
        yield high, BitMap.deserialize(data[place : place + size])
        place += size


def _base85(text: str, vector: DeletionVector) -> bytes:
    """Decode Z85 (https://rfc.zeromq.org/spec/32/)."""
    if len(text) % 5:
        _damaged(vector, "is not Base85: its length is no multiple of five")
    words = []
    for start in range(0, len(text), 5):
        number = 0
        for character in text[start : start + 5]:
            digit = _DIGITS.get(character)
            if digit is None:
                _damaged(vector, f"is not Base85: {character!r}")
            number = number * 85 + digit
        if number >> 32:
            _damaged(vector, "is not Base85: a group stands for too great a number")
        words.append(number.to_bytes(4, "big"))
    return b"".join(words)


def _trimmed(data: bytes, vector: DeletionVector) -> bytes:
    if not 0 <= len(data) - vector.size_in_bytes < 4:  # noqa: PLR2004 - less than a word
        _damaged(vector, f"has {len(data)} bytes where the log says {vector.size_in_bytes}")
    return data[: vector.size_in_bytes]


def _damaged(vector: DeletionVector, why: str, path: str | None = None) -> NoReturn:
    raise _error(vector, why, path)


def _error(vector: DeletionVector, why: str, path: str | None = None) -> CorruptLog:
    name = vector.unique_id[:120]
    where = f" in {path}" if path else ""
    message = f"deletion vector {name!r}{where} {why}"
    return CorruptLog(message, path=path or name, version=None)
