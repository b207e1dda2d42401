"""Local storage whose system calls fail on demand: the n-th one, or all from the n-th on."""

import io
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from atomic_manifest.store import local, local_status

PATH_CALLS = ("link", "lstat", "mkdir", "open", "replace", "rmdir", "stat", "unlink", "utime")
HANDLE_CALLS = ("close", "fstat", "fsync", "posix_fadvise", "utime")


class Mode(Enum):
    """What becomes of the call that fails."""

    ONCE = "fails once"
    ON = "fails, and so do all that follow"
    DONE = "is done, and reported as failed"


@dataclass
class FailingCalls:
    """Fails system calls on files below a folder.

    Attributes:
        root: The folder.
        number: The error.
        mode: See `Mode`.
        first: Calls before the one that fails; None lets all succeed.
        names: Of the calls so far.
    """

    root: Path
    number: int
    mode: Mode
    first: int | None
    names: list[str] = field(default_factory=list)
    _handles: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def has_failed(self) -> bool:
        """Whether there was a call to fail."""
        return self.first is not None and len(self.names) > self.first

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put it between the library and the system."""
        for name in {*PATH_CALLS, *HANDLE_CALLS}:
            patch.setattr(os, name, self._around(name, getattr(os, name)))
        patch.setattr(os, "scandir", self._scandir(os.scandir))
        for module in (local, local_status):
            patch.setattr(module, "FileIO", self._file_io())

    def call(self, name: str, act: Callable[[], Any], undo: Callable[[Any], None] | None = None):
        """Make a call, or fail it."""
        with self._lock:
            index = len(self.names)
            self.names.append(name)
        fails = self.first is not None and (
            index >= self.first if self.mode is Mode.ON else index == self.first
        )
        if not fails:
            return act()
        if self.mode is Mode.DONE or name == "close":  # a handle is never left open
            result = act()
            if undo is not None:
                undo(result)
        raise OSError(self.number, os.strerror(self.number))

    def _is_ours(self, place: Any) -> bool:
        if isinstance(place, int):
            return place in self._handles
        try:
            return os.fspath(place).startswith(str(self.root))
        except TypeError:
            return False

    def _around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(place: Any, *args: Any, **options: Any) -> Any:
            if not self._is_ours(place):
                return real(place, *args, **options)
            if name == "close":
                self._handles.discard(place)
            undo = real_close if name == "open" else None
            result = self.call(name, lambda: real(place, *args, **options), undo)
            if name == "open":
                self._handles.add(result)
            return result

        real_close = os.close
        return called

    def _scandir(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(place: Any = ".") -> Any:
            if not self._is_ours(place):
                return real(place)
            return self.call("scandir", lambda: real(place), lambda entries: entries.close())

        return called

    def _file_io(self) -> type[io.FileIO]:
        calls = self

        class FileIO(io.FileIO):
            def __init__(self, file: Any, mode: str = "r", closefd: bool = True) -> None:
                if isinstance(file, int):
                    super().__init__(file, mode, closefd)
                    return

                def opened() -> None:
                    io.FileIO.__init__(self, file, mode, closefd)
                    calls._handles.add(self.fileno())

                calls.call("open", opened, lambda _: io.FileIO.close(self))

            def write(self, data: Any) -> int:
                return calls.call("write", lambda: io.FileIO.write(self, data))

            def read(self, size: int = -1) -> bytes:
                return calls.call("read", lambda: io.FileIO.read(self, size))

            def readall(self) -> bytes:
                return calls.call("read", lambda: io.FileIO.readall(self))

            def close(self) -> None:
                if self.closed or not self.closefd:
                    return io.FileIO.close(self)
                calls._handles.discard(self.fileno())
                return calls.call("close", lambda: io.FileIO.close(self))

        return FileIO
