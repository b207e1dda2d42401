"""`delete`, whose lost answers cannot be settled if it is conditional.

An unconditional deletion is repeated until it is answered. A conditional one that is refused after an
unanswered attempt may have been carried out by it: an object that is gone, or another one in its
place, proves neither. That is said, with what there is to be seen.
"""

from dataclasses import dataclass

from atomic_manifest.errors import StoreError, UnsupportedByStore
from atomic_manifest.store.conditions import IfAbsent, IfMatch
from atomic_manifest.store.driver import DeleteOutcome, Refused, Unanswered
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
class Deletion:
    """One deletion, over all its attempts.

    Attributes:
        policy: The store's.
        path: A checked path.
        when: The condition.
        version: The version to remove for good; None deletes the current object.
    """

    policy: Policy
    path: str
    when: IfMatch | None
    version: str | None

    def run(self) -> Steps[None]:
        """Carry the deletion out. Raises as `ObjectStore.delete` says."""
        try:
            outcome = yield from self._attempts(self.when)
        except UnsupportedByStore:
            if self.version is not None or not needs_narrowing(self.when):
                raise
            races = self.policy.pacer()
            outcome = yield from narrowed(self.path, self.when, self._attempts, races, self.policy)
        if not isinstance(outcome, Refused):
            return
        if self.version is not None:  # a look would show the current object's ETag
            raise refused(self.path, self.when, outcome.current_etag)
        raise (yield from refusal(self.path, self.when, outcome.current_etag))

    def _attempts(self, when: IfAbsent | IfMatch | None) -> Steps[Settled]:
        return carry_out(
            self.path,
            lambda: self._attempt(when),
            self.policy.pacer(),
            settle=None if when is None else self._settle,
        )

    def _attempt(self, when: IfAbsent | IfMatch | None) -> Steps[DeleteOutcome]:
        options = {"when": when, "version": self.version}
        outcome: DeleteOutcome = yield Call("delete", (self.path,), options)
        return outcome

    def _settle(self, unanswered: Unanswered) -> Steps[Settled]:
        error = unknown(self.path, "deletion", unanswered)
        if self.version is None:
            try:
                seen = yield from look(self.path, self.policy.pacer())
            except StoreError:
                raise error from unanswered.cause
            state = "gone" if seen is None else f"there with the ETag {seen.etag}"
            error.message += f"; the object is {state}"
        raise error
