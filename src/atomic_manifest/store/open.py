"""From a URL and storage options to a store.

| URL | store |
| --- | --- |
| `s3://bucket/folder`, `s3a://...` | Amazon S3 and what speaks its language |
| `gs://bucket/folder`, `gcs://...` | Google Cloud Storage |
| `az://container/folder`, `azure://...`, `abfs[s]://container[@account.host]/folder` | Azure |
| `file:///folder`, `file:/folder`, or a plain path | a local file system |
| `memory://name` | this process's memory; one name, one store |
| `https://host/folder`, `http://...` | a server that takes conditional PUTs, such as one of WebDAV |
| any other that fsspec knows | what `open_filesystem` says of fsspec's filesystem for it |

What follows the bucket is taken literally, not percent-decoded, as fsspec does; an HTTP URL is a URL.
With `filesystem`, a filesystem object the caller already has, the URL is a path on it.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from atomic_manifest.env import SYSTEM, AsyncEnv, Env
from atomic_manifest.errors import (
    InvalidPath,
    InvalidStorageOption,
    StoreError,
    UnsupportedByStore,
)
from atomic_manifest.forks import lock
from atomic_manifest.store.driver import Driver
from atomic_manifest.store.object_store import ObjectStore

if TYPE_CHECKING:
    from atomic_manifest.store.async_store import AsyncObjectStore
    from atomic_manifest.store.local import LocalDriver
    from atomic_manifest.store.memory import MemoryDriver
    from atomic_manifest.store.options.values import RemoteOptions

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/(?!/).*)", re.DOTALL)
_S3 = ("s3", "s3a")
_GCS = ("gs", "gcs")
_AZURE = ("az", "azure", "abfs", "abfss")
_HTTP = ("http", "https")
_SCHEMES = (*_S3, *_GCS, *_AZURE, *_HTTP, "file", "memory")

_memories: dict[str, "MemoryDriver"] = {}
_memories_lock = lock()


def open_store(
    url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    filesystem: Any = None,
    env: Env = SYSTEM,
) -> ObjectStore:
    """Open a store. Nothing is sent before the first request.

    Args:
        url: See the table above.
        storage_options: Under the names of fsspec's filesystems or of deltalake; `timeout`
            (default 30) and `connect_timeout` (default 5) are in seconds. Environment variables
            stand in for what is not given.
        filesystem: A filesystem of fsspec, or pyarrow's of local files, on which `url` is a path. It
            has its settings already: of the options only `conditional_put` goes with it.
        env: Clock, randomness and ids.

    Raises:
        InvalidPath: If `url` is not a URL of a store.
        InvalidStorageOption: If an option is not known, or has a value it cannot have.
        UnsupportedByStore: If `filesystem` is none, or one that caches; if the package that fsspec
            needs for the URL is not installed.
    """
    driver = open_driver(url, storage_options, filesystem=filesystem, env=env)
    if not storage_options:
        return ObjectStore(driver, env=env)
    from atomic_manifest.store.capabilities import assumed_by  # noqa: PLC0415 - few need it

    return ObjectStore(driver, env=env, capabilities=assumed_by(storage_options))


def open_driver(
    url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    filesystem: Any = None,
    env: Env = SYSTEM,
) -> Driver:
    """Open only the driver, which makes single attempts. Arguments and errors as `open_store`."""
    options = dict(storage_options or {})
    text: Any = None
    with suppress(TypeError):
        text = os.fspath(url)
    if not isinstance(text, str):
        raise InvalidPath(f"a store has a URL or a path, got {type(url).__name__}", path="")
    if filesystem is not None:
        return _on_filesystem(filesystem, text, options, env)
    matched = _URL.fullmatch(text)
    if matched is None:
        if "::" in text and "://" in text:
            raise InvalidPath(
                "a chain of URLs names no store: open its filesystem, and give it as `filesystem`",
                path="",
            )
        _refuse_options(options)
        return _local(_path(text), env)
    scheme, rest = matched[1].lower(), matched[2]
    if scheme == "file":
        _refuse_options(options)
        return _local(_file_path(rest), env)
    if scheme == "memory":
        _refuse_options(options)
        return _memory(rest.strip("/") or "memory", env)
    if scheme in (*_S3, *_GCS, *_AZURE):
        return _remote(scheme, rest, options, env)
    options.pop("conditional_put", None)
    if scheme in _HTTP:
        from atomic_manifest.store.http.driver import HttpDriver  # noqa: PLC0415 - loads a client
        from atomic_manifest.store.options.http import read_http_options  # noqa: PLC0415

        return HttpDriver(text, **read_http_options(options))
    return _by_fsspec(scheme, text, options, env)


def open_async_store(
    url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    filesystem: Any = None,
    env: AsyncEnv = SYSTEM,
) -> "AsyncObjectStore":
    """Open a store for asyncio. Arguments and errors as `open_store`.

    Requests to S3, Google Cloud Storage and Azure are asynchronous all through, others run in threads.
    """
    store = open_store(url, storage_options, filesystem=filesystem, env=env)
    from atomic_manifest.store.async_store import AsyncObjectStore  # noqa: PLC0415 - few need it

    return AsyncObjectStore.of(store)


def _path(text: str) -> str | Path:
    """A local path; `file:/folder` is one, too (RFC 8089, "File URI Syntax")."""
    matched = _ONE_SLASH.fullmatch(text)
    if matched is None or (scheme := matched[1].lower()) not in _SCHEMES:
        return text
    if scheme != "file":
        raise InvalidPath(
            f"a URL with one slash after {scheme}: names no store, it takes two (pathlib.Path takes one"
            " away: give the URL as text)",
            path="",
        )
    return _file_path(matched[2])


def _on_filesystem(fs: Any, path: str, options: dict[str, Any], env: Env) -> Driver:
    options.pop("conditional_put", None)
    for option, value in options.items():
        if value is not None:
            raise InvalidStorageOption(
                f"storage option {option!r} comes too late for a filesystem that is there already",
                option=option,
                path="",
            )
    from atomic_manifest.store.filesystem.driver import open_filesystem  # noqa: PLC0415 - loads asyncio

    return open_filesystem(fs, path, env=env)


def _by_fsspec(scheme: str, url: str, options: Mapping[str, Any], env: Env) -> Driver:
    """What fsspec knows and this floor does not."""
    import fsspec.core  # noqa: PLC0415 - it takes long to load

    if scheme not in fsspec.available_protocols():
        raise InvalidPath(
            f"no store for URLs that start with {scheme}://; known are {', '.join(_SCHEMES)}, and what"
            " fsspec knows",
            path=scheme,
        )
    error: StoreError
    try:
        fs, path = fsspec.core.url_to_fs(url, **options)
    except ImportError:
        error = UnsupportedByStore(f"fsspec needs another package for {scheme}:// URLs", path="")
    except Exception as raised:  # noqa: BLE001 - a filesystem may raise anything
        # Its text may hold secrets.
        error = InvalidStorageOption(
            f"fsspec's filesystem for {scheme}:// does not open with these storage options"
            f" ({type(raised).__name__})",
            option=", ".join(sorted(options)),
            path="",
        )
    else:
        return _on_filesystem(fs, path, {}, env)
    raise error


def _remote(scheme: str, rest: str, options: Mapping[str, Any], env: Env) -> Driver:
    host, _, prefix = rest.partition("/")
    bucket, at, account_host = host.partition("@")
    if not bucket or (at and scheme not in _AZURE):
        # Not shown: what stands before an @ can be a secret.
        raise InvalidPath(f"a {scheme}:// URL must name a bucket, and no more before it", path="")
    opened: RemoteOptions
    from atomic_manifest.store.remote import buckets  # noqa: PLC0415 - obstore loads only when needed

    url = f"{scheme}://{host}/{prefix}".rstrip("/")
    if scheme in _S3:
        from atomic_manifest.store.options.s3 import read_s3_options  # noqa: PLC0415

        opened = read_s3_options(options, bucket, environ=os.environ, env=env)
        return buckets.open_s3(bucket, opened, url=url, prefix=prefix)
    from atomic_manifest.store.options import cloud as options_cloud  # noqa: PLC0415

    if scheme in _GCS:
        opened = options_cloud.read_gcs_options(options)
        return buckets.open_gcs(bucket, opened, url=url, prefix=prefix, env=env)
    account = account_host.partition(".")[0] or None
    opened = options_cloud.read_azure_options(options, account)
    return buckets.open_azure(bucket, opened, url=url, prefix=prefix, env=env)


def _file_path(rest: str) -> Path:
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost"):
        raise InvalidPath(f"a file:// URL of another host: {host!r}", path=rest)
    decoded = unquote(path)
    return Path(decoded if re.match(r"[A-Za-z]:", decoded) else slash + decoded)


def _local(path: str | os.PathLike[str], env: Env) -> "LocalDriver":
    from atomic_manifest.store.local import LocalDriver  # noqa: PLC0415 - loads only when needed

    return LocalDriver(path, env=env)


def _memory(name: str, env: Env) -> "MemoryDriver":
    from atomic_manifest.store.memory import MemoryDriver  # noqa: PLC0415 - loads only when needed

    with _memories_lock:
        return _memories.setdefault(name, MemoryDriver(name, env=env))


def _refuse_options(options: Mapping[str, Any]) -> None:
    for option, value in options.items():
        if value is not None:
            raise InvalidStorageOption(
                f"storage option {option!r} means nothing to a local store", option=option, path=""
            )
