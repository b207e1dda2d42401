"""`copy`, whose lost answers can seldom be settled.

A copy is made by the service with the source's metadata, so it cannot carry an id of ours. A copy that
is repeated until it is answered needs none. One that was refused after an unanswered attempt does: the
object there may be our copy or another's, and even equal bytes do not tell them apart. What can be
proven is only the opposite, that a create-if-absent was lost: if the state of the source that was
copied is known (`source_when` names one ETag, and the source still has it) and the object there differs
from it. A refusal while every attempt was answered is taken at its word, although something on the way may
have sent the copy twice. Everything else is `WriteOutcomeUnknown`.
"""

from dataclasses import dataclass

from atomic_manifest.errors import NotFound, PreconditionFailed, StoreError, UnsupportedByStore
from atomic_manifest.store.conditions import Condition, IfAbsent, IfMatch, holds
from atomic_manifest.store.driver import (
    Object,
    ObjectMeta,
    Refused,
    Unanswered,
    WriteOutcome,
    Written,
)
from atomic_manifest.store.policy.attempts import (
    Settled,
    carry_out,
    look,
    refusal,
    refused,
    unknown,
)
from atomic_manifest.store.policy.calls import Call, Steps
from atomic_manifest.store.policy.pacing import Policy
from atomic_manifest.store.policy.writing import narrowed, needs_narrowing


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy, over all its attempts.

    Attributes:
        policy: The store's.
        source: A checked path.
        path: A checked path.
        when: The condition on what is at `path`.
        source_when: The condition on what is at `source`.
    """

    policy: Policy
    source: str
    path: str
    when: Condition | None
    source_when: IfMatch | None

    def run(self) -> Steps[ObjectMeta]:
        """Carry the copy out. Raises as `ObjectStore.copy` says."""
        try:
            outcome = yield from self._attempts(self.when)
        except UnsupportedByStore:
            if not needs_narrowing(self.when):
                raise
            races = self.policy.pacer()
            outcome = yield from narrowed(self.path, self.when, self._attempts, races, self.policy)
        if isinstance(outcome, Refused):
            raise (yield from self._refusal(outcome))
        assert isinstance(outcome, Written)  # noqa: S101 - nothing is deleted
        return outcome.meta

    def _attempts(self, when: Condition | None) -> Steps[Settled]:
        conditional = when is not None or self.source_when is not None
        return carry_out(
            self.path,
            lambda: self._attempt(when),
            self.policy.pacer(),
            settle=self._settle if conditional else None,
        )

    def _attempt(self, when: Condition | None) -> Steps[WriteOutcome]:
        options = {"when": when, "source_when": self.source_when}
        outcome: WriteOutcome = yield Call("copy", (self.source, self.path), options)
        return outcome

    def _refusal(self, outcome: Refused) -> Steps[PreconditionFailed]:
        """Say which of the conditions failed."""
        if self.source_when is None:
            return (yield from refusal(self.path, self.when, outcome.current_etag))
        try:
            there = yield from look(self.source, self.policy.pacer())
        except StoreError:
            there = None
        etag = None if there is None else there.etag
        if self.when is None or not holds(self.source_when, there is not None, etag):
            return refused(self.source, self.source_when, etag)
        return (yield from refusal(self.path, self.when, outcome.current_etag))

    def _settle(self, unanswered: Unanswered) -> Steps[Settled]:
        if isinstance(self.when, IfAbsent) and self._pinned():
            try:
                lost = yield from self._differs()
            except StoreError:
                lost = None
            if lost is not None:
                return lost
        raise unknown(self.path, "copy", unanswered)

    def _pinned(self) -> bool:
        return self.source_when is not None and len(self.source_when.etags) == 1

    def _differs(self) -> Steps[Refused | None]:
        """`Refused` if what is there is certainly no copy of the state of the source we asked for."""
        there = yield from look(self.path, self.policy.pacer())
        if there is None:
            return None
        original: Object = yield Call("get", (self.source,))
        if not holds(self.source_when, True, original.meta.etag):  # noqa: FBT003 - it was just read
            return None
        if there.size != original.meta.size:
            return Refused(there.etag)
        try:
            copied: Object = yield Call("get", (self.path,))
        except NotFound:
            return None
        return Refused(copied.meta.etag) if copied.data != original.data else None
