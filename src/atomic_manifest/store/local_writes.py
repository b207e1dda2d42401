"""Write a local file whole and force it to disk, before it gets its name.

Error semantics: see `store.local`.
"""

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

from atomic_manifest.env import Env
from atomic_manifest.store.conditions import Condition
from atomic_manifest.store.driver import Data, WriteOutcome
from atomic_manifest.store.local_names import give_name
from atomic_manifest.store.local_status import reported
from atomic_manifest.store.local_syncs import Syncs, start_writing


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
        remove_temporary(self._temporary)
        return outcome

    def abort(self) -> None:
        """See `DriverUpload.abort`."""
        with reported(self._path, writing=True):
            try:
                self._opened.close()
            finally:
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
    # The time is the file system's own, which all its users share. It passes in steps of milliseconds, in
    # which a file may be replaced by another one of its number and size: what is added tells them apart.
    place = opened.fileno() if os.utime in os.supports_fd else opened.name
    moment = os.fstat(opened.fileno()).st_mtime_ns + int(env.random() * 1e6)
    os.utime(place, ns=(moment, moment))
    if when is None:
        syncs.data(opened.fileno())
    else:
        os.fsync(opened.fileno())
    return os.fstat(opened.fileno())


def remove_temporary(temporary: Path) -> None:
    """Remove a temporary file, if it can be done: what is left is nobody's, and goes in time."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)
