"""One run of the probe: its keys, its threads, its bounds, and the clean-up after it."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from atomic_manifest.errors import NotFound, StoreError, StoreUnavailable, UnsupportedByStore
from atomic_manifest.forks import lock
from atomic_manifest.store.capabilities import Finding, Support
from atomic_manifest.store.conditions import Condition, ETag
from atomic_manifest.store.driver import DriverUpload
from atomic_manifest.store.keys import folder
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.threads import ThreadPool, at_once

_T = TypeVar("_T")

_log = logging.getLogger("atomic_manifest")

_PART = 5 * 1024 * 1024
_ATTEMPTS = 6
_PAUSE_SECONDS = 0.1
_BARRIER_SECONDS = 60.0
_PAIR = 2
_WIDE_EVERY = 4
_SLOW_SECONDS = 1.0
_FEWEST_ROUNDS = 16
_CHECK_SECONDS = 8.0


class Unclear(Exception):
    """The store would not say; the check is made again, on other keys."""


class NoRace(Exception):
    """There are not as many threads as have to race."""


class OutOfTime(Exception):
    """The probe's time ended."""


class Session:
    """See the module docstring. To be used as a context manager.

    Args:
        store: Where to probe.
        prefix: A folder for the probe's keys alone.
        threads: How many race at most.
        rounds: How often they race in one check, at most.
        seconds: When no further round is begun.
        body_size: Bytes of an object that is raced for.

    Attributes:
        store: As given.
        driver: Its driver, which makes the single attempts that are looked at.
        threads: As given.
        rounds: As given.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        prefix: str,
        threads: int,
        rounds: int,
        seconds: float,
        body_size: int,
    ) -> None:
        self.store = store
        self.driver = store.driver
        self.threads = threads
        self.rounds = rounds
        self._below = folder(prefix)
        self._deadline = store.env.monotonic() + seconds
        self._body_size = body_size
        self._lock = lock()
        self._paths: list[str] = []
        self._uploads: list[DriverUpload] = []
        self._threads = ThreadPool("probe", threads)
        self._widest = threads

    @property
    def prefix(self) -> str:
        """The folder of the probe's keys, without a trailing slash."""
        return self._below.removesuffix("/")

    # --- keys and bodies ---

    def key(self, name: str) -> str:
        """A fresh path, which will be cleaned up."""
        with self._lock:
            path = f"{self._below}{name}-{len(self._paths)}"
            self._paths.append(path)
        return path

    def body(self, number: int) -> bytes:
        """A body that differs from those of other numbers."""
        text = b"%08d " % number
        return text * (self._body_size // len(text) + 1)

    def write(self, path: str, body: bytes) -> ETag:
        """Put unconditionally, with retries, and give the ETag.

        Raises:
            UnsupportedByStore: If the service gives none.
        """
        etag = self.store.put(path, body).etag or self.store.head(path).etag
        if etag is None:
            raise UnsupportedByStore(f"{path}: the service gives no ETags", path=path)
        return etag

    def read(self, path: str) -> bytes | None:
        """An object's bytes, None if it is not there."""
        try:
            return self.store.get(path).data
        except NotFound:
            return None

    def start_upload(self, path: str, body: bytes, when: Condition | None) -> DriverUpload:
        """A multipart upload of one part, ready to be finished.

        Where the driver's uploads have a `flush`, nothing but the completion is left.
        """
        upload = self.driver.start_upload(path, part_size=_PART, max_in_flight=1, when=when)
        with self._lock:
            self._uploads.append(upload)
        upload.write(body)
        flush = getattr(upload, "flush", None)
        if flush is not None:
            flush()
        return upload

    # --- running ---

    def fields(self) -> Iterator[int]:
        """The rounds of one check: how many race in each.

        Mostly two, which finds those who look first and then write the soonest: the more there are,
        the more they keep each other waiting. In every fourth round, from the first on, all do. A
        service on which rounds take long has fewer of them.
        """
        env = self.store.env
        started = env.monotonic()
        for number in range(self.rounds):
            if number >= _FEWEST_ROUNDS and env.monotonic() - started > _CHECK_SECONDS:
                return
            yield _PAIR if number % _WIDE_EVERY else self._widest

    def race(self, acts: Sequence[Callable[[], object]]) -> list[object]:
        """Do all at the same instant, each in a thread of its own; errors are results.

        Where that takes long, losers are made to wait for a lock, and longer the more there are: so
        fewer race in later rounds.
        """
        self.check_time()
        begun = self.store.env.monotonic()

        def result(act: Callable[[], object]) -> object:
            try:
                return act()
            except StoreError as error:
                return error

        try:
            outcomes = at_once("race", [partial(result, act) for act in acts], _BARRIER_SECONDS)
        except RuntimeError as error:
            raise NoRace from error
        if len(acts) > _PAIR and self.store.env.monotonic() - begun > _SLOW_SECONDS:
            self._widest = max(_PAIR, len(acts) // 2)
        return outcomes

    def each(self, makes: Sequence[Callable[[], _T]]) -> list[_T]:
        """Do all, several at a time; the first error is raised."""
        return list(self._threads.map(lambda make: make(), makes))

    def check_time(self) -> None:
        """Raise `OutOfTime` once the time has ended."""
        if self.store.env.monotonic() > self._deadline:
            raise OutOfTime

    def finding(self, check: Callable[[], Finding]) -> Finding:
        """What a check finds, made again while the store would not say."""
        env, pause = self.store.env, _PAUSE_SECONDS
        for _ in range(_ATTEMPTS):
            try:
                self.check_time()
                return check()
            except OutOfTime:
                return Finding(Support.UNTESTED, "the time for the probe ended")
            except NoRace:
                return Finding(Support.UNTESTED, "no threads could be started to race with")
            except (Unclear, StoreUnavailable):
                env.sleep(env.random() * pause)
                pause *= 2
            except UnsupportedByStore as error:
                return _unsupported(error)
            except StoreError as error:
                return Finding(Support.REFUSED, bare_message(error))
        return Finding(Support.UNTESTED, "the store kept giving no clear answer")

    # --- the end ---

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._clean_up()
        finally:
            self._threads.stop()

    def _clean_up(self) -> None:
        for upload in self._uploads:
            with suppress(StoreError):
                upload.abort()
        try:
            self.store.delete_many(self._paths)
        except StoreError as error:
            _log.warning(
                "the probe left objects below %s/%s: %s", self.store.url, self.prefix, error
            )

    def delete(self, path: str) -> None:
        """Delete an object."""
        self.store.delete(path)


def bare_message(error: StoreError) -> str:
    """An error's text without the key it is about, which is another one in every run."""
    path = getattr(error, "path", "")
    return str(error).removeprefix(f"{path}: ")


def _unsupported(error: UnsupportedByStore) -> Finding:
    text = bare_message(error)
    answered = " says " in text
    return Finding(Support.REFUSED if answered else Support.UNSUPPORTED, text)
