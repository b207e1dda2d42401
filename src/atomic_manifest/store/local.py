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

* Only regular files are objects, and links to them. Nothing else is listed or read, or waited for.

Error semantics. A write that fails before its file may have its name raises, and nothing has changed: a
full disk, a read-only mount or a path below a file raise `StoreError`, missing permission
`StorePermissionDenied`, a file system without hard links `UnsupportedByStore` on create-if-absent. From
then on what fails is `Unanswered` (`local_names`). A read that may succeed when it is repeated, such as one
for which there was no free file descriptor, raises `StoreUnavailable`. User metadata is not kept.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from io import FileIO
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Self

from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import InvalidPath, NotModified, UnsupportedByStore
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Data,
    DeleteOutcome,
    Object,
    ObjectMeta,
    Refused,
    Unanswered,
    WriteOutcome,
    check_path,
)
from atomic_manifest.store.keys import check_range, check_start, folder
from atomic_manifest.store.local_files import OWN_NAMES, hold, make_folder, temporary_name
from atomic_manifest.store.local_names import give_name, remove_name
from atomic_manifest.store.local_status import (
    etag_of,
    meta_of,
    not_an_object,
    opened,
    regular,
    reported,
    tag_of,
)
from atomic_manifest.store.local_syncs import AtOnce, Syncs, Together
from atomic_manifest.store.local_writes import (
    LocalUpload,
    remove_temporary,
    sealed,
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
    lists_in_order = True

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
        """See `store.batch`. Conditional writes are forced to disk at once even so.

        Within a batch there is nothing to settle: whoever began it does.
        """
        if isinstance(self._syncs, Together):
            return self, lambda: None
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
        with opened(path, self._file(path)) as (file, found):
            meta = meta_of(path, found)
            if if_none_match is not None and meta.etag == if_none_match:
                raise NotModified(f"{path} has not changed", path=path)
            if range is None:
                return Object(file.readall(), meta)
            start, end = check_range(path, range)
            check_start(path, start, meta.size)
            file.seek(start)
            return Object(_read(file, min(end, meta.size) - start), meta)

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        with reported(path):
            found = self._file(path).stat()
            if not S_ISREG(found.st_mode):
                raise not_an_object(path, found)
        meta = meta_of(path, found)
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
            if when is not None:
                there = etag_of(file)
                if isinstance(when, IfMatch) and there is None:
                    return Refused()  # and no folder is made for it
                if isinstance(when, IfAbsent) and there is not None:
                    return Refused(there)  # and no bytes are forced to disk for it
            temporary, new = self._temporary(file)
            try:
                with new:
                    write_all(new, data)
                    written = sealed(new, when, self._env, self._syncs)
                return give_name(path, file, temporary, written, when, self._syncs)
            finally:
                remove_temporary(temporary)

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
            temporary, new = self._temporary(file)
        hold(new.fileno())
        return LocalUpload(self._env, path, file, temporary, new, when, self._syncs)

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`. The copy is of one state of the source, whose file is never changed."""
        file = self._file(path)
        with opened(source, self._file(source)) as (original, found), reported(path, writing=True):
            if source_when is not None and not source_when.satisfied_by(tag_of(found)):
                return Refused(etag_of(file))
            temporary, new = self._temporary(file)
            try:
                with new:
                    while chunk := original.read(_CHUNK):
                        write_all(new, chunk)
                    written = sealed(new, when, self._env, self._syncs)
                return give_name(path, file, temporary, written, when, self._syncs)
            finally:
                remove_temporary(temporary)

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`. There are no versions."""
        file = self._file(path)
        if version is not None:
            raise UnsupportedByStore(f"{path}: a file system keeps no versions", path=path)
        with reported(path, writing=True):
            return remove_name(path, file, when, self._syncs)

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        for path in paths:
            with reported(path):  # it may be repeated, as a read may
                outcome = remove_name(path, self._file(path), None, self._syncs)
            if isinstance(outcome, Unanswered):
                raise outcome.cause

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`. One folder is read at a time; links are followed."""
        return _walk(self._root, folder(prefix), start_after or "")

    def remove_leftovers(self, first: str) -> int:
        """See `store.leftovers`."""
        from atomic_manifest.store import local_leftovers  # noqa: PLC0415 - rare

        return local_leftovers.remove_leftovers(self._root, first, self._env)

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


def _walk(root: Path, below: str, after: str) -> Iterator[ObjectMeta]:
    """All files whose paths start with `below` that come after `after`."""
    place = root / below
    with reported(below):
        try:
            with os.scandir(place) as found:
                entries = [(_sort_key(entry), entry) for entry in found]
        except (FileNotFoundError, NotADirectoryError):
            return
    for name, entry in sorted(entries, key=lambda pair: pair[0]):
        path = below + name
        if name.endswith("/"):
            if (path > after or after.startswith(path)) and not _leads_back(root, below, entry):
                yield from _walk(root, path, after)
        elif path > after and not name.startswith(OWN_NAMES):
            with reported(path):
                found_there = regular(Path(entry.path)) if entry.is_symlink() else _seen(entry)
            if found_there is not None:  # and not removed since the folder was read
                yield meta_of(path, found_there)


def _sort_key(entry: os.DirEntry[str]) -> str:
    """A folder sorts as what all paths in it start with: `a-b` comes before `a/b`."""
    try:
        return f"{entry.name}/" if entry.is_dir() else entry.name
    except OSError as error:
        if error.errno == errno.ELOOP:
            return entry.name
        raise


def _seen(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What the system says of an object in a folder; None if it is none."""
    try:
        found = entry.stat()
    except FileNotFoundError:
        return None
    return found if S_ISREG(found.st_mode) else None


def _leads_back(root: Path, below: str, entry: os.DirEntry[str]) -> bool:
    """Whether a folder is a link to one of those it is in, in which it would be found without end."""
    if not entry.is_symlink():
        return False
    parts = below.split("/")[:-1]
    above = {os.path.realpath(root.joinpath(*parts[:depth])) for depth in range(len(parts) + 1)}
    return os.path.realpath(entry.path) in above
