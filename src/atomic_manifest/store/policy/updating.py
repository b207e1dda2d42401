"""The bounded read-modify-write loop: read, apply, write if nobody else did meanwhile.

Only a write that is certainly not there is tried again, since applying a function twice is not the
same as once. So an outcome that cannot be told ends the loop as `WriteOutcomeUnknown`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

from atomic_manifest.errors import (
    Conflict409,
    Contended,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
)
from atomic_manifest.store.conditions import IfAbsent, IfMatch
from atomic_manifest.store.driver import Data, Object, ObjectMeta
from atomic_manifest.store.policy.attempts import asking
from atomic_manifest.store.policy.calls import Call, Steps
from atomic_manifest.store.policy.pacing import Pacer, Policy
from atomic_manifest.store.policy.writing import unchanged

Change: TypeAlias = Callable[[bytes | None], Data | None]
"""Given an object's bytes (None: there is none), its new ones, or None to leave it as it is."""

AsyncChange: TypeAlias = Change | Callable[[bytes | None], Awaitable[Data | None]]
"""A `Change`, or a coroutine function."""

Put: TypeAlias = Callable[[Data, IfAbsent | IfMatch, float], Steps[ObjectMeta]]
"""Writes bytes on a condition, with no attempt later than an instant."""


def update(
    path: str, change: Any, put: Put, policy: Policy, attempts: int, deadline: float
) -> Steps[Object | None]:
    """Apply a function to an object; see `ObjectStore.update`.

    Args:
        path: A checked path.
        change: See `Change`.
        put: Writes the new bytes.
        policy: The store's.
        attempts: Writes at most.
        deadline: Seconds.
    """
    bounds = replace(policy.retry, attempts=attempts, budget_seconds=deadline)
    pacer = Pacer(bounds, policy.env)
    end = pacer.deadline
    while True:
        seen = yield from _read(path, policy, end)
        given = yield Call("__call__", (None if seen is None else seen.data,), on=change)
        if given is None:
            return seen
        if not isinstance(given, bytes | bytearray | memoryview):
            raise InvalidRequest(
                f"{path}: an update gives bytes or None, not {type(given).__name__}", path=path
            )
        when = unchanged(path, None if seen is None else seen.meta)
        try:
            meta = yield from put(given, when, end)
        except (PreconditionFailed, Conflict409) as lost:
            pause = pacer.pause()
            if pause is None:
                raise Contended(
                    f"{path}: others kept writing it; the update was given up", path=path
                ) from lost
        else:
            return Object(bytes(given), meta)
        yield pause


def _read(path: str, policy: Policy, end: float) -> Steps[Object | None]:
    try:
        found: Object = yield from asking(Call("get", (path,)), policy.pacer(deadline=end))
    except NotFound:
        return None
    return found
