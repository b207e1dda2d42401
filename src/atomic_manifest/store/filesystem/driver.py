"""Stores over a filesystem object of fsspec, with the settings and credentials it has.

| filesystem | what it is good for |
| --- | --- |
| `s3fs.S3FileSystem` | everything, by its client (`s3_calls`) |
| `gcsfs.GCSFileSystem` | everything, by its session (`gcs_calls`) |
| `adlfs.AzureBlobFileSystem` | everything, by its account (`azure_calls`) |
| fsspec's and pyarrow's of local files | everything, by `LocalDriver` |
| `DirFileSystem`, pyarrow's wrapper of fsspec | what the filesystem within is good for |
| fsspec's caching filesystems | nothing: they read what is no longer there |
| any other | reading and unconditional writing (`plain`) |

fsspec itself has no conditional write: `pipe_file(mode="create")` and `open(mode="x")` of its base
class, and so of its local and memory filesystems, look first and write after. A filesystem is on the
list above only for what its service evaluates.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import InvalidPath, UnsupportedByStore
from atomic_manifest.store.addresses import check_bucket
from atomic_manifest.store.capabilities import UNTESTED, Capabilities, all_safe
from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import (
    Data,
    DeleteOutcome,
    Driver,
    Object,
    ObjectMeta,
    WriteOutcome,
    refuse_pickling,
)
from atomic_manifest.store.failures import Service
from atomic_manifest.store.keys import folder, is_directory_bucket
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.locations import local_path, refuse_query, root_in
from atomic_manifest.threads import outlive_main

if TYPE_CHECKING:
    from atomic_manifest.store.filesystem.async_driver import AsyncFsspecDriver
    from atomic_manifest.store.filesystem.bucket import FilesystemBucket
    from atomic_manifest.store.filesystem.calls import Calls
    from atomic_manifest.store.filesystem.upload import FilesystemUpload

_T = TypeVar("_T")

_S3 = "s3fs.core.S3FileSystem"
_GCS = "gcsfs.core.GCSFileSystem"
_AZURE = "adlfs.spec.AzureBlobFileSystem"
_LOCAL = "fsspec.implementations.local.LocalFileSystem"
_FOLDER = "fsspec.implementations.dirfs.DirFileSystem"
_CACHING = "fsspec.implementations.cached.CachingFileSystem"
_FSSPEC = "fsspec.spec.AbstractFileSystem"
_ARROW_LOCAL = "pyarrow._fs.LocalFileSystem"
_ARROW_WRAPPER = "pyarrow._fs.PyFileSystem"
_ARROW_FOLDER = "pyarrow._fs.SubTreeFileSystem"


def open_filesystem(fs: Any, root: str, *, env: Env = SYSTEM) -> Driver:
    """Open a folder of a filesystem. Nothing is sent before the first request.

    Args:
        fs: Of fsspec, or pyarrow's of local files or around one of fsspec.
        root: The folder, as the filesystem names it, with or without its protocol.
        env: Clock, randomness and ids.

    Raises:
        UnsupportedByStore: If `fs` is no such filesystem, or one that caches.
        InvalidPath: If `root` names no bucket where there has to be one.
    """
    kinds = kinds_of(fs)
    if _FOLDER in kinds:
        return open_filesystem(fs.fs, _joined(fs.path, root), env=env)
    if _ARROW_FOLDER in kinds:
        return open_filesystem(fs.base_fs, _joined(fs.base_path, root), env=env)
    if _ARROW_WRAPPER in kinds and hasattr(fs.handler, "fs"):
        return open_filesystem(fs.handler.fs, root, env=env)
    if _LOCAL in kinds or _ARROW_LOCAL in kinds:
        path = local_path(root)
        return LocalDriver(root_in(fs, root) if _LOCAL in kinds else path, env=env)
    if _CACHING in kinds:
        raise UnsupportedByStore(
            f"{type(fs).__name__} answers reads from copies that may be old: give the filesystem that"
            " it caches",
            path="",
        )
    if kinds & {_S3, _GCS, _AZURE}:
        return FsspecDriver(fs, root, env=env)
    if _FSSPEC not in kinds:
        raise UnsupportedByStore(
            f"{type(fs).__module__}.{type(fs).__name__} is no filesystem of fsspec: give one, or a URL"
            " with storage_options",
            path="",
        )
    from atomic_manifest.store.filesystem.plain import PlainFilesystemDriver  # noqa: PLC0415

    return PlainFilesystemDriver(fs, root)


def kinds_of(fs: Any) -> frozenset[str]:
    """The full names of an object's classes, which say what it is without importing anything."""
    return frozenset(f"{kind.__module__}.{kind.__qualname__}" for kind in type(fs).__mro__)


def _joined(base: str, path: str) -> str:
    return "/".join(part for part in (base.rstrip("/"), path.strip("/")) if part)


