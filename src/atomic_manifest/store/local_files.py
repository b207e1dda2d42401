"""What the local driver needs of a file system: folders, a folder's lock, temporary names.

* A folder's lock is advisory and held on the folder itself (`flock`), so that it leaves nothing
  behind, ends with the process that holds it, and excludes threads as well as processes. Where
  there is no `fcntl`, a hidden file in the folder is locked instead.
* Windows cannot open a folder, so there it is a hidden file that is locked, byte 0 of it. A file that a
  reader holds open cannot be replaced or deleted there: that raises `StorePermissionDenied`, and nothing
  is changed.
* Names that start with `.atomic-manifest-` are the driver's own: never listed, never a user's path.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from atomic_manifest.store.local_syncs import Syncs, close_read

OWN_NAMES = ".atomic-manifest-"
"""How the names of the driver's temporary and lock files start."""


def temporary_name(id: str) -> str:
    """The name of a temporary file; `id` is fresh, so the name is nobody else's."""
    return f"{OWN_NAMES}{id}.tmp"


def make_folder(folder: Path, syncs: Syncs) -> None:
    """Create a folder with its parents, and make the names of all that were missing durable."""
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    except FileNotFoundError:
        make_folder(folder.parent, syncs)
        folder.mkdir(exist_ok=True)
    try:
        syncs.made(folder)
    except OSError:
        with suppress(OSError):
            folder.rmdir()  # whoever finds it would take its name for durable
        raise


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
            close_read(handle)

    def hold(handle: int) -> None:
        """Show that a file is in use: an open one cannot be removed here."""
        del handle

    def is_held(place: str) -> bool:
        """Whether a file is in use: removing it will tell."""
        del place
        return False

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
            close_read(handle)  # which drops the lock

    def hold(handle: int) -> None:
        """Show that a file is in use, as long as it is open; as far as the file system can."""
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def is_held(place: str) -> bool:
        """Whether somebody shows that a file is in use."""
        handle = os.open(place, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            close_read(handle)
        return False
