"""Any filesystem of fsspec whose conditional writes are none: reads, and writes without a condition.

fsspec's `exists()`-then-write is no condition, so `when` raises `UnsupportedByStore`, which says what
to use instead. ETags are what the filesystem tells of a file, if it tells any. Nothing is taken from a
cache of listings. A put may be seen half done by readers, where the filesystem shows that.

Error semantics: a filesystem's time-outs and connection errors are `StoreUnavailable` of reads and
`Unanswered` of writes; what it does not implement is `UnsupportedByStore`; its other errors are
`StoreError` with the name of their class, for their texts may hold addresses and secrets.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import IO, Any, TypeVar

from atomic_manifest.errors import (
    NotFound,
    NotModified,
    StoreError,
    StorePermissionDenied,
    StoreUnavailable,
    UnsupportedByStore,
)
from atomic_manifest.store.addresses import redacted
from atomic_manifest.store.capabilities import Capabilities, Finding, Support
from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import (
    Data,
    Deleted,
    DeleteOutcome,
    Object,
    ObjectMeta,
    Unanswered,
    WriteOutcome,
    Written,
    check_path,
    refuse_pickling,
)
from atomic_manifest.store.keys import check_range, check_start, folder
from atomic_manifest.store.locations import root_in
from atomic_manifest.store.spool import SpooledUpload

INSTEAD = {
    "fsspec.implementations.memory.MemoryFileSystem": "a memory:// URL",
    "fsspec.implementations.http.HTTPFileSystem": "an https:// URL",
    "fsspec.implementations.webhdfs.WebHDFS": "a bucket",
    "obstore.fsspec.FsspecStore": "the URL with storage_options",
    "webdav4.fsspec.WebdavFileSystem": "an https:// URL",
}
"""What to open where conditions are needed, by the filesystem's class."""

_T = TypeVar("_T")
_ETAGS = ("ETag", "etag", "e_tag", "generation")
_TIMES = ("LastModified", "last_modified", "modified", "mtime", "updated", "created")


