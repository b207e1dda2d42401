"""A moving snapshot of one table, and the way from data to a commit on it.

Invariants: the snapshot only moves forward, under a lock; commits run outside it, so threads that share
a handle do not wait for each other. What is staged is checked against one snapshot and committed on
that one or on a later one with the same metadata and protocol.

Why a handle looks whether the log is still the one it knows: see `log.state.identity`.

Why a handle asks the log again after a while: creating the entry after an old snapshot's version is safe
only as long as the log still holds what came after it. Once log clean-up has removed those entries, a
create would succeed at a version nobody reads any more. So no commit starts from a snapshot older than
a part of the log's retention.
"""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn, Self

from atomic_manifest.commit.committer import Committer, Settled
from atomic_manifest.commit.group import GroupCommitter
from atomic_manifest.commit.messages import AlreadyCommitted, Budget
from atomic_manifest.commit.plan import Plan
from atomic_manifest.commit.result import CommitResult, outcome_recorded, version_or_raise
from atomic_manifest.env import Env
from atomic_manifest.errors import CommitConflict, NotFound, TableReplaced
from atomic_manifest.forks import lock
from atomic_manifest.log.actions import Add
from atomic_manifest.log.folder.entries import read_entry
from atomic_manifest.log.maintenance.upkeep import maintain
from atomic_manifest.log.metadata.features import check_writable
from atomic_manifest.log.metadata.retention import log_retention_ms
from atomic_manifest.log.state.identity import Look, answers_at_once, check_newer, check_same
from atomic_manifest.log.state.snapshot import Snapshot, load, refresh
from atomic_manifest.ops.staged import Staged
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.safety.tables import check_safe, for_tables

with suppress(RuntimeError):
    # Pandas wants it, and may be loaded late; once the main thread has ended, Python refuses it.
    import_module("concurrent.futures.thread")

_log = logging.getLogger("atomic_manifest")

_FRESH_SECONDS_AT_MOST = 3600.0

_KNOWN_SECONDS = 0.01
"""So long after the log was read, or one's own commit, nobody can have dropped a table on a bucket and made
another: that takes a listing, a delete, another listing and a PUT in a row."""

