"""An object store as a `pyarrow` filesystem, to read from.

Invariants: a file is opened without a request where its size is known. A small file is read whole by
its first read; of a larger one every read is one ranged GET, and the tail that a Parquet footer needs
is kept. Writing through it raises.

Threads of Arrow's may let go of a file after its reader has all rows. A process that ends meanwhile would
be aborted, for such a thread cannot enter Python any more: so its end waits for them, a second at most.

Error semantics: the store's own errors come through, among them `NotFound`, a `FileNotFoundError`. An
object that is replaced while it is read, or shorter than it should be, raises `OSError`.
"""

import atexit
import os
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from stat import S_ISREG
from typing import Any, NoReturn

import pyarrow as pa
from pyarrow import fs

from atomic_manifest.errors import NotFound, UnsupportedByStore
from atomic_manifest.log.ranged import RangedFile
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.object_store import ObjectStore

WHOLE_BYTES = 256 << 10
"""Files up to this size are read by one request: cheaper than footer, then columns."""

_TAIL_BYTES = 64 << 10
_PAUSE_SECONDS = 0.005
_MOST_PAUSES = 200


def to_filesystem(store: ObjectStore, *, sizes: Mapping[str, int] | None = None) -> fs.FileSystem:
    """A filesystem whose root is the store's; read-only, except on local disks, where it is native
    unless a path holds a colon.

    Args:
        store: Where the files are.
        sizes: Path to bytes of files that never change, such as those a log names: they are opened
            without a request.
    """
    # Arrow takes a path such as `dc:type=a/f` for a URI where it reads itself.
    if isinstance(store.driver, LocalDriver) and not any(":" in path for path in sizes or ()):
        local, root = fs.FileSystem.from_uri(store.url)
        return fs.SubTreeFileSystem(root, local)
    return fs.PyFileSystem(StoreHandler(store, sizes or {}))


def check_files(store: ObjectStore, paths: Iterable[str]) -> None:
    """Check that files on local disks are there, and are files: Arrow would wait for a pipe for ever.

    Raises:
        NotFound: One is not.
    """
    if not isinstance(store.driver, LocalDriver):
        return
    root = fs.FileSystem.from_uri(store.url)[1]
    for path in paths:
        try:
            sound = S_ISREG(os.stat(f"{root}/{path}").st_mode)  # noqa: PTH116 - for many files
        except OSError:
            sound = False
        if not sound:
            store.head(path)


class StoreFile(RangedFile):
    """One object, read by ranges, whose last bytes are kept.

    Args:
        store: Where it is.
        path: Its path.
        size: Its bytes.
    """

    def __init__(self, store: ObjectStore, path: str, size: int) -> None:
        super().__init__(store, path, size)
        self._kept = b""
        self._kept_from = size
        _open.add(self)

    def _bytes(self, start: int, end: int) -> bytes:
        if start < self._kept_from:
            whole = self._size <= WHOLE_BYTES
            if not whole and end < self._size:
                return self._fetch((start, end))
            self._kept_from = 0 if whole else max(0, min(start, self._size - _TAIL_BYTES))
            self._kept = self._fetch((self._kept_from, self._size))
        return self._kept[start - self._kept_from : end - self._kept_from]


_open: weakref.WeakSet[StoreFile] = weakref.WeakSet()


@atexit.register
def wait_for_files() -> None:
    """Wait until nobody reads a file any more, a second at most. See the module."""
    never = threading.Event()
    for _ in range(_MOST_PAUSES):
        if not _open:
            return
        never.wait(_PAUSE_SECONDS)


class StoreHandler(fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow ships no types
    """What `pyarrow.fs.PyFileSystem` asks of a filesystem, answered by an `ObjectStore`.

    Args:
        store: Where the files are.
        sizes: See `to_filesystem`.
    """

    def __init__(self, store: ObjectStore, sizes: Mapping[str, int]) -> None:
        self._store = store
        self._sizes = sizes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoreHandler) and self._store is other._store

    def __hash__(self) -> int:
        return hash(id(self._store))

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a dataset reads through a store's connections and credentials and cannot be pickled: give"
            " the other process the URL and the version, and open the table and its dataset there"
        )

    def get_type_name(self) -> str:
        """Name of the kind of filesystem."""
        return "atomic_manifest"

    def normalize_path(self, path: str) -> str:
        """Paths are as the store has them."""
        return path

    def get_file_info(self, paths: Sequence[str]) -> list[fs.FileInfo]:
        """Look at paths: a file, a folder of files, or nothing."""
        return [self._info(path.strip("/")) for path in paths]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        """List the files and folders below a folder."""
        base = selector.base_dir.strip("/")
        depth = base.count("/") + 1 if base else 0
        files: list[fs.FileInfo] = []
        folders: dict[str, None] = {}
        for meta in self._store.list(base):
            parts = meta.path.split("/")
            for length in range(depth + 1, len(parts)):
                folders["/".join(parts[:length])] = None
            if selector.recursive or len(parts) == depth + 1:
                files.append(_file(meta.path, meta.size))
        if not files and not folders and base and not selector.allow_not_found:
            raise NotFound(f"no files below {base!r}", path=base)
        kept = [path for path in folders if selector.recursive or path.count("/") == depth]
        return [*(fs.FileInfo(path, fs.FileType.Directory) for path in kept), *files]

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open a file to read at any place."""
        size = self._sizes.get(path)
        if size is None:
            size = self._store.head(path).size
        return pa.PythonFile(StoreFile(self._store, path, size), mode="r")

    def open_input_stream(self, path: str) -> pa.NativeFile:
        """Open a file to read from its start."""
        return self.open_input_file(path)

    def _info(self, path: str) -> fs.FileInfo:
        if path in self._sizes:
            return _file(path, self._sizes[path])
        try:
            return _file(path, self._store.head(path).size)
        except NotFound:
            below = next(iter(self._store.list(path)), None)
            kind = fs.FileType.NotFound if below is None else fs.FileType.Directory
            return fs.FileInfo(path, kind)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise UnsupportedByStore("this filesystem only reads", path="")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _refuse
    delete_file = move = copy_file = open_output_stream = open_append_stream = _refuse


def _file(path: str, size: int) -> fs.FileInfo:
    return fs.FileInfo(path, fs.FileType.File, size=size)
