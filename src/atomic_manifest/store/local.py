"""Objects as files below a folder of a local (or locally mounted POSIX) file system.

Invariants:

* Nothing half-written is ever visible: bytes go to a hidden temporary file, are forced to disk, and
  only then get their name, by `link` (create-if-absent: the kernel lets exactly one caller win) or by
  `rename`. A write that returned `Written` survives a crash of the machine: file and folder are
  both synced.
* Whatever replaces or removes a file holds the lock of its folder, so `IfMatch` is atomic against
  every other writer that goes through this driver, in any process. Creation needs no lock.
* An ETag is made of inode, modification time in nanoseconds, and size. It is opaque. Every write
  sets a time later than that of the file it replaces, so a reused inode cannot bring a tag back.

Error semantics. A file system answers: there is no `Unanswered`. A full disk, a read-only mount or a
path below a file raise `StoreError`, missing permission `StorePermissionDenied`, a file system
without hard links `UnsupportedByStore` on create-if-absent. User metadata is not kept.
"""

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import (
    InvalidPath,
    NotFound,
    NotModified,
    StoreError,
    StorePermissionDenied,
    UnsupportedByStore,
)
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Data,
    Deleted,
    DeleteOutcome,
    Object,
    ObjectMeta,
    Refused,
    WriteOutcome,
    Written,
    check_path,
)
from atomic_manifest.store.keys import check_range, check_start, folder
from atomic_manifest.store.local_files import (
    OWN_NAMES,
    locked,
    make_folder,
    sync_folder,
    temporary_name,
)

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class LocalDriver:
    """Files below `root`, which is created by the first write.

    Args:
        root: A folder. Links in it are followed.
        env: Gives the names of temporary files and the times of written ones.
    """

    keeps_metadata = False

    def __init__(self, root: str | os.PathLike[str], *, env: Env = SYSTEM) -> None:
        self._root = Path(root).absolute()
        self._env = env

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self._root.as_uri()

    def __repr__(self) -> str:
        return f"LocalDriver({str(self._root)!r})"

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        file = self._file(path)
        with _reported(path), file.open("rb", buffering=0) as opened:
            meta = _meta(path, os.fstat(opened.fileno()))
            if if_none_match is not None and meta.etag == if_none_match:
                raise NotModified(f"{path} has not changed", path=path)
            if range is None:
                return Object(opened.readall(), meta)
            start, end = check_range(path, range)
            check_start(path, start, meta.size)
            opened.seek(start)
            return Object(_read(opened, min(end, meta.size) - start), meta)

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        file = self._file(path)
        with _reported(path):
            if file.is_dir():
                raise NotFound(f"{path} is a folder", path=path)
            meta = _meta(path, file.stat())
        if if_none_match is not None and meta.etag == if_none_match:
            raise NotModified(f"{path} has not changed", path=path)
        return meta

    def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`. `metadata` is not kept."""
        del metadata
        file = self._file(path)
        with _reported(path, writing=True):
            if isinstance(when, IfMatch) and not file.is_file():
                return Refused()  # and no folder is made for it
            if isinstance(when, IfAbsent) and file.is_file():
                return Refused(_etag(file))  # and no bytes are forced to disk for it
            temporary, opened = self._temporary(file)
            try:
                with opened:
                    opened.write(data)
                    _force(opened, self._env)
                return _name(path, file, temporary, when)
            finally:
                temporary.unlink(missing_ok=True)

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> "LocalUpload":
        """See `Driver.start_upload`. The sizes are of no use here; `metadata` is not kept."""
        del part_size, max_in_flight, metadata
        file = self._file(path)
        with _reported(path, writing=True):
            temporary, opened = self._temporary(file)
        return LocalUpload(self._env, path, file, temporary, opened, when)

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`. The copy is of one state of the source, whose file is never changed."""
        import shutil  # noqa: PLC0415 - loads every compression, for this alone

        found, file = self._file(source), self._file(path)
        with _reported(source):
            if found.is_dir():
                raise NotFound(f"{source} is a folder", path=source)
            original = found.open("rb")
        with original, _reported(path, writing=True):
            tag = _tag(os.fstat(original.fileno()))
            if source_when is not None and not source_when.satisfied_by(tag):
                return Refused(_etag(file))
            temporary, opened = self._temporary(file)
            try:
                with opened:
                    shutil.copyfileobj(original, opened)
                    _force(opened, self._env)
                return _name(path, file, temporary, when)
            finally:
                temporary.unlink(missing_ok=True)

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`. There are no versions."""
        file = self._file(path)
        if version is not None:
            raise UnsupportedByStore(f"{path}: a file system keeps no versions", path=path)
        with _reported(path, writing=True):
            if not file.is_file():
                return Deleted() if when is None else Refused()
            with locked(file.parent):
                current = _etag(file)
                if when is not None and not when.satisfied_by(current):
                    return Refused(current)
                file.unlink(missing_ok=True)
            sync_folder(file.parent)
        return Deleted()

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        for path in paths:
            self.delete(path)

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`. One folder is read at a time; links are followed."""
        below = folder(prefix)
        return _walk(self._root / below, below, start_after or "")

    def _file(self, path: str) -> Path:
        check_path(path)
        if path.rpartition("/")[2].startswith(OWN_NAMES):
            raise InvalidPath(f"a name of the driver's own: {path!r}", path=path)
        if sys.platform == "win32" and ("\\" in path or ":" in path):
            raise InvalidPath(f"not a path that Windows can hold: {path!r}", path=path)
        return self._root / path

    def _temporary(self, file: Path) -> tuple[Path, BinaryIO]:
        make_folder(file.parent)
        temporary = file.with_name(temporary_name(self._env.new_id()))
        return temporary, temporary.open("xb")


class LocalUpload:
    """An upload into a hidden temporary file that gets its name when finished.

    Args:
        env: Gives the file's time.
        path: The object's checked path.
        file: The same as a file.
        temporary: The temporary file, in the folder of `file`.
        opened: The temporary file opened for writing.
        when: Asked when it is finished.
    """

    def __init__(
        self,
        env: Env,
        path: str,
        file: Path,
        temporary: Path,
        opened: BinaryIO,
        when: Condition | None,
    ) -> None:
        self._env = env
        self._path = path
        self._file = file
        self._temporary = temporary
        self._opened = opened
        self._when = when

    def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        with _reported(self._path, writing=True):
            self._opened.write(data)

    def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`."""
        with _reported(self._path, writing=True):
            with self._opened:
                _force(self._opened, self._env)
            outcome = _name(self._path, self._file, self._temporary, self._when)
            self._temporary.unlink(missing_ok=True)
        return outcome

    def abort(self) -> None:
        """See `DriverUpload.abort`."""
        with _reported(self._path, writing=True):
            self._opened.close()
            self._temporary.unlink(missing_ok=True)


def _force(opened: BinaryIO, env: Env) -> None:
    """Give a written file its time, and force it to disk."""
    opened.flush()
    now = int(env.now() * 1e9)
    os.utime(opened.fileno() if os.utime in os.supports_fd else opened.name, ns=(now, now))
    os.fsync(opened.fileno())


def _name(path: str, file: Path, temporary: Path, when: Condition | None) -> WriteOutcome:
    """Give a whole file the object's name, if the condition holds."""
    if isinstance(when, IfAbsent):
        return _create(path, file, temporary)
    return _replace(path, file, temporary, when)


