"""Objects as files below a folder of a local (or locally mounted POSIX) file system.

Invariants:

* Nothing half-written is ever visible: bytes go to a hidden temporary file, are forced to disk, and
  only then get their name, by `link` (create-if-absent: the kernel lets exactly one caller win) or by
  `rename`. A write that returned `Written` survives a crash of the machine: file and folder are
  both synced. (Through `deferring`, both are once, at the end; only a conditional write's bytes are
  at once.)
* Whatever replaces or removes a file holds the lock of its folder, so `IfMatch` is atomic against
  every other writer that goes through this driver, in any process. Creation needs no lock.
* An ETag is made of inode, modification time in nanoseconds, and size. It is opaque. Every write
  sets a time later than that of the file it replaces, so a reused inode cannot bring a tag back.

Error semantics. A file system answers: there is no `Unanswered`. A full disk, a read-only mount or a
path below a file raise `StoreError`, missing permission `StorePermissionDenied`, a file system
without hard links `UnsupportedByStore` on create-if-absent. User metadata is not kept.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Self

from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import (
    InvalidPath,
    NotFound,
    NotModified,
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
    check_path,
)
from atomic_manifest.store.keys import check_range, check_start, folder
from atomic_manifest.store.local_files import (
    OWN_NAMES,
    locked,
    make_folder,
    temporary_name,
)
from atomic_manifest.store.local_syncs import AtOnce, Syncs, Together
from atomic_manifest.store.local_writes import (
    LocalUpload,
    etag_of,
    give_name,
    meta_of,
    reported,
    sealed,
    tag_of,
    write_all,
)

_CHUNK = 1 << 20
"""Bytes that a copy holds."""


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
        self._syncs: Syncs = AtOnce()

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self._root.as_uri()

    def __repr__(self) -> str:
        return f"LocalDriver({str(self._root)!r})"

    def deferring(self) -> tuple[Self, Callable[[], None]]:
        """See `store.batch`. Conditional writes are forced to disk at once even so."""
        deferred, syncs = copy(self), Together(self._root)
        deferred._syncs = syncs  # noqa: SLF001 - it is another of this class

        def settle() -> None:
            try:
                syncs.settle()
            except OSError as error:
                with reported(os.path.relpath(error.filename, self._root), writing=True):
                    raise

        return deferred, settle

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        file = self._file(path)
        with reported(path), file.open("rb", buffering=0) as opened:
            meta = meta_of(path, os.fstat(opened.fileno()))
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
        with reported(path):
            if file.is_dir():
                raise NotFound(f"{path} is a folder", path=path)
            meta = meta_of(path, file.stat())
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
        with reported(path, writing=True):
            if isinstance(when, IfMatch) and not file.is_file():
                return Refused()  # and no folder is made for it
            if isinstance(when, IfAbsent) and file.is_file():
                return Refused(etag_of(file))  # and no bytes are forced to disk for it
            temporary, opened = self._temporary(file)
            try:
                with opened:
                    write_all(opened, data)
                    written = sealed(opened, when, self._env, self._syncs)
                return give_name(path, file, temporary, written, when, self._syncs)
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
        with reported(path, writing=True):
            temporary, opened = self._temporary(file)
        return LocalUpload(self._env, path, file, temporary, opened, when, self._syncs)

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`. The copy is of one state of the source, whose file is never changed."""
        found, file = self._file(source), self._file(path)
        with reported(source):
            if found.is_dir():
                raise NotFound(f"{source} is a folder", path=source)
            original = found.open("rb")
        with original, reported(path, writing=True):
            tag = tag_of(os.fstat(original.fileno()))
            if source_when is not None and not source_when.satisfied_by(tag):
                return Refused(etag_of(file))
            temporary, opened = self._temporary(file)
            try:
                with opened:
                    while chunk := original.read(_CHUNK):
                        write_all(opened, chunk)
                    written = sealed(opened, when, self._env, self._syncs)
                return give_name(path, file, temporary, written, when, self._syncs)
            finally:
                temporary.unlink(missing_ok=True)

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`. There are no versions."""
        file = self._file(path)
        if version is not None:
            raise UnsupportedByStore(f"{path}: a file system keeps no versions", path=path)
        with reported(path, writing=True):
            if not file.is_file():
                return Deleted() if when is None else Refused()
            with locked(file.parent):
                current = etag_of(file)
                if when is not None and not when.satisfied_by(current):
                    return Refused(current)
                file.unlink(missing_ok=True)
            self._syncs.removed(file)
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

    def _temporary(self, file: Path) -> tuple[Path, FileIO]:
        """A new hidden file in the folder of a file, which is made if need be."""
        temporary = file.with_name(temporary_name(self._env.new_id()))
        try:
            return temporary, FileIO(temporary, "x")
        except FileNotFoundError:
            make_folder(file.parent, self._syncs)
            return temporary, FileIO(temporary, "x")


def _read(opened: BinaryIO, size: int) -> bytes:
    chunks = []
    while size > 0 and (chunk := opened.read(size)):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def _walk(place: Path, below: str, after: str) -> Iterator[ObjectMeta]:
    """All files at `place`, whose paths start with `below`, that come after `after`."""
    with reported(below):
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
            with reported(path):
                try:
                    meta = meta_of(path, entry.stat())
                except FileNotFoundError:
                    continue  # removed since the folder was read
            yield meta


def _sort_key(entry: os.DirEntry[str]) -> str:
    """A folder sorts as what all paths in it start with: `a-b` comes before `a/b`."""
    return f"{entry.name}/" if entry.is_dir() else entry.name
