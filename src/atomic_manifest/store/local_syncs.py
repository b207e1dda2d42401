"""When what was written to a local disk is made durable: at once, or all of a batch together.

Windows cannot open a folder: there, the names of files are left to the journal of NTFS.

Error semantics: what the operating system raises comes through; from `settle` it names the file or folder.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

_SYNCS = 8
"""Files and folders that are synced at the same time."""

_FEW = 4


class Syncs(Protocol):
    """Is told what was written, and makes it durable."""

    def data(self, handle: int) -> None:
        """The bytes of an open file are complete."""

    def named(self, file: Path) -> None:
        """That file got its name."""

    def removed(self, file: Path) -> None:
        """A file lost its name."""

    def made(self, folder: Path) -> None:
        """A folder was created."""


class AtOnce:
    """What was written is durable when the call returns."""

    def data(self, handle: int) -> None:
        """See `Syncs.data`."""
        os.fsync(handle)

    def named(self, file: Path) -> None:
        """See `Syncs.named`."""
        self._sync_names(file.parent)

    def removed(self, file: Path) -> None:
        """See `Syncs.removed`."""
        self._sync_names(file.parent)

    def made(self, folder: Path) -> None:
        """See `Syncs.made`."""
        self._sync_names(folder.parent)

    def _sync_names(self, folder: Path) -> None:
        if sys.platform == "win32":
            return  # Windows cannot open a folder, and journals names itself.
        _sync(str(folder))


class Together:
    """What was written is durable once `settle` has returned. Safe to share between threads.

    Args:
        root: With a folder below it are synced all folders between the two: another writer may have
            created them, and not yet made their names durable.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def data(self, handle: int) -> None:
        """See `Syncs.data`. The system begins to write them, so that little is left for the end."""
        start_writing(handle, 0, 0)

    def named(self, file: Path) -> None:
        """See `Syncs.named`."""
        self._files.add(str(file))
        self._folders.add(str(file.parent))

    def removed(self, file: Path) -> None:
        """See `Syncs.removed`."""
        self._files.discard(str(file))
        self._folders.add(str(file.parent))

    def made(self, folder: Path) -> None:
        """See `Syncs.made`."""
        self._folders.add(str(folder.parent))

    def settle(self) -> None:
        """Make all of it durable, several files and folders at the same time."""
        files, self._files = self._files, set()
        later, self._folders = self._folders, set()
        folders = set[str]()
        for folder in later:
            # Those above a folder that is in the set are in it, too.
            while folder not in folders:
                folders.add(folder)
                if len(folder) <= len(self._root):
                    break
                folder = os.path.dirname(folder)  # noqa: PLW2901, PTH120 - on the way up
        if sys.platform == "win32":
            folders.clear()  # see `AtOnce`
        both = [*files, *folders]
        if len(both) < _FEW:
            _sync_all(both)
            return
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - loads logging

        with ThreadPoolExecutor(_SYNCS) as pool:
            list(pool.map(_sync_all, (both[start::_SYNCS] for start in range(_SYNCS))))


def _sync_all(places: Iterable[str]) -> None:
    for place in places:
        _sync(place)


def _sync(place: str) -> None:
    try:
        # Windows syncs only what it could write to.
        handle = os.open(place, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        error.filename = place
        raise


def start_writing(handle: int, start: int, size: int) -> None:
    """Let the system begin to write bytes of an open file to disk, and do not wait for it; all from
    `start` on if `size` is 0.

    What is left for the `fsync` at the end of a large file is then little. On Linux this advice does so
    for bytes that are not yet written; it drops none of them from memory.
    """
    if sys.platform == "linux":
        os.posix_fadvise(handle, start, size, os.POSIX_FADV_DONTNEED)
