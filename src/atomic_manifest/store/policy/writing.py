"""`put`: from what the caller asks for to attempts, and from outcomes to an answer.

A refusal is not taken at its word: something on the way may have sent our request twice, and the answer
be the one to the second. If the object carries this write's id, the write succeeded. That takes a store
that keeps user metadata; equal bytes prove nothing, since another may have written the same.

How a conditional write is settled when an attempt went unanswered (see `attempts`):

* the object carries this write's id, or its idempotency key and digests: the write succeeded;
* the caller asked for create-if-absent, and the object is certainly another's: refused. Keys that are
  created if absent are taken not to be replaced later;
* the caller asked for `IfMatch`, and the object is another's: unknown. Ours may have landed before it
  and been replaced;
* no object, or one that a store without user metadata cannot tell from ours: unknown.

A condition that the driver cannot send as it is (several ETags, `*`), and the write with an
idempotency key that replaces an object, are *narrowed*: look, then write on condition that the object
is still the one seen, and if that fails look again. The service evaluates every condition that decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atomic_manifest.errors import Contended as LostEveryRace
from atomic_manifest.errors import StoreError, UnsupportedByStore
from atomic_manifest.store.conditions import Condition, IfAbsent, IfMatch, holds
from atomic_manifest.store.driver import (
    Deleted,
    Object,
    ObjectMeta,
    Refused,
    Unanswered,
    Written,
)
from atomic_manifest.store.policy.attempts import (
    WRITE_ID,
    Settled,
    carry_out,
    is_conflict,
    look,
    own_or,
    refusal,
    refused,
    unknown,
)
from atomic_manifest.store.policy.bodies import Body
from atomic_manifest.store.policy.calls import Call, Steps
from atomic_manifest.store.policy.pacing import Pacer, Policy

if TYPE_CHECKING:
    from atomic_manifest.store.policy.idempotency import Claim
    from atomic_manifest.store.policy.sending import Parts, Sent


@dataclass(slots=True)
class Write:
    """One `put`, over all its attempts.

    Attributes:
        policy: The store's.
        path: A checked path.
        body: What to write.
        asked: The caller's condition.
        metadata: To keep with the object; `WRITE_ID` tells this write from all others.
        parts: Makes the attempts, if they are multipart uploads.
        claim: If there is an idempotency key.
        deadline: On `Env.monotonic`'s clock: no attempt starts later; None adds no bound.
        keeps_metadata: Whether the store keeps user metadata, and so the id.
    """

    policy: Policy
    path: str
    body: Body
    asked: Condition | None
    metadata: Mapping[str, str] | None
    parts: "Parts | None" = None
    claim: "Claim | None" = None
    deadline: float | None = None
    keeps_metadata: bool = True

    def run(self) -> Steps[ObjectMeta]:
        """Carry the write out. Raises as `ObjectStore.put` says."""
        claim, asked = self.claim, self.asked
        if claim is not None and not isinstance(asked, IfAbsent):
            return (yield from self._narrowed())
        try:
            outcome = yield from self._attempts(asked)
        except UnsupportedByStore:
            if not needs_narrowing(asked):
                raise
            return (yield from self._narrowed())
        if isinstance(outcome, Refused):
            if claim is not None:
                seen = yield from look(self.path, self.policy.pacer())
                if seen is not None and (yield from claim.replayed_by(seen)):
                    return seen
                raise refused(self.path, asked, None if seen is None else seen.etag)
            if self.keeps_metadata:  # it was looked at
                raise refused(self.path, asked, outcome.current_etag)
            raise (yield from refusal(self.path, asked, outcome.current_etag))
        return _meta(outcome)

    def _narrowed(self) -> Steps[ObjectMeta]:
        races = self.policy.pacer(None if self.body.rewindable else 1, self.deadline)
        self.deadline = races.deadline
        replay = None if self.claim is None else self.claim.replayed_by
        outcome = yield from narrowed(
            self.path, self.asked, self._attempts, races, self.policy, replay
        )
        return _meta(outcome)

    def _attempts(self, when: Condition | None) -> Steps[Settled]:
        attempts = 1
        if self.body.rewindable:
            retry = self.policy.retry
            attempts = retry.attempts if self.claim is None else retry.keyed_attempts
        done = carry_out(
            self.path,
            lambda: self._send(when),
            self.policy.pacer(attempts, self.deadline),
            None if when is None else self._settle,
        )
        if when is None or not self.keeps_metadata:
            return (yield from done)
        return (
            yield from own_or(done, self.path, (self.metadata or {})[WRITE_ID], self.policy.pacer())
        )

    def _send(self, when: Condition | None) -> "Steps[Sent]":
        if self.parts is not None:
            return (yield from self._send_parts(self.parts, when))
        options = {"when": when, "metadata": self.metadata}
        outcome: Sent = yield Call("put", (self.path, self.body.data), options)
        return outcome

    def _send_parts(self, parts: "Parts", when: Condition | None) -> "Steps[Sent]":
        try:
            outcome = yield from parts.send(when)
        except UnsupportedByStore:
            if when is None or self.body.data is None:
                raise
            # The body is in memory: one request can carry the condition that parts cannot.
            self.parts = None
            return (yield from self._send(when))
        if when is not None and is_conflict(outcome) and self.body.rewindable:
            return (yield from self._refused_by_now(when)) or outcome
        return outcome

    def _refused_by_now(self, when: Condition) -> Steps[Refused | None]:
        """Look at the key after a conflict; None if the condition holds, or it cannot be told."""
        try:
            seen = yield from look(self.path, self.policy.pacer())
        except StoreError:
            return None
        etag = None if seen is None else seen.etag
        return None if holds(when, seen is not None, etag) else Refused(etag)

    def _settle(self, unanswered: Unanswered) -> Steps[Settled]:
        try:
            found = yield from look(self.path, self.policy.pacer())
        except StoreError:
            found = None
        if found is not None:
            if found.metadata.get(WRITE_ID) == (self.metadata or {}).get(WRITE_ID):
                return Written(found)
            if self.claim is not None and (yield from self.claim.replayed_by(found)):
                return Written(found)
            if isinstance(self.asked, IfAbsent) and (yield from self._is_anothers(found)):
                return Refused(found.etag)
        raise unknown(self.path, "write", unanswered)

    def _is_anothers(self, found: ObjectMeta) -> Steps[bool]:
        """Whether an object without our id is certainly not this write's."""
        if WRITE_ID in found.metadata or self.body.size not in (None, found.size):
            return True
        if self.body.data is None:
            return False
        try:
            there: Object = yield Call("get", (self.path,))
        except StoreError:
            return False
        return there.data != memoryview(self.body.data).cast("B")  # Arrow's buffers are signed


