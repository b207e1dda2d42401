"""How a local file is written: whole, forced to disk, and only then named; and what is said of it.

Error semantics: see `store.local`.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from atomic_manifest.env import Env
from atomic_manifest.errors import (
    NotFound,
    StoreError,
    StorePermissionDenied,
    UnsupportedByStore,
)
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import Data, ObjectMeta, Refused, WriteOutcome, Written
from atomic_manifest.store.local_files import locked, start_writing

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class LocalUpload:
    """An upload into a hidden temporary file that gets its name when finished.

    Args:
        env: Gives the file's time.
        path: The object's checked path.
        file: The same as a file.
        temporary: The temporary file, in the folder of `file`.
        opened: The temporary file opened for writing.
        when: Asked when it is finished.
        sync: Makes the names in a folder durable.
    """

    def __init__(
        self,
        env: Env,
        path: str,
        file: Path,
        temporary: Path,
        opened: BinaryIO,
        when: Condition | None,
        sync: Callable[[Path], None],
    ) -> None:
        self._env = env
        self._path = path
        self._file = file
        self._temporary = temporary
        self._opened = opened
        self._when = when
        self._sync = sync

    def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        with reported(self._path, writing=True):
            start, size = self._opened.tell(), self._opened.write(data)
            self._opened.flush()
            start_writing(self._opened.fileno(), start, size)

    def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`."""
        with reported(self._path, writing=True):
            with self._opened:
                force(self._opened, self._env)
            outcome = give_name(self._path, self._file, self._temporary, self._when, self._sync)
            self._temporary.unlink(missing_ok=True)
        return outcome

    def abort(self) -> None:
        """See `DriverUpload.abort`."""
        with reported(self._path, writing=True):
            self._opened.close()
            self._temporary.unlink(missing_ok=True)


def force(opened: BinaryIO, env: Env) -> None:
    """Give a written file its time, and force it to disk."""
    opened.flush()
    now = int(env.now() * 1e9)
    os.utime(opened.fileno() if os.utime in os.supports_fd else opened.name, ns=(now, now))
    os.fsync(opened.fileno())


def give_name(
    path: str,
    file: Path,
    temporary: Path,
    when: Condition | None,
    sync: Callable[[Path], None],
) -> WriteOutcome:
    """Give a whole file the object's name, if the condition holds, and make that durable."""
    if isinstance(when, IfAbsent):
        outcome = _create(path, file, temporary)
    else:
        outcome = _replace(path, file, temporary, when)
    if isinstance(outcome, Written):
        sync(file.parent)
    return outcome


def _create(path: str, file: Path, temporary: Path) -> WriteOutcome:
    try:
        os.link(temporary, file)
    except FileExistsError as error:
        if file.is_dir():
            raise StoreError(f"{path} is a folder", path=path) from error
        return Refused(etag_of(file))
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise UnsupportedByStore(
            f"{path}: create-if-absent needs hard links, which the file system below"
            f" {file.parent} does not offer ({error.strerror})",
            path=path,
        ) from error
    return Written(meta_of(path, temporary.stat()))


def _replace(path: str, file: Path, temporary: Path, when: IfMatch | None) -> WriteOutcome:
    with locked(file.parent):
        current = _stat(file)
        if when is not None:
            etag = None if current is None else tag_of(current)
            if not when.satisfied_by(etag):
                return Refused(etag)
        written = temporary.stat()
        if current is not None and written.st_mtime_ns <= current.st_mtime_ns:
            os.utime(temporary, ns=(written.st_atime_ns, current.st_mtime_ns + 1))
            written = temporary.stat()
        temporary.replace(file)
    return Written(meta_of(path, written))


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None


def etag_of(file: Path) -> ETag | None:
    """The tag of a file; None if there is none."""
    found = _stat(file)
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
    """Turn errors of the operating system into errors of this library that name the object."""
    try:
        yield
    except StoreError:
        raise
    except PermissionError as error:
        raise StorePermissionDenied(f"{path}: {error.strerror}", path=path) from error
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError)
        if missing and not writing:
            raise NotFound(f"{path} does not exist", path=path) from error
        raise StoreError(f"{path}: {error.strerror or error}", path=path) from error
