"""The client beside obstore, for what obstore cannot ask: conditional uploads, copies and deletions.

In a process that was forked after obstore's first request, it is asked everything (see `forks`).

It is the SDK of fsspec's filesystem for the service, asked directly (see `filesystem.calls`), with the
settings of the first client: `s3_verbs`, `gcs_verbs` and `azure_verbs` say how. It is opened when
first needed, since that imports a large package, and once more in a process that was forked. Its
coroutines run on fsspec's event loop, in a thread of its own; a caller waits for them in a thread
(`run`) or in a task of another event loop (`run_async`).
"""

import asyncio
import os
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from atomic_manifest.errors import StoreError, UnsupportedByStore
from atomic_manifest.forks import lock
from atomic_manifest.store.conditions import Condition
from atomic_manifest.store.failures import Service
from atomic_manifest.store.filesystem.bucket import FilesystemBucket
from atomic_manifest.store.filesystem.calls import Calls
from atomic_manifest.store.options.values import RemoteOptions
from atomic_manifest.store.remote.terms import Dialect
from atomic_manifest.threads import from_loop, outlive_main

_T = TypeVar("_T")
Asked: TypeAlias = Callable[[FilesystemBucket], Coroutine[Any, Any, _T]]
"""Asks the bucket for something."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_TIMEOUT, _CONNECT_TIMEOUT = 30.0, 5.0
_WORK = "conditional uploads, copies and deletions"


def timeouts(client: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds to wait for a connection, and for the next bytes of an answer."""
    return (
        seconds(client.get("connect_timeout"), _CONNECT_TIMEOUT),
        seconds(client.get("timeout") or client.get("read_timeout"), _TIMEOUT),
    )


def seconds(duration: str | None, default: float) -> float:
    """Read a duration such as `30s` or `1500ms`."""
    matched = _DURATION.fullmatch(duration or "")
    return float(matched[1]) * _SECONDS[matched[2]] if matched else default


def check_followed(options: RemoteOptions, unknown: Iterable[str]) -> None:
    """Raise `UnsupportedByStore` if an option is given that the second client could not follow."""
    given = {**options.config, **options.client}
    for option in unknown:
        if given.get(option):
            raise UnsupportedByStore(
                f"{_WORK} cannot follow the storage option {option!r}", path=""
            )


def not_installed(service: Service, extra: str) -> UnsupportedByStore:
    """The error of a second client that is an extra."""
    text = f"{_WORK} on {service.value} need an extra: pip install 'atomic-manifest[{extra}]'"
    return UnsupportedByStore(text, path="")


class SecondClient:
    """Opens a bucket at most once, whichever threads ask for it.

    Args:
        dialect: What conditions the service takes.
        opener: Opens the bucket.
        prefix: A folder of it.
    """

    def __init__(self, dialect: Dialect, opener: Callable[[], Calls], prefix: str) -> None:
        self._dialect = dialect
        self._opener = opener
        self._prefix = prefix
        self._lock = lock()
        self._opened: tuple[int, Calls, FilesystemBucket] | None = None
        self._parents: Any = None

    def check(self, path: str, *conditions: Condition | None) -> None:
        """Refuse what the service cannot be asked; opens the client if it can.

        Raises:
            UnsupportedByStore: See `Dialect.check`; also if what the client needs is not installed.
        """
        self._dialect.check(path, *conditions)
        try:
            self._open()
        except UnsupportedByStore as error:
            raise UnsupportedByStore(f"{path}: {error}", path=path) from error.__cause__

    def run(self, asked: Asked[_T]) -> _T:
        """Ask, and wait in this thread."""
        calls, bucket = self._open()
        outlive_main(calls.loop)
        future = asyncio.run_coroutine_threadsafe(asked(bucket), calls.loop)
        try:
            return future.result()
        finally:
            future.cancel()  # if this thread was interrupted

    async def run_async(self, asked: Asked[_T]) -> _T:
        """Ask, and wait in this task. Cancelling the task cancels what was asked."""
        calls, bucket = await from_loop(self._open)
        outlive_main(calls.loop)
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(asked(bucket), calls.loop)
        )

    def _open(self) -> tuple[Calls, FilesystemBucket]:
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._parents = self._opened  # kept: to clean up, it would wait for a lost thread
                calls = self._calls()
                self._opened = (os.getpid(), calls, FilesystemBucket(calls, self._prefix))
            return self._opened[1:]

    def _calls(self) -> Calls:
        try:
            return self._opener()
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - an SDK may raise anything, and its text be a secret
            kind = type(error).__name__
        service = self._dialect.service.value
        raise UnsupportedByStore(
            f"{_WORK} on {service} cannot be done with these storage options ({kind})", path=""
        )
