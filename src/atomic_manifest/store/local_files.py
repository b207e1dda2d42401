"""What the local driver needs of a file system: durable folders, a folder's lock, temporary names.

* A folder's lock is advisory and held on the folder itself (`flock`), so that it leaves nothing
  behind, ends with the process that holds it, and excludes threads as well as processes. Where
  there is no `fcntl`, a hidden file in the folder is locked instead.
* Windows cannot open a folder, so there it is a hidden file that is locked, byte 0 of it, and the names
  of files are left to the journal of NTFS. A file that a reader holds open cannot be replaced or deleted
  there: that raises `StorePermissionDenied`, and nothing is changed.
* Names that start with `.atomic-manifest-` are the driver's own: never listed, never a user's path.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

OWN_NAMES = ".atomic-manifest-"
"""How the names of the driver's temporary and lock files start."""


_SYNCS = 8
"""Folders that are synced at the same time."""

_FEW = 4


def temporary_name(id: str) -> str:
    """The name of a temporary file; `id` is fresh, so the name is nobody else's."""
    return f"{OWN_NAMES}{id}.tmp"


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    if sys.platform == "win32":
        return  # Windows cannot open a folder, and journals names itself.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path, sync: Callable[[Path], None] = sync_folder) -> None:
    """Create a folder with its parents, and make the names of all that were missing durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent, sync)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


class FolderSyncs:
    """Folders whose names are to be made durable later, each once. Safe to share between threads.

    Args:
        root: With a folder below it go all folders between the two: another writer may have created
            them, and not yet made their names durable.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: set[Path] = set()

    def later(self, folder: Path) -> None:
        """Remember a folder."""
        self._folders.add(folder)

    def now(self) -> None:
        """Make the names in all of them durable, several at the same time."""
        later, self._folders = self._folders, set()
        folders = set[Path]()
        for folder in later:
            # Those above a folder that is in the set are in it, too.
            while folder not in folders:
                folders.add(folder)
                if len(folder.parts) <= len(self._root.parts):
                    break
                folder = folder.parent  # noqa: PLW2901 - on the way up
        if len(folders) < _FEW:
            for folder in folders:
                sync_folder(folder)
            return
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - loads logging

        with ThreadPoolExecutor(_SYNCS) as pool:
            list(pool.map(sync_folder, folders))


def start_writing(handle: int, start: int, size: int) -> None:
    """Let the system begin to write bytes of an open file to disk, and do not wait for it.

    What is left for the `fsync` at the end of a large file is then little. On Linux this advice does so
    for bytes that are not yet written; it drops none of them from memory.
    """
    if sys.platform == "linux":
        os.posix_fadvise(handle, start, size, os.POSIX_FADV_DONTNEED)


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def locked(folder: Path) -> Iterator[None]:
        """Hold the folder's lock; waits for it."""
        handle = os.open(folder / f"{OWN_NAMES}lock", os.O_RDWR | os.O_CREAT)
        try:
            _lock_byte(handle)
            try:
                yield
            finally:
                os.lseek(handle, 0, os.SEEK_SET)
                msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        finally:
            os.close(handle)

    def _lock_byte(handle: int) -> None:
        while True:
            try:
                msvcrt.locking(handle, msvcrt.LK_LOCK, 1)  # gives up after ten seconds
            except OSError:
                continue
            return

else:
    import fcntl

    @contextmanager
    def locked(folder: Path) -> Iterator[None]:
        """Hold the folder's lock; waits for it."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)  # closing drops the lock
