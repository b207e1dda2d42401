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
None has a user, a query or a fragment: keys, signatures and tokens are options. `locations` tells what
is a URL and what a path.
With `filesystem`, a filesystem object the caller already has, the URL is a path on it.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from atomic_manifest.env import SYSTEM, AsyncEnv, Env
from atomic_manifest.errors import (
    InvalidPath,
    InvalidStorageOption,
    StoreError,
    UnsupportedByStore,
)
from atomic_manifest.forks import lock
from atomic_manifest.store.addresses import check_bucket, is_host
from atomic_manifest.store.driver import Driver
from atomic_manifest.store.locations import (
    AZURE,
    GCS,
    HTTP,
    S3,
    SCHEMES,
    file_path,
    instead_of,
    refuse_query,
    split_url,
    text_of,
)
from atomic_manifest.store.object_store import ObjectStore

if TYPE_CHECKING:
    from atomic_manifest.store.async_store import AsyncObjectStore
    from atomic_manifest.store.local import LocalDriver
    from atomic_manifest.store.memory import MemoryDriver
    from atomic_manifest.store.options.values import RemoteOptions

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
    if not isinstance(storage_options, Mapping | None):
        raise InvalidStorageOption(
            f"storage_options maps names to values, got {type(storage_options).__name__}",
            option="",
            path="",
        )
    options = dict(storage_options or {})
    if filesystem is not None:
        return _on_filesystem(filesystem, text_of(url), options, env)
    found = split_url(url)
    if found is None or found[0] == "file":
        _leave_alone(options)
        return _local(text_of(url) if found is None else file_path(found[1]), env)
    scheme, rest = found
    if scheme == "memory":
        refuse_query(scheme, rest)
        _leave_alone(options)
        return _memory(rest.strip("/") or "memory", env)
    if scheme in (*S3, *GCS, *AZURE):
        return _remote(scheme, rest, options, env)
    options.pop("conditional_put", None)
    if scheme in HTTP:
        from atomic_manifest.store.http.driver import HttpDriver  # noqa: PLC0415 - loads a client
        from atomic_manifest.store.options.http import read_http_options  # noqa: PLC0415

        return HttpDriver(text_of(url), **read_http_options(options))
    return _by_fsspec(scheme, text_of(url), options, env)


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
            f"no store for URLs that start with {scheme}://{instead_of(scheme)}; known are"
            f" {', '.join(SCHEMES)}, and what fsspec knows",
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
    refuse_query(scheme, rest)
    host, _, prefix = rest.partition("/")
    bucket, at, account_host = host.partition("@")
    if not bucket or (at and (scheme not in AZURE or not is_host(account_host))):
        # Not shown: what stands before an @ can be a secret.
        raise InvalidPath(f"a {scheme}:// URL must name a bucket, and no more before it", path="")
    check_bucket(scheme, bucket)
    opened: RemoteOptions
    from atomic_manifest.store.remote import buckets  # noqa: PLC0415 - obstore loads only when needed

    url = f"{scheme}://{host}/{prefix}".rstrip("/")
    if scheme in S3:
        from atomic_manifest.store.options.s3 import read_s3_options  # noqa: PLC0415

        opened = read_s3_options(options, bucket, environ=os.environ, env=env)
        return buckets.open_s3(bucket, opened, url=url, prefix=prefix)
    from atomic_manifest.store.options import cloud as options_cloud  # noqa: PLC0415

    if scheme in GCS:
        opened = options_cloud.read_gcs_options(options, environ=os.environ)
        return buckets.open_gcs(bucket, opened, url=url, prefix=prefix, env=env)
    account = account_host.partition(".")[0] or None
    opened = options_cloud.read_azure_options(options, account, environ=os.environ)
    return buckets.open_azure(bucket, opened, url=url, prefix=prefix, env=env)


def _local(path: str | os.PathLike[str], env: Env) -> "LocalDriver":
    from atomic_manifest.store.local import LocalDriver  # noqa: PLC0415 - loads only when needed

    return LocalDriver(path, env=env)


def _memory(name: str, env: Env) -> "MemoryDriver":
    from atomic_manifest.store.memory import MemoryDriver  # noqa: PLC0415 - loads only when needed

    with _memories_lock:
        return _memories.setdefault(name, MemoryDriver(name, env=env))


def _leave_alone(options: Mapping[str, Any]) -> None:
    if options:
        from atomic_manifest.store.options.local import leave_alone  # noqa: PLC0415 - few need it

        leave_alone(options)