class PlainFilesystemDriver:
    """A folder of a filesystem.

    Args:
        fs: Of fsspec.
        root: The folder, with or without the filesystem's protocol.
    """

    keeps_metadata = False
    lists_in_order = True

    _url = ""  # for the `repr` of one that was refused

    def __init__(self, fs: Any, root: str) -> None:
        self._fs = fs
        self._root = root_in(fs, root).rstrip("/") + "/"
        protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
        place = self._root.rstrip("/")
        self._url = redacted(place if "://" in place else f"{protocol}://{place}")

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self._url

    __reduce__ = refuse_pickling

    def __repr__(self) -> str:
        return f"PlainFilesystemDriver({self._url!r})"

    @property
    def endpoint(self) -> str:
        """The service, for what is remembered of it."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """None: no condition is ever sent."""
        found = Finding(Support.UNSUPPORTED, "the filesystem looks first and writes after")
        known = Capabilities(endpoint=self._name, source="known")
        verbs = ("put_", "upload_", "copy_", "delete_")
        names = [name for name, _ in known.findings() if name.startswith(verbs)]
        return known.with_findings(dict.fromkeys(names, found))

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`. Looks first, then reads; what changes between is not noticed."""
        start, end = (None, None) if range is None else check_range(path, range)
        meta = self.head(path, if_none_match=if_none_match)
        if start is not None:
            check_start(path, start, meta.size)
        ask = partial(self._fs.cat_file, self._file(path), start=start, end=end)
        data = self._asked(path, ask)
        return Object(bytes(data), meta)

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        file = self._file(path)
        info = self._asked(path, lambda: self._fresh().info(file))
        if info["type"] != "file":
            raise NotFound(f"{path} is a folder", path=path)
        meta = _meta(path, info)
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
        file, body = self._file(path), bytes(data)
        self._unconditional(path, when)

        def write() -> None:
            self._make_folder(file)
            self._fs.pipe_file(file, body)

        return self._written(path, len(body), write)

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> SpooledUpload:
        """See `Driver.start_upload`. `metadata` is not kept."""
        del max_in_flight, metadata
        file = self._file(path)
        self._unconditional(path, when)

        def put(source: IO[bytes], size: int) -> WriteOutcome:
            def write() -> None:
                self._make_folder(file)
                with self._fs.open(file, "wb") as target:
                    shutil.copyfileobj(source, target, part_size)

            return self._written(path, size, write)

        return SpooledUpload(put, part_size)

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        file = self._file(path)
        self._unconditional(path, when)
        self._unconditional(path, source_when)
        found = self.head(source)

        def write() -> None:
            self._make_folder(file)
            self._fs.cp_file(self._file(source), file)

        return self._written(path, found.size, write)

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        file = self._file(path)
        self._unconditional(path, when)
        if version is not None:
            raise UnsupportedByStore(f"{path}: {self._name} offers no versions", path=path)
        try:
            self.head(path)  # a folder of this name is not to be deleted
            self._asked(path, partial(self._fs.rm_file, file))
        except NotFound:
            return Deleted()
        except StoreUnavailable as error:
            return Unanswered(error)
        return Deleted()

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        for path in paths:
            outcome = self.delete(path)
            if isinstance(outcome, Unanswered):
                raise outcome.cause

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`. The whole listing is read at once, and put in order."""
        below, after = folder(prefix), start_after or ""
        place = (self._root + below).rstrip("/") or self._root
        found: dict[str, Any] = {}
        with suppress(NotFound):
            found = self._asked(prefix, lambda: self._fresh().find(place, detail=True))
        cut = len(self._root)
        metas = [_meta(name[cut:], info) for name, info in found.items()]
        wanted = (meta for meta in metas if meta.path.startswith(below) and meta.path > after)
        return iter(sorted(wanted, key=lambda meta: meta.path))

    @property
    def _name(self) -> str:
        return type(self._fs).__name__

    def _file(self, path: str) -> str:
        return self._root + check_path(path)

    def _fresh(self) -> Any:
        """The filesystem, without listings that it keeps."""
        with suppress(NotImplementedError):
            self._fs.invalidate_cache()
        return self._fs

    def _make_folder(self, file: str) -> None:
        with suppress(FileExistsError, NotImplementedError):
            self._fs.makedirs(file.rpartition("/")[0], exist_ok=True)

    def _unconditional(self, path: str, when: Condition | None) -> None:
        if when is None:
            return
        kinds = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(self._fs).__mro__)
        instead = next((INSTEAD[kind] for kind in kinds if kind in INSTEAD), None)
        raise UnsupportedByStore(
            f"{path}: {self._name} cannot write on a condition, only look first and write after; use"
            f" {instead or 's3fs, gcsfs, adlfs, a local folder, or an https:// URL'}",
            path=path,
        )

    def _written(self, path: str, size: int, write: Callable[[], None]) -> WriteOutcome:
        try:
            self._asked(path, write, writing=True)
        except StoreUnavailable as error:
            return Unanswered(error)
        return Written(ObjectMeta(path, size))

    def _asked(self, path: str, ask: Callable[[], _T], *, writing: bool = False) -> _T:
        """What the filesystem gives; its errors become this library's.

        Raised after the handler and outside any `with`, so that nothing keeps the filesystem's text.
        """
        name = path or "the root"
        try:
            return ask()
        except (StoreError, AssertionError):
            raise
        except Exception as error:  # noqa: BLE001 - a filesystem may raise anything
            told = _told(error, f"{name}: {self._name} failed with {type(error).__name__}", path)
            if isinstance(error, _MISSING) and not writing:
                told = NotFound(f"{name} does not exist", path=path)
        raise told


_MISSING = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


def _told(error: Exception, text: str, path: str) -> StoreError:
    if isinstance(error, PermissionError):
        return StorePermissionDenied(text, path=path)
    if isinstance(error, NotImplementedError):
        return UnsupportedByStore(text, path=path)
    if isinstance(error, ConnectionError | TimeoutError):
        return StoreUnavailable(text, path=path)
    return StoreError(text, path=path)


def _meta(path: str, info: Mapping[str, Any]) -> ObjectMeta:
    etag = next((info[name] for name in _ETAGS if info.get(name)), None)
    time = next((info[name] for name in _TIMES if info.get(name)), None)
    return ObjectMeta(
        path, info.get("size") or 0, ETag.parse(str(etag)) if etag else None, _moment(time)
    )


def _moment(time: Any) -> datetime | None:
    if isinstance(time, int | float):
        return datetime.fromtimestamp(time, UTC)
    if not isinstance(time, datetime):
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
