"""Tell what is at a path of a local file system, and what an error of the system means for an object.

Only regular files are objects, links to them included: folders, pipes, sockets, devices and links that
lead nowhere or in a circle are none. Opening one never waits.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from atomic_manifest.errors import (
    NotFound,
    StoreError,
    StorePermissionDenied,
    StoreUnavailable,
)
from atomic_manifest.store.conditions import ETag
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.local_syncs import close_read

_READ = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)

_NOTHING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV}
"""There is no object: nothing, a folder, a circle of links, a socket or a device."""

_PASSING = {
    errno.EAGAIN,
    errno.EINTR,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
"""No answer, which another attempt may get: too many open files, or a server that is away."""


@contextmanager
def opened(path: str, file: Path) -> Iterator[tuple[FileIO, os.stat_result]]:
    """Open an object to read; gives it with what the system says of it.

    Raises:
        NotFound: There is none.
        StoreError: See `reported`.
    """
    with reported(path):
        handle = os.open(file, _READ)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise not_an_object(path, found)
            yield FileIO(handle, "rb", closefd=False), found
        finally:
            close_read(handle)


def regular(file: Path) -> os.stat_result | None:
    """What the system says of an object; None if there is none."""
    try:
        found = file.stat()
    except OSError as error:
        if error.errno in _NOTHING:
            return None
        raise
    return found if stat.S_ISREG(found.st_mode) else None


def not_an_object(path: str, found: os.stat_result) -> NotFound:
    """The error of a path at which is something else than a file."""
    what = "a folder" if stat.S_ISDIR(found.st_mode) else "not a regular file"
    return NotFound(f"{path} is {what}", path=path)


def etag_of(file: Path) -> ETag | None:
    """The tag of a file; None if there is none."""
    found = regular(file)
    return None if found is None else tag_of(found)


def tag_of(found: os.stat_result) -> ETag:
    """The tag of what the system says of a file."""
    return ETag(f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}")


def meta_of(path: str, found: os.stat_result) -> ObjectMeta:
    """What the system says of a file, as of an object."""
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return ObjectMeta(path, found.st_size, tag_of(found), modified)


@contextmanager
def reported(path: str, *, writing: bool = False) -> Iterator[None]:
    """Turn errors of the operating system into errors of this library that name the object.

    Args:
        path: The object.
        writing: Whether it is being written. Then the error is certain: nothing was changed.
    """
    try:
        yield
    except StoreError:
        raise
    except PermissionError as error:
        raise StorePermissionDenied(f"{path}: {error.strerror}", path=path) from error
    except OSError as error:
        if not writing and error.errno in _NOTHING:
            raise NotFound(f"{path} does not exist", path=path) from error
        kind = StoreUnavailable if not writing and error.errno in _PASSING else StoreError
        raise kind(f"{path}: {error.strerror or error}", path=path) from error
