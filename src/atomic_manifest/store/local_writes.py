"""How a local file is written: whole, forced to disk, and only then named; and what is said of it.

Error semantics: see `store.local`.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from atomic_manifest.env import Env
from atomic_manifest.errors import (
    NotFound,
    StoreError,
    StorePermissionDenied,
    UnsupportedByStore,
)
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import Data, ObjectMeta, Refused, WriteOutcome, Written
from atomic_manifest.store.local_files import locked
from atomic_manifest.store.local_syncs import Syncs, start_writing

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
        syncs: Makes it durable.
    """

    def __init__(
        self,
        env: Env,
        path: str,
        file: Path,
        temporary: Path,
        opened: FileIO,
        when: Condition | None,
        syncs: Syncs,
    ) -> None:
        self._env = env
        self._path = path
        self._file = file
        self._temporary = temporary
        self._opened = opened
        self._when = when
        self._syncs = syncs
        self._size = 0

    def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        with reported(self._path, writing=True):
            size = write_all(self._opened, data)
            start_writing(self._opened.fileno(), self._size, size)
            self._size += size

    def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`."""
        with reported(self._path, writing=True):
            with self._opened:
                written = sealed(self._opened, self._when, self._env, self._syncs)
            outcome = give_name(
                self._path, self._file, self._temporary, written, self._when, self._syncs
            )
            self._temporary.unlink(missing_ok=True)
        return outcome

    def abort(self) -> None:
        """See `DriverUpload.abort`."""
        with reported(self._path, writing=True):
            self._opened.close()
            self._temporary.unlink(missing_ok=True)


def write_all(opened: FileIO, data: Data) -> int:
    """Write bytes to an unbuffered file, which may take them piece by piece; returns how many."""
    view = memoryview(data).cast("B")
    done = 0
    while done < len(view):
        done += opened.write(view[done:]) or 0
    return done


def sealed(opened: FileIO, when: Condition | None, env: Env, syncs: Syncs) -> os.stat_result:
    """Give a written file its time and make it durable; returns what the system says of it.

    On a condition at once: others may rely on what they find under a name that is created but once.
    """
    now = int(env.now() * 1e9)
    os.utime(opened.fileno() if os.utime in os.supports_fd else opened.name, ns=(now, now))
    if when is None:
        syncs.data(opened.fileno())
    else:
        os.fsync(opened.fileno())
    return os.fstat(opened.fileno())


def give_name(
    path: str,
    file: Path,
    temporary: Path,
    written: os.stat_result,
    when: Condition | None,
    syncs: Syncs,
) -> WriteOutcome:
    """Give a sealed file the object's name, if the condition holds, and make that durable."""
    outcome: WriteOutcome
    match when:
        case IfAbsent():
            outcome = _create(path, file, temporary, written)
        case None:
            outcome = _create_or_replace(path, file, temporary, written)
        case _:
            outcome = _replace(path, file, temporary, when)
    if isinstance(outcome, Written):
        syncs.named(file)
    return outcome


def _create_or_replace(
    path: str, file: Path, temporary: Path, written: os.stat_result
) -> WriteOutcome:
    """A new name needs no lock."""
    try:
        os.link(temporary, file)
    except OSError:  # it is there, or there are no links
        return _replace(path, file, temporary, None)
    return Written(meta_of(path, written))


def _create(path: str, file: Path, temporary: Path, written: os.stat_result) -> WriteOutcome:
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
    return Written(meta_of(path, written))


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