_LOOKED_SECONDS = 10.0
"""So long an answer that the log is still the same stands; the data is uploaded meanwhile."""


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A moment by both clocks: one that never goes back, and one that goes on while a machine sleeps.

    Attributes:
        monotonic: Seconds, by `Env.monotonic`.
        wall: Seconds since the Unix epoch, by `Env.now`.
    """

    monotonic: float
    wall: float

    @classmethod
    def now(cls, env: Env) -> Self:
        """This moment."""
        return cls(env.monotonic(), env.now())

    def is_older(self, seconds: float, env: Env) -> bool:
        """Whether more than so many seconds may have passed: by either clock, or if the wall clock went
        back, which then tells nothing.
        """
        passed = env.now() - self.wall
        return passed < 0 or max(passed, env.monotonic() - self.monotonic) > seconds


_LONG_AGO = Instant(float("-inf"), float("-inf"))


class Handle:
    """See the module docstring.

    Args:
        store: Rooted at the table.
        snapshot: Where to begin.
        env: Clock, randomness, ids and sleep.
        budget: Bounds of one commit.
        is_latest: Whether `snapshot` was the newest just now. One that was not is as good as old: the
            handle looks for the newest before it commits.
    """

    def __init__(
        self,
        store: ObjectStore,
        snapshot: Snapshot,
        env: Env,
        budget: Budget,
        *,
        is_latest: bool = True,
    ) -> None:
        self.store = for_tables(store)
        self.env = env
        self._committer = Committer(self.store, env, budget)
        self._lock = lock()
        self._group = GroupCommitter(self._committer, lambda: self._snapshot, self._committed)
        self._snapshot = snapshot
        self._asked_at = Instant.now(env) if is_latest else _LONG_AGO
        self._known_at = env.monotonic()
        self._looked: Look | None = None
        self._maintained = -1
        if answers_at_once(store) and snapshot.mark is None:
            with suppress(TableReplaced):  # said by the first call that cannot go on
                check_same(store, snapshot)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a table's handle holds connections and credentials and cannot be pickled: give the "
            "other process the url, and open the table there"
        )

    @property
    def snapshot(self) -> Snapshot:
        """The state as this handle knows it."""
        return self._snapshot

    def refresh(self) -> Snapshot:
        """Read what was committed since, and move there."""
        asked_at = Instant.now(self.env)
        known = self._snapshot
        if self._is_old():
            current = load(self.store)
            check_newer(self.store, known, current)
        else:
            same = Look(self.store, known)
            current = refresh(self.store, known)
            current = same.result() or current
        self._move_to(current, asked_at)
        return self._snapshot

    def writable(self) -> Snapshot:
        """A snapshot fit to start a commit from: writable here, and young enough.

        Raises:
            TableReplaced: The table was dropped.
            UnsupportedByStore: Several writers could win one version on this store.
            UnsupportedTableFeature: The table needs what is not written here.
        """
        self._look()
        return self._ready()

    def recorded(self, txn: tuple[str, int] | None) -> CommitResult | None:
        """The result of a transaction that the handle's snapshot already holds; see `recorded`."""
        return recorded(self._snapshot, txn)

    def commit(self, plan: Plan, snapshot: Snapshot, staged: Staged) -> CommitResult:
        """Commit what was staged against `snapshot`, and move the handle there.

        Raises:
            AtomicManifestError: As `version_or_raise`; the files of a commit that is certainly not in the
                log are gone.
        """
        with self.discarding(staged.adds):
            self._ready()  # uploading may have taken longer than the log is kept
            self.confirm()
            result = self._acknowledge(self._group.commit(plan, snapshot), staged)
        if result.already_committed:
            self.discard(staged.adds)
        return result

    def commit_pinned(
        self, plan: Plan, snapshot: Snapshot, staged: Staged, begun_at: Instant
    ) -> CommitResult:
        """Commit what depends on `snapshot` and no later one, and move the handle there.

        Args:
            plan: What to commit.
            snapshot: What it was made from.
            staged: Its files; they are the caller's to discard.
            begun_at: When `snapshot` was given out by `writable`.

        Raises:
            AtomicManifestError: As `version_or_raise`.
        """
        self._check_follows(snapshot, staged.commit_id, begun_at)
        self.confirm()
        settled = self._committer.settle(plan, snapshot)
        self._committed(settled.snapshot)
        return self._acknowledge(settled, staged)

    def discard(self, adds: Sequence[Add], store: ObjectStore | None = None) -> None:
        """See `Committer.discard`."""
        self._committer.discard(adds, store)

    def discarding(self, adds: Sequence[Add]) -> AbstractContextManager[None]:
        """See `Committer.discarding`."""
        return self._committer.discarding(adds)

    def _acknowledge(self, settled: Settled, staged: Staged) -> CommitResult:
        version = version_or_raise(settled.outcome, staged.commit_id)
        if isinstance(settled.outcome, AlreadyCommitted):
            return result_of(staged, version, settled.attempts, repeated=True)
        if settled.created:
            self._maintain(settled.snapshot)
        return result_of(staged, version, settled.attempts, combined=settled.combined)

    def _check_follows(self, snapshot: Snapshot, commit_id: str, begun_at: Instant) -> None:
        """Refuse an old snapshot if the log no longer holds what came after it (see the module)."""
        if not begun_at.is_older(self._fresh_seconds(), self.env):
            return
        if self.refresh().version == snapshot.version:
            return
        version = snapshot.version + 1
        try:
            read_entry(self.store, version)
        except NotFound as error:
            raise CommitConflict(
                f"version {version} was cleaned from the log: the transaction took too long",
                commit_id=commit_id,
                conflicts=(),
                version=version,
            ) from error

    def _ready(self) -> Snapshot:
        """The handle's snapshot, once it is young enough and known to be writable."""
        check_safe(self.store)
        if self._is_old():
            self.refresh()
        snapshot = self._snapshot
        check_writable(snapshot.protocol, snapshot.metadata)
        return snapshot

    def _look(self) -> None:
        """Look whether the log is still the one of the handle's snapshot, or begin to.

        Raises:
            TableReplaced: It is another.
        """
        if answers_at_once(self.store):
            self._follow(check_same(self.store, self._snapshot))
            return
        if self.env.monotonic() - self._known_at > _KNOWN_SECONDS:
            self._looked = Look(self.store, self._snapshot)

    def confirm(self) -> None:
        """Be sure of what `_look` began to find out, and that it was not long ago. Raises as it does."""
        known_at = self._known_at
        if self._looked is not None:
            known_at = max(known_at, self._looked.begun_at)
        if answers_at_once(self.store) or self.env.monotonic() - known_at > _LOOKED_SECONDS:
            self._look()
        if self._looked is not None:
            self._follow(self._looked.result())

    def _follow(self, newest: Snapshot | None) -> None:
        if newest is not None:
            self._move_to(newest, Instant.now(self.env))

    def _committed(self, snapshot: Snapshot) -> None:
        # A commit that got nowhere proves nothing of how young the snapshot is.
        if snapshot.version > self._snapshot.version:
            self._move_to(snapshot, Instant.now(self.env))

    def _is_old(self) -> bool:
        return self._asked_at.is_older(self._fresh_seconds(), self.env)

    def _fresh_seconds(self) -> float:
        retention_ms = log_retention_ms(self._snapshot.configuration)
        return min(_FRESH_SECONDS_AT_MOST, retention_ms / 2000)

    def _move_to(self, snapshot: Snapshot, asked_at: Instant) -> None:
        with self._lock:
            if snapshot.version >= self._snapshot.version:
                self._snapshot = snapshot
                self._asked_at = max(self._asked_at, asked_at)
                self._known_at = self.env.monotonic()

    def _maintain(self, snapshot: Snapshot) -> None:
        """Maintenance after the commit, which stands whatever comes of this."""
        with self._lock:
            if snapshot.version <= self._maintained:
                return
            self._maintained = snapshot.version
        maintain(self.store, snapshot)


def result_of(
    staged: Staged, version: int, attempts: int, *, repeated: bool = False, combined: bool = False
) -> CommitResult:
    """What the caller gets for a commit of `staged` that is in the log."""
    return CommitResult(
        version=version,
        commit_id=staged.commit_id,
        files=0 if repeated else len(staged.adds),
        rows=0 if repeated else staged.rows,
        attempts=attempts,
        combined=combined,
        already_committed=repeated,
    )


def nothing_to_commit(snapshot: Snapshot) -> CommitResult:
    """What the caller gets if there was nothing to commit: the version that was found so."""
    return CommitResult(snapshot.version, "", files=0, rows=0, attempts=0)


def recorded(snapshot: Snapshot, txn: tuple[str, int] | None) -> CommitResult | None:
    """The result of a transaction that a snapshot already holds; None if it does not.

    Raises:
        TransactionOutOfOrder: It holds a later one of the application.
    """
    outcome = outcome_recorded(snapshot, txn)
    if outcome is None:
        return None
    return CommitResult(version_or_raise(outcome, ""), "", 0, 0, 0, already_committed=True)
