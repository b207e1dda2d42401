"""Plans into the log: run the protocol, plan again where that is right, clean up where that is safe.

Error semantics: whatever is raised, files of a commit that is certainly not in the log have been
removed (as far as the store lets us; leftovers are harmless and vacuum finds them), and files of a
commit whose outcome is unknown have not.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

from atomic_manifest.commit.driver import Report, run
from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Budget,
    Committed,
    Conflicted,
    Outcome,
    Unknown,
)
from atomic_manifest.commit.plan import Plan
from atomic_manifest.commit.progress import Memory
from atomic_manifest.commit.protocol import CommitMachine
from atomic_manifest.commit.result import version_or_raise
from atomic_manifest.env import Env
from atomic_manifest.errors import AtomicManifestError, CommitOutcomeUnknown, CorruptLog
from atomic_manifest.log.actions import Add
from atomic_manifest.log.metadata.features import check_writable
from atomic_manifest.log.path import decode
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.store import ObjectStore
from atomic_manifest.threads import in_background

_log = logging.getLogger("atomic_manifest")

Begin: TypeAlias = Callable[[CommitMachine], None]

_PLANS = 100
"""How often one operation is planned at most; its conflict with the last snapshot is final."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How a commit ended, whichever way.

    Attributes:
        outcome: See `commit.messages.Outcome`.
        snapshot: The state at the last version read on the way; the commit's own if it is in the log.
        attempts: PUTs of an entry it took.
        combined: Whether its entry holds commits of others too.
        created: Whether its entry was created here, and not by another writer that took it along.
    """

    outcome: Outcome
    snapshot: Snapshot
    attempts: int
    combined: bool = False
    created: bool = False


class Committer:
    """Commits to the table of one store. Safe to share between threads.

    Args:
        store: Rooted at the table.
        env: Clock, randomness and sleep.
        budget: Bounds on attempts and time of one intent.
    """

    def __init__(self, store: ObjectStore, env: Env, budget: Budget) -> None:
        self._store = store
        self._env = env
        self._budget = budget
        self._memory = Memory()

    def settle(self, plan: Plan, snapshot: Snapshot, begin: Begin | None = None) -> Settled:
        """Run the plan's intent on `snapshot`; plan again on what won, as long as that is right.

        Args:
            plan: What to commit.
            snapshot: What it was staged against.
            begin: See `commit.driver.run`.

        Raises:
            UnsupportedTableFeature: A winner gave the table a feature that is not written here.
            AtomicManifestError: The plan refuses a snapshot it meets. Either way nothing is committed.
        """
        attempts = 0
        for _ in range(_PLANS):
            settled = self.run(plan.intent(snapshot), snapshot, begin)
            attempts += settled.attempts
            if not isinstance(settled.outcome, Conflicted):
                break
            after = settled.snapshot
            if not plan.survives(settled.outcome.conflicts, snapshot, after):
                break
            check_writable(after.protocol, after.metadata)
            snapshot = after
        return replace(settled, attempts=attempts)

    def run(self, intent: Intent, snapshot: Snapshot, begin: Begin | None = None) -> Settled:
        """Run one intent made on `snapshot` to its outcome. Arguments as of `settle`."""
        report = self._run(intent, begin)
        after = snapshot
        try:
            after = after.advance(report.winners)
            if report.final is not None:
                after = after.advance([report.final])
        except Exception as error:
            if not isinstance(report.outcome, Committed | Unknown):
                raise
            # It is in the log, or may be, whatever is wrong with the way there: no error may say otherwise.
            _log.warning("the handle on %s stays behind its own commit: %r", self._store.url, error)
        return Settled(report.outcome, after, report.attempts, report.combined, report.created)

    def create(self, intent: Intent, adds: Sequence[Add]) -> Report:
        """Commit the first entry of a table.

        Returns:
            With the outcome `Committed`; `Conflicted` if somebody else created the table meanwhile, and
            then `adds` are still there and may be appended to it; `AlreadyCommitted` if they did so with
            the same transaction.

        Raises:
            CommitContended, CommitOutcomeUnknown: As `version_or_raise`.
        """
        report = self._run(intent)
        if isinstance(report.outcome, Conflicted):
            return report
        with self.discarding(adds):
            version_or_raise(report.outcome, intent.commit_id)
        if isinstance(report.outcome, AlreadyCommitted):
            self.discard(adds)
        return report

    def _run(self, intent: Intent, begin: Begin | None = None) -> Report:
        report = run(intent, self._store.driver, self._env, self._budget, self._memory, begin=begin)
        self._memory = report.memory
        if report.litter:
            # Nobody waits for it, and what is left expires.
            in_background("sweep", lambda: self._sweep(report.litter))
        return report

    def _sweep(self, keys: Sequence[str]) -> None:
        try:
            self._store.delete_many(keys)
        except Exception as error:  # noqa: BLE001 - litter costs others a read, nothing else
            _log.debug("%d posted intents are left in %s: %s", len(keys), self._store.url, error)

    def discard(self, adds: Sequence[Add], store: ObjectStore | None = None) -> None:
        """Remove files that no log entry names. A store that refuses keeps them; nobody reads them.

        Args:
            adds: The files.
            store: What they were written through, if that is to know.
        """
        if not adds:
            return
        try:
            (store or self._store).delete_many([decode(add.path) for add in adds])
        except AtomicManifestError as error:
            _log.warning(
                "%d unreferenced files are left in %s: %s", len(adds), self._store.url, error
            )

    @contextmanager
    def discarding(self, adds: Sequence[Add]) -> Iterator[None]:
        """Remove `adds` if the block ends with an error that proves them unreferenced.

        Errors that are not ours (an interrupt in the middle of a PUT) prove nothing, and neither do
        entries that cannot be read.
        """
        try:
            yield
        except CommitOutcomeUnknown:
            raise
        except AtomicManifestError as error:
            if not (isinstance(error, CorruptLog) and error.damaged):
                self.discard(adds)
            raise
