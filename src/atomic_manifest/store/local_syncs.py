"""When what was written to a local disk is made durable: at once, or all of a batch together.

Windows cannot open a folder: there, the names of files are left to the journal of NTFS.

Error semantics: what the operating system raises comes through; from `settle` it names the file or folder.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

from atomic_manifest.threads import in_parallel

_SYNCS = 8
"""Files and folders that are synced at the same time."""

_FEW = 4


Sync: TypeAlias = Callable[[], None]
"""Makes the names in a folder durable."""


class Syncs(Protocol):
    """Is told what was written, and makes it durable."""

    def data(self, handle: int) -> None:
        """The bytes of an open file are complete."""

    def naming(self, file: Path) -> AbstractContextManager[Sync]:
        """A file is about to get its name; what is given is to be called once it has it.

        All that can fail beforehand does: then nothing has happened yet.
        """

    def removing(self, file: Path) -> AbstractContextManager[Sync]:
        """A file is about to lose its name; see `naming`."""

    def made(self, folder: Path) -> None:
        """A folder was created."""


class AtOnce:
    """What was written is durable when the call returns."""

    def data(self, handle: int) -> None:
        """See `Syncs.data`."""
        os.fsync(handle)

    def naming(self, file: Path) -> AbstractContextManager[Sync]:
        """See `Syncs.naming`."""
        return _folder(file.parent)

    def removing(self, file: Path) -> AbstractContextManager[Sync]:
        """See `Syncs.removing`."""
        return _folder(file.parent)

    def made(self, folder: Path) -> None:
        """See `Syncs.made`."""
        with _folder(folder.parent) as sync:
            sync()


@contextmanager
def _folder(folder: Path) -> Iterator[Sync]:
    """Open a folder; gives what makes its names durable."""
    if sys.platform == "win32":
        yield lambda: None  # Windows cannot open a folder, and journals names itself.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield lambda: os.fsync(handle)
    finally:
        close_read(handle)


def close_read(handle: int) -> None:
    """Close a handle through which nothing was written: no error of that matters."""
    with suppress(OSError):
        os.close(handle)


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

    @contextmanager
    def naming(self, file: Path) -> Iterator[Sync]:
        """See `Syncs.naming`."""
        yield partial(self._changed, file, self._files.add)

    @contextmanager
    def removing(self, file: Path) -> Iterator[Sync]:
        """See `Syncs.removing`."""
        yield partial(self._changed, file, self._files.discard)

    def made(self, folder: Path) -> None:
        """See `Syncs.made`."""
        self._folders.add(str(folder.parent))

    def _changed(self, file: Path, note: Callable[[str], None]) -> None:
        note(str(file))
        self._folders.add(str(file.parent))

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
        in_parallel("sync", _sync_all, (both[start::_SYNCS] for start in range(_SYNCS)), _SYNCS)


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
            close_read(handle)
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
