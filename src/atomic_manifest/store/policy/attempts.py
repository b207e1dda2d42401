"""Attempts at one write, and what they add up to.

A write whose attempts were all answered is clear. Once an attempt at a conditional one went
unanswered it may have landed, or may yet, and then a later attempt is refused because of our own
write. So the end of such a write is *settled*: each kind of write looks for proof in its own way, and
without any the outcome is said to be unknown. An unconditional write is simply repeated; twice is the
same as once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from atomic_manifest.errors import (
    AlreadyExists,
    Conflict409,
    NotFound,
    PreconditionFailed,
    StoreError,
    StoreUnavailable,
    WriteOutcomeUnknown,
)
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    Deleted,
    NeverSent,
    ObjectMeta,
    Refused,
    Unanswered,
    Written,
)
from atomic_manifest.store.policy.calls import Call, Steps
from atomic_manifest.store.policy.pacing import Pacer

WRITE_ID = "atomic-manifest-write"
"""The user metadata key that holds the id of a write."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """The store did not answer before there was anything that could land, such as to a part."""

    cause: StoreUnavailable


Outcome: TypeAlias = Written | Deleted | Refused | Contended | Unanswered | NotSent
Done: TypeAlias = Written | Deleted
Settled: TypeAlias = Written | Deleted | Refused

_DONE = (Written, Deleted)

Settle: TypeAlias = Callable[[Unanswered], Steps[Settled]]
"""Finds out whether an unanswered attempt landed; raises `WriteOutcomeUnknown` if it cannot."""


def carry_out(
    path: str,
    attempt: Callable[[], Steps[Outcome]],
    pacer: Pacer,
    settle: Settle | None = None,
) -> Steps[Settled]:
    """Make attempts until one is answered, or the budget ends.

    Args:
        path: For messages.
        attempt: Makes one.
        pacer: The budget.
        settle: For conditional writes; None repeats what went unanswered until it is answered.

    Raises:
        Conflict409: If other operations were in flight at every attempt. Nothing was written.
        StoreUnavailable: If the store declined or did not answer. Without `settle` the write may
            have landed, with it it has not.
        WriteOutcomeUnknown: See `Settle`.
    """
    unanswered: Unanswered | None = None
    while True:
        try:
            outcome = yield from attempt()
        except NeverSent as error:
            outcome = NotSent(error)
        except StoreError:
            if unanswered is None or settle is None:
                raise
            break
        if isinstance(outcome, _DONE) or (unanswered is None and isinstance(outcome, Refused)):
            return outcome
        if isinstance(outcome, Unanswered):
            unanswered = outcome
        pause = None if isinstance(outcome, Refused) else pacer.pause()
        if pause is None:
            break
        yield pause
    if unanswered is None:
        raise _gave_up(path, outcome)
    if settle is None:
        raise _gave_up(path, unanswered)
    return (yield from settle(unanswered))


def own_or(attempts: Steps[Settled], path: str, id: str, pacer: Pacer) -> Steps[Settled]:
    """What attempts at a conditional write come to, unless a refusal was for our own write.

    A look tells: the request may have been sent twice on its way, and the answer be that to the second.

    Args:
        attempts: Of `carry_out`.
        path: Of the object.
        id: What the write keeps in the object's metadata.
        pacer: For looks that go unanswered.

    Raises:
        WriteOutcomeUnknown: The store refused the write, and then did not answer any look.
        StoreError: As `attempts`.
    """
    try:
        outcome = yield from attempts
    except (Conflict409, StoreUnavailable):
        found = yield from _glance(path)
        if found is None or found.metadata.get(WRITE_ID) != id:
            raise
        return Written(found)
    if not isinstance(outcome, Refused):
        return outcome
    found = outcome.current or (yield from _glance(path))
    if found is not None:
        return Written(found) if found.metadata.get(WRITE_ID) == id else Refused(found.etag)
    try:
        found = yield from look(path, pacer)
    except StoreUnavailable as error:
        raise unknown(path, "look at what refused the write", Unanswered(error)) from error
    except StoreError:
        return outcome
    return Written(found) if found is not None and found.metadata.get(WRITE_ID) == id else outcome


def _glance(path: str) -> Steps[ObjectMeta | None]:
    """One look at an object; None if there is nothing to be seen."""
    try:
        found: ObjectMeta = yield Call("head", (path,))
    except StoreError:
        return None
    return found


def is_conflict(outcome: Outcome) -> bool:
    """Whether another operation on the key was in flight (409)."""
    return isinstance(outcome, Contended) and outcome.cause is ContendedCause.CONFLICT


def asking(call: Call, pacer: Pacer) -> Steps[Any]:
    """Make a call that changes nothing, or the same again; tried again while it goes unanswered.

    Raises:
        StoreUnavailable: If the budget ended first.
    """
    while True:
        try:
            return (yield call)
        except StoreUnavailable:
            pause = pacer.pause()
            if pause is None:
                raise
            yield pause


def look(path: str, pacer: Pacer) -> Steps[ObjectMeta | None]:
    """Look at an object, with retries; None if there is none."""
    try:
        found: ObjectMeta = yield from asking(Call("head", (path,)), pacer)
    except NotFound:
        return None
    return found


def refusal(path: str, when: Condition | None, current: ETag | None) -> Steps[PreconditionFailed]:
    """Say why a write was refused; one look tells the current ETag where the service did not."""
    if current is None:
        found = yield from _glance(path)
        current = None if found is None else found.etag
    return refused(path, when, current)


def refused(path: str, when: Condition | None, current: ETag | None) -> PreconditionFailed:
    """The error of a write whose condition did not hold."""
    if isinstance(when, IfAbsent):
        return AlreadyExists(
            f"{path} already exists", path=path, condition=when, current_etag=current
        )
    state = "the object is not there" if current is None else f"the object's ETag is {current}"
    return PreconditionFailed(
        f"{path}: {when!r} does not hold, {state}", path=path, condition=when, current_etag=current
    )


def unknown(path: str, what: str, unanswered: Unanswered) -> WriteOutcomeUnknown:
    """The error of a write of which it cannot be told whether it landed."""
    error = WriteOutcomeUnknown(
        f"{path}: the {what} went unanswered, and it cannot be told whether it landed"
        f" ({unanswered.cause})",
        path=path,
    )
    error.__cause__ = unanswered.cause
    return error


def _gave_up(path: str, outcome: Outcome) -> StoreError:
    if isinstance(outcome, Unanswered | NotSent):
        error = StoreUnavailable(f"{path}: no answer: {outcome.cause}", path=path)
        error.__cause__ = outcome.cause
        return error
    if is_conflict(outcome):
        return Conflict409(f"{path}: other operations on it kept being in flight", path=path)
    return StoreUnavailable(f"{path}: too many requests, the store keeps declining", path=path)
