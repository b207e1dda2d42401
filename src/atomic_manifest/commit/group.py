"""Threads that share a handle commit together: one entry for all who wait.

The first thread to come leads. It commits its own plan, and those that came while it did go together
into the next entry, led by one of them: a store that takes one entry a round trip takes all of them. Only
blind appends are merged; any other plan is committed by itself, in its turn.

Invariants: what may share an entry is decided by `combine`, as among processes. A merged intent that meets
a conflict, or whose transactions were repeated or overtaken, is not in the log, and its members are then
committed one by one: nobody fails because of another's commit.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from atomic_manifest.commit.combine import Candidate, combine
from atomic_manifest.commit.committer import Committer, Settled
from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.messages import AlreadyCommitted, Conflicted, OutOfOrder
from atomic_manifest.commit.plan import Plan
from atomic_manifest.commit.result import outcome_recorded
from atomic_manifest.log.state.snapshot import Snapshot

_BATCH = 1024
"""Commits that are merged into one entry at most."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """One thread's commit: queued, then led by some thread, then settled or failed."""

    plan: Plan
    snapshot: Snapshot
    turn: threading.Event = field(default_factory=threading.Event)
    settled: Settled | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.settled is not None or self.error is not None


class GroupCommitter:
    """Commits plans of many threads.

    Args:
        committer: Commits one intent.
        latest: The newest snapshot that is known here.
        moved: Told of each snapshot that a commit led to, before the next batch begins.
    """

    def __init__(
        self,
        committer: Committer,
        latest: Callable[[], Snapshot],
        moved: Callable[[Snapshot], None],
    ) -> None:
        self._committer = committer
        self._latest = latest
        self._moved = moved
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._led = False

    def commit(self, plan: Plan, snapshot: Snapshot) -> Settled:
        """Commit a plan that was staged against `snapshot`; blocks until it is settled.

        Raises:
            AtomicManifestError: As `Committer.settle`.
        """
        mine = _Waiting(plan, snapshot)
        with self._lock:
            self._queue.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            self._await_turn(mine)
        if not mine.done:
            self._lead()
        if mine.error is not None:
            raise mine.error
        assert mine.settled is not None  # noqa: S101 - done without an error
        return mine.settled

    def _await_turn(self, mine: _Waiting) -> None:
        try:
            mine.turn.wait()
        except BaseException:
            # An interrupt. Whoever leads may have taken the plan already, or be about to hand over to us.
            with self._lock:
                if mine in self._queue:
                    self._queue.remove(mine)
                    if mine.turn.is_set():
                        self._hand_over()
            raise

    def _hand_over(self) -> None:
        """Let the next thread lead, if there is one; under the lock."""
        self._led = bool(self._queue)
        if self._queue:
            self._queue[0].turn.set()

    def _lead(self) -> None:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
        try:
            self._settle_all(batch)
        finally:
            with self._lock:
                self._hand_over()
            for each in batch:
                each.turn.set()

    def _settle_all(self, batch: Sequence[_Waiting]) -> None:
        """Settle every commit of the batch; an interrupt settles those that are left as failed."""
        try:
            alone = self._settle_merged(batch) if len(batch) > 1 else batch
            for each in alone:
                self._settle_one(each)
        except BaseException as error:
            for each in batch:
                if not each.done:
                    each.error = error
            raise

    def _settle_one(self, each: _Waiting) -> None:
        base = self._base(each)
        try:
            each.settled = _recorded(each, base) or self._committer.settle(each.plan, base)
            self._moved(each.settled.snapshot)
        except Exception as error:  # noqa: BLE001 - belongs to the thread whose plan it is
            each.error = error

    def _settle_merged(self, batch: Sequence[_Waiting]) -> Sequence[_Waiting]:
        """Commit together what can be; gives back what has to go alone."""
        base = self._latest()
        by_id: dict[str, _Waiting] = {}
        candidates = []
        for each in batch:
            if self._base(each) is not base:
                continue
            each.settled = _recorded(each, base)
            if each.settled is None and (intent := _mergeable(each.plan, base)) is not None:
                by_id[intent.commit_id] = each
                candidates.append(Candidate.of(intent))
        accepted = combine(candidates, (), base.version + 1).accepted
        if len(accepted) > 1:
            settled = self._committer.run(_merge([c.intent for c in accepted]), base)
            if not isinstance(settled.outcome, Conflicted | AlreadyCommitted | OutOfOrder):
                for candidate in accepted:
                    by_id[candidate.intent.commit_id].settled = settled
            self._moved(settled.snapshot)
        return [each for each in batch if not each.done]

    def _base(self, each: _Waiting) -> Snapshot:
        """The newest snapshot on which the plan's files still mean the same."""
        latest = self._latest()
        same = (
            latest.version >= each.snapshot.version
            and latest.metadata == each.snapshot.metadata
            and latest.protocol == each.snapshot.protocol
        )
        return latest if same else each.snapshot


def _recorded(each: _Waiting, base: Snapshot) -> Settled | None:
    """If the snapshot already holds the plan's transaction, or a later one, that is the outcome."""
    outcome = outcome_recorded(base, each.plan.txn)
    return None if outcome is None else Settled(outcome, base, attempts=0)


def _mergeable(plan: Plan, base: Snapshot) -> Intent | None:
    """The plan's intent if others may share its entry; a plan that fails does so alone, in its turn."""
    if not plan.is_blind:
        return None
    try:
        intent = plan.intent(base)
    except Exception:  # noqa: BLE001 - it is raised again, to its own thread, by `Committer.settle`
        return None
    return intent if intent.is_combinable and intent.is_blind else None


def _merge(intents: Sequence[Intent]) -> Intent:
    first = intents[0]
    return Intent(
        commit_id=first.commit_id,
        base_version=first.base_version,
        actions=tuple(action for intent in intents for action in intent.actions),
        operation=first.operation,
        parameters=first.parameters,
        reads=first.reads,
        isolation=first.isolation,
        base_metadata=first.base_metadata,
        base_protocol=first.base_protocol,
        members=tuple(record for intent in intents for record in intent.records),
    )