def _create(path: str, file: Path, temporary: Path) -> WriteOutcome:
    try:
        os.link(temporary, file)
    except FileExistsError as error:
        if file.is_dir():
            raise StoreError(f"{path} is a folder", path=path) from error
        return Refused(_etag(file))
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise UnsupportedByStore(
            f"{path}: create-if-absent needs hard links, which the file system below"
            f" {file.parent} does not offer ({error.strerror})",
            path=path,
        ) from error
    meta = _meta(path, temporary.stat())
    sync_folder(file.parent)
    return Written(meta)


def _replace(path: str, file: Path, temporary: Path, when: IfMatch | None) -> WriteOutcome:
    with locked(file.parent):
        current = _stat(file)
        if when is not None:
            etag = None if current is None else _tag(current)
            if not when.satisfied_by(etag):
                return Refused(etag)
        written = temporary.stat()
        if current is not None and written.st_mtime_ns <= current.st_mtime_ns:
            os.utime(temporary, ns=(written.st_atime_ns, current.st_mtime_ns + 1))
            written = temporary.stat()
        temporary.replace(file)
    sync_folder(file.parent)
    return Written(_meta(path, written))


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None


def _etag(file: Path) -> ETag | None:
    found = _stat(file)
    return None if found is None else _tag(found)


def _tag(found: os.stat_result) -> ETag:
    return ETag(f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}")


def _meta(path: str, found: os.stat_result) -> ObjectMeta:
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return ObjectMeta(path, found.st_size, _tag(found), modified)


def _read(opened: BinaryIO, size: int) -> bytes:
    chunks = []
    while size > 0 and (chunk := opened.read(size)):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def _walk(place: Path, below: str, after: str) -> Iterator[ObjectMeta]:
    """All files at `place`, whose paths start with `below`, that come after `after`."""
    with _reported(below):
        try:
            entries = [(_sort_key(entry), entry) for entry in os.scandir(place)]
        except (FileNotFoundError, NotADirectoryError):
            return
    for name, entry in sorted(entries, key=lambda pair: pair[0]):
        path = below + name
        if name.endswith("/"):
            if path > after or after.startswith(path):
                yield from _walk(Path(entry.path), path, after)
        elif path > after and not name.startswith(OWN_NAMES):
            with _reported(path):
                try:
                    meta = _meta(path, entry.stat())
                except FileNotFoundError:
                    continue  # removed since the folder was read
            yield meta


def _sort_key(entry: os.DirEntry[str]) -> str:
    """A folder sorts as what all paths in it start with: `a-b` comes before `a/b`."""
    return f"{entry.name}/" if entry.is_dir() else entry.name


@contextmanager
def _reported(path: str, *, writing: bool = False) -> Iterator[None]:
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