class FsspecDriver:
    """A folder of a bucket, through `s3fs`, `gcsfs` or `adlfs`. See `open_filesystem` for others.

    Requests run on fsspec's event loop in the background, and are safe to make from any thread but its
    own. A filesystem made with `asynchronous=True` is not used itself, but another made like it.

    Args:
        fs: The filesystem.
        root: Bucket (container on Azure) and folder, with or without the protocol.
        env: Gives what must be unique.

    Raises:
        UnsupportedByStore: If it is another filesystem.
        InvalidPath: If `root` names no bucket.
    """

    _url = ""  # for the `repr` of one that was refused

    def __init__(self, fs: Any, root: str, *, env: Env = SYSTEM) -> None:
        self._open = partial(open_bucket, fs, root, env=env)
        self._bucket, self._calls, self._url = self._open()
        self._process = os.getpid()

    @property
    def bucket(self) -> "FilesystemBucket":
        """What is done there."""
        return self._opened()[0]

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where it is done."""
        return self._opened()[1].loop

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return self._url

    __reduce__ = refuse_pickling

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    @property
    def lists_in_order(self) -> bool | None:
        """See `store.keys.lists_in_order`."""
        if self._calls.service == Service.GCS.value:
            return True
        return False if is_directory_bucket(urlsplit(self._url).netloc) else None

    @property
    def endpoint(self) -> str:
        """The service, for what is remembered of it."""
        bucket, calls = self._opened()
        return self._run(bucket.endpoint()) or calls.service

    @property
    def capabilities(self) -> Capabilities | None:
        """What the provider's own service documents; None of any other."""
        bucket, calls = self._opened()
        if self.lists_in_order is False or self._run(bucket.endpoint()) is not None:
            return None
        return documented(calls.service)

    def as_async(self) -> "AsyncFsspecDriver":
        """The same bucket for tasks of any event loop."""
        from atomic_manifest.store.filesystem.async_driver import AsyncFsspecDriver  # noqa: PLC0415 - a cycle

        return AsyncFsspecDriver(self)

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`."""
        return self._run(self.bucket.get(path, range=range, if_none_match=if_none_match))

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        return self._run(self.bucket.head(path, if_none_match=if_none_match))

    def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`."""
        return self._run(self.bucket.put(path, data, when=when, metadata=metadata))

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> "FsspecUpload":
        """See `Driver.start_upload`."""
        started = self.bucket.start_upload(
            path, part_size=part_size, max_in_flight=max_in_flight, when=when, metadata=metadata
        )
        return FsspecUpload(self._run, started)

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`."""
        return self._run(self.bucket.copy(source, path, when=when, source_when=source_when))

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`."""
        return self._run(self.bucket.delete(path, when=when, version=version))

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`. S3 takes a thousand in one request."""
        self._run(self.bucket.delete_many(paths))

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`. The order is the service's own, which is by code point."""
        folder(prefix)
        return self._listed(prefix, start_after)

    def _listed(self, prefix: str, start_after: str | None) -> Iterator[ObjectMeta]:
        token: str | None = ""
        while token is not None:
            page, token = self._run(self.bucket.page(prefix, start_after, token))
            yield from page

    def _opened(self) -> "tuple[FilesystemBucket, Calls]":
        """The bucket, opened once more in a process that was forked: it has no thread of the loop."""
        if self._process != os.getpid():
            self._parents = self._calls  # kept: to clean up, it would wait for a lost thread
            self._bucket, self._calls, _ = self._open()
            self._process = os.getpid()
        return self._bucket, self._calls

    def _run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        outlive_main(self.loop)
        under_way = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return under_way.result()
        except BaseException:
            under_way.cancel()  # of use when it was the wait that ended
            raise


class FsspecUpload:
    """A multipart upload in progress. See `DriverUpload`.

    Args:
        run: Runs a coroutine on the filesystem's event loop.
        upload: Lives there.
    """

    def __init__(
        self, run: Callable[[Coroutine[Any, Any, Any]], Any], upload: "FilesystemUpload"
    ) -> None:
        self._run = run
        self._upload = upload

    def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        self._run(self._upload.write(data))

    def flush(self) -> None:
        """Send what was written, so that `finish` only completes; for the probe."""
        self._run(self._upload.flush())

    def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`."""
        outcome: WriteOutcome = self._run(self._upload.finish())
        return outcome

    def abort(self) -> None:
        """See `DriverUpload.abort`."""
        self._run(self._upload.abort())


def open_bucket(fs: Any, root: str, *, env: Env) -> "tuple[FilesystemBucket, Calls, str]":
    """A folder of a bucket of a filesystem with real conditions, its calls and its URL.

    Raises:
        UnsupportedByStore: If it is another filesystem.
        InvalidPath: If `root` names no bucket.
    """
    bucket, _, prefix = root_in(fs, root).strip("/").partition("/")
    if not bucket:
        raise InvalidPath("the root must name a bucket", path="")
    from atomic_manifest.store.filesystem.bucket import FilesystemBucket  # noqa: PLC0415

    calls = _calls(fs, bucket, env)
    check_bucket(calls.scheme, bucket)
    if "://" in root:
        refuse_query(calls.scheme, prefix)
    return FilesystemBucket(calls, prefix), calls, f"{calls.scheme}://{bucket}/{prefix}".rstrip("/")


def documented(service: str) -> Capabilities:
    """What a provider says of its own service."""
    known = all_safe(service, "known")
    return replace(
        known,
        put_if_match_any=UNTESTED,
        upload_if_match_any=UNTESTED,
        copy_if_match_any=UNTESTED,
        list_order=UNTESTED if service == Service.AZURE.value else known.list_order,
    )


def _calls(fs: Any, bucket: str, env: Env) -> "Calls":
    kinds = kinds_of(fs)
    if _S3 in kinds:
        from atomic_manifest.store.filesystem.s3_calls import S3Calls  # noqa: PLC0415 - loads an SDK

        return S3Calls(fs, bucket)
    if _GCS in kinds:
        from atomic_manifest.store.filesystem.gcs_calls import GCSCalls  # noqa: PLC0415 - loads an SDK

        return GCSCalls(fs, bucket, env)
    if _AZURE in kinds:
        from atomic_manifest.store.filesystem.azure_calls import AzureCalls  # noqa: PLC0415 - loads an SDK

        return AzureCalls(fs, bucket, env)
    raise UnsupportedByStore(
        f"{type(fs).__name__} is none of s3fs, gcsfs and adlfs: see open_filesystem", path=bucket
    )
