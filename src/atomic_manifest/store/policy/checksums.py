"""Digests of bodies, under the names and in the form (Base64, big-endian) of Amazon S3.

| name | what |
| --- | --- |
| `sha256`, `sha1` | FIPS 180-4 |
| `crc32` | ISO 3309, as in gzip |
| `crc32c` | Castagnoli, RFC 3720 §12.1 |
| `crc64nvme` | NVM Express, Amazon S3's own default |

CRC-32C and CRC-64/NVME come from `awscrt` or `google-crc32c` where these are installed; without them
they are computed here, at some ten megabytes a second.
"""

import base64
import binascii
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol, TypeAlias

from atomic_manifest.errors import ChecksumMismatch, InvalidRequest
from atomic_manifest.store.driver import Data
from atomic_manifest.store.policy.calls import Call, Steps

SIZES: Mapping[str, int] = {"sha256": 32, "sha1": 20, "crc32": 4, "crc32c": 4, "crc64nvme": 8}
"""The algorithms, and how many bytes their digests have."""

Checksum: TypeAlias = str | Mapping[str, str]
"""The name of an algorithm, or names with the Base64 digests that the body must have."""

_QUICK = 16 * 1024
"""Bytes that are not worth another thread."""

_CRC32C = 0x82F63B78
_CRC64NVME = 0x9A6C9329AC4BC9B5

_Update: TypeAlias = Callable[[memoryview, int], int]


class Digest(Protocol):
    """A digest of bytes that come piece by piece."""

    def update(self, data: Data) -> None:
        """Take the next bytes."""
        ...

    def digest(self) -> bytes:
        """Give the digest of all bytes so far."""
        ...


def new(algorithm: str) -> Digest:
    """Begin a digest by one of the `SIZES`."""
    if algorithm in ("sha256", "sha1"):
        import hashlib  # noqa: PLC0415 - loads OpenSSL, which few callers need

        return hashlib.new(algorithm, usedforsecurity=False)
    return _Crc(_crc(algorithm), SIZES[algorithm])


def extend(digest: Digest, data: Data, in_thread: Callable[..., Any] | None) -> Steps[None]:
    """Take the next bytes; if there are many, outside the event loop of an asynchronous store.

    Args:
        digest: Takes them.
        data: The bytes.
        in_thread: See `policy.sources.ReadInThread`; None computes in place.
    """
    if in_thread is None or len(data) < _QUICK:
        digest.update(data)
    else:
        yield Call("__call__", (digest.update, data), on=in_thread)


def encode(digest: bytes) -> str:
    """The Base64 text of a digest."""
    return base64.b64encode(digest).decode()


def requested(path: str, checksum: Checksum | None) -> dict[str, str | None]:
    """Return the algorithms a caller names, with the digests where given.

    Raises:
        InvalidRequest: If an algorithm is not known, or a digest is none of its algorithm.
    """
    if checksum is None:
        return {}
    named: dict[str, str | None]
    named = {checksum: None} if isinstance(checksum, str) else {**checksum}
    for algorithm, text in named.items():
        if algorithm not in SIZES:
            raise InvalidRequest(
                f"{path}: no checksum {algorithm!r}; known are {', '.join(SIZES)}", path=path
            )
        if text is not None and _size(text) != SIZES[algorithm]:
            raise InvalidRequest(
                f"{path}: {text!r} is not the Base64 text of a {algorithm} digest", path=path
            )
    return named


def compare(path: str, algorithm: str, given: str | None, found: str) -> None:
    """Raise `ChecksumMismatch` if a digest was given and the body has another."""
    if given is not None and given != found:
        raise ChecksumMismatch(
            f"{path}: the body's {algorithm} is {found}, not {given}",
            path=path,
            algorithm=algorithm,
        )


class _Crc:
    def __init__(self, update: _Update, size: int) -> None:
        self._update = update
        self._size = size
        self._value = 0

    def update(self, data: Data) -> None:
        self._value = self._update(memoryview(data).cast("B"), self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def _size(text: str) -> int:
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, TypeError, ValueError):
        return -1


@cache
def _crc(algorithm: str) -> _Update:
    if algorithm == "crc32":
        return zlib.crc32
    return _installed(algorithm) or tabled(_CRC32C if algorithm == "crc32c" else _CRC64NVME)


def _installed(algorithm: str) -> _Update | None:
    """The same from a library in C, if there is one."""
    try:
        from awscrt import checksums  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        pass
    else:
        found: _Update | None = getattr(checksums, algorithm, None)
        if found is not None:
            return found
    if algorithm != "crc32c":
        return None
    try:
        import google_crc32c  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        return None
    extend = google_crc32c.extend
    return lambda data, value: extend(value, bytes(data))


def tabled(polynomial: int) -> _Update:
    """A reflected CRC whose register starts and ends inverted.

    Args:
        polynomial: Without its highest term, lowest term first (reflected).

    Returns:
        A function of bytes and the CRC of those before them (0: none) that gives the CRC of all.
    """
    ones = (1 << polynomial.bit_length()) - 1
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)

    def update(data: memoryview, value: int) -> int:
        value ^= ones
        for byte in data:
            value = table[(value ^ byte) & 0xFF] ^ value >> 8
        return value ^ ones

    return update
