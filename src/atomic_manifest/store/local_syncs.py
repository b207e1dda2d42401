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
    """Makes durable what was written."""

    def data(self, handle: int, file: Path) -> None:
        """Of the bytes of an open file that has this name, or is about to get it."""

    def names(self, folder: Path) -> None:
        """Of the names in a folder."""

    def forget(self, file: Path) -> None:
        """Of nothing any more in a file that is removed."""


class AtOnce:
    """What was written is durable when the call returns."""

    def data(self, handle: int, file: Path) -> None:
        """See `Syncs.data`."""
        del file
        os.fsync(handle)

    def names(self, folder: Path) -> None:
        """See `Syncs.names`."""
        if sys.platform == "win32":
            return  # Windows cannot open a folder, and journals names itself.
        _sync(str(folder))

    def forget(self, file: Path) -> None:
        """See `Syncs.forget`."""


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

    def data(self, handle: int, file: Path) -> None:
        """See `Syncs.data`. The system begins to write them, so that little is left for the end."""
        start_writing(handle, 0, 0)
        self._files.add(str(file))

    def names(self, folder: Path) -> None:
        """See `Syncs.names`."""
        self._folders.add(str(folder))

    def forget(self, file: Path) -> None:
        """See `Syncs.forget`."""
        self._files.discard(str(file))

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
            folders.clear()  # see `AtOnce.names`
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