def needs_narrowing(when: Condition | None) -> bool:
    """Whether a condition is one that not every service can be asked: several ETags, or `*`."""
    return isinstance(when, IfMatch) and len(when.etags) != 1


def narrowed(
    path: str,
    asked: Condition | None,
    attempts: Callable[[IfAbsent | IfMatch], Steps[Settled]],
    races: Pacer,
    policy: Policy,
    replay: Callable[[ObjectMeta], Steps[bool]] | None = None,
) -> Steps[Written | Deleted]:
    """Write on condition that the object is still the one that was looked at.

    Args:
        path: Of the object that is written.
        asked: The caller's condition.
        attempts: Carries the write out on a narrower one.
        races: How often to look.
        policy: For the looks.
        replay: Tells of an object whether it is what would be written again.

    Raises:
        PreconditionFailed: If `asked` does not hold of an object looked at.
        Contended: If the object changed between each look and the write.
        UnsupportedByStore: If the store gives no strong ETag.
    """
    while True:
        seen = yield from look(path, policy.pacer())
        if seen is not None and replay is not None and (yield from replay(seen)):
            return Written(seen)
        etag = None if seen is None else seen.etag
        if not holds(asked, seen is not None, etag):
            raise refused(path, asked, etag)
        outcome = yield from attempts(unchanged(path, seen))
        if not isinstance(outcome, Refused):
            return outcome
        pause = races.pause()
        if pause is None:
            raise LostEveryRace(
                f"{path}: others kept writing it between every look and write", path=path
            )
        yield pause


def unchanged(path: str, seen: ObjectMeta | None) -> IfAbsent | IfMatch:
    """The condition that an object is still as it was seen (None: that there is still none).

    Raises:
        UnsupportedByStore: If it was seen without a strong ETag.
    """
    if seen is None:
        return IfAbsent()
    if seen.etag is None or seen.etag.weak:
        raise UnsupportedByStore(
            f"{path}: the store gives no strong ETag, so the object cannot be replaced safely",
            path=path,
        )
    return IfMatch(seen.etag)


def _meta(outcome: Settled) -> ObjectMeta:
    assert isinstance(outcome, Written)  # noqa: S101 - the others are handled before
    return outcome.meta
