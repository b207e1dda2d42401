"""Checks of conditional writes: put, the end of an upload, copy.

The three differ only in how a write is prepared, up to the one request that the condition is asked
in. So each check is a function of a `Prepare`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from atomic_manifest.errors import StoreUnavailable
from atomic_manifest.store.capabilities import Finding, Support
from atomic_manifest.store.conditions import Condition, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Contended,
    Deleted,
    Unanswered,
    WriteOutcome,
    Written,
)
from atomic_manifest.store.probe.session import Session, Unclear
from atomic_manifest.store.remote.raw import Creator

Act: TypeAlias = Callable[[], WriteOutcome]
Prepare: TypeAlias = Callable[[Session, str, bytes, Condition], Act]
"""Given session, path, body and condition: everything but the request that decides."""

SAFE = Finding(Support.SAFE)

_SEVERAL = Finding(Support.SEQUENTIAL_ONLY, "several of those who raced won")
_OVERRUN = Finding(Support.SEQUENTIAL_ONLY, "one who lost the race replaced the winner's bytes")
_ALIKE = Finding(
    Support.SEQUENTIAL_ONLY, "several of those who race on another condition of this request win"
)
_REVIVED = Finding(
    Support.SEQUENTIAL_ONLY, "a write on condition that the object exists came after its deletion"
)


def put(session: Session, path: str, body: bytes, when: Condition) -> Act:
    """A put has nothing to prepare."""
    return lambda: session.driver.put(path, body, when=when)


def upload(session: Session, path: str, body: bytes, when: Condition) -> Act:
    """Everything of a multipart upload but its completion."""
    started = session.start_upload(path, body, when)

    def finish() -> WriteOutcome:
        outcome = started.finish()
        if not isinstance(outcome, Written):
            started.abort()
        return outcome

    return finish


def copy(session: Session, path: str, body: bytes, when: Condition) -> Act:
    """A source for the copy."""
    source = session.key("source")
    session.store.put(source, body)
    return lambda: session.driver.copy(source, path, when=when)


def create_by(creator: Creator) -> Prepare:
    """A put that creates by other headers than `If-None-Match`."""

    def prepare(session: Session, path: str, body: bytes, when: Condition) -> Act:
        del session, when
        return lambda: creator(path, body, None)

    return prepare


# --- the checks ---


def if_absent(session: Session, prepare: Prepare) -> Finding:
    """Create: a second one after the first, and several at once."""

    def check() -> Finding:
        path = session.key("absent")
        if not _written(prepare(session, path, session.body(1), IfAbsent())):
            return _refuses_what_holds()
        if _written(prepare(session, path, session.body(2), IfAbsent())):
            return Finding(Support.IGNORED, "a second create replaced the first")
        return _races(session, prepare, lambda _: IfAbsent())

    return session.finding(check)


def if_match(session: Session, prepare: Prepare) -> Finding:
    """Compare and swap: with the current ETag, an old one, no object; and several at once."""

    def check() -> Finding:
        path = session.key("match")
        tag = IfMatch(session.write(path, session.body(0)))
        took_current = _written(prepare(session, path, session.body(1), tag))
        if took_current and _written(prepare(session, path, session.body(2), tag)):
            return Finding(Support.IGNORED, "a write with an old ETag was carried out")
        if not took_current:
            return _refuses_what_holds()
        if _written(prepare(session, session.key("missing"), session.body(3), tag)):
            return Finding(Support.IGNORED, "a write with an ETag created a missing object")
        return _races(session, prepare, lambda path: IfMatch(session.write(path, session.body(99))))

    return session.finding(check)


def if_match_any(session: Session, prepare: Prepare) -> Finding:
    """Replace only: an object that is there, one that is not; and against its deletion."""

    def check() -> Finding:
        if _written(prepare(session, session.key("missing"), session.body(1), IfMatch.ANY)):
            return Finding(Support.IGNORED, "a write that asked for an object created it")
        path = session.key("any")
        session.write(path, session.body(0))
        if not _written(prepare(session, path, session.body(2), IfMatch.ANY)):
            return _refuses_what_holds()
        return _races_against_deletion(session, prepare)

    return session.finding(check)


def _refuses_what_holds() -> Finding:
    return Finding(Support.REFUSED, "refuses although the condition holds")


def _written(act: Act) -> bool:
    """Whether a lone write was carried out; a refusal is the only other clear answer."""
    outcome = act()
    if isinstance(outcome, Contended | Unanswered):
        raise Unclear
    return isinstance(outcome, Written)


def _races(session: Session, prepare: Prepare, set_up: Callable[[str], Condition]) -> Finding:
    """Round after round, several writers of one key; `set_up` gives their condition."""
    decided = False
    bodies = [session.body(number) for number in range(session.threads)]
    for field in session.fields():
        path = session.key("race")
        when = set_up(path)
        makes = [partial(_prepared, session, prepare, path, body, when) for body in bodies[:field]]
        acts = session.each(makes)
        outcomes = session.race(acts)
        winners = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Written)]
        if len(winners) > 1:
            return _SEVERAL
        if winners and session.read(path) != bodies[winners[0]]:
            return _OVERRUN
        decided = decided or bool(winners)
    if not decided:
        raise Unclear
    return SAFE


def _prepared(session: Session, prepare: Prepare, path: str, body: bytes, when: Condition) -> Act:
    """One who races; who cannot be made ready stays behind."""
    try:
        return prepare(session, path, body, when)
    except StoreUnavailable as error:
        unanswered = Unanswered(error)
        return lambda: unanswered


def _races_against_deletion(session: Session, prepare: Prepare) -> Finding:
    """Whoever writes after the deletion must be refused, so the object stays gone."""
    decided = False
    for field in session.fields():
        path = session.key("revived")
        session.store.put(path, session.body(0))
        bodies = [session.body(number) for number in range(1, field)]
        makes = [partial(_prepared, session, prepare, path, body, IfMatch.ANY) for body in bodies]
        acts = session.each(makes)
        outcomes = session.race([partial(session.driver.delete, path), *acts])
        if not isinstance(outcomes[0], Deleted):
            continue
        decided = True
        if session.read(path) is not None:
            return _REVIVED
    if not decided:
        raise Unclear
    return SAFE


def alike(found: Mapping[str, Finding]) -> dict[str, Finding]:
    """Findings of `If-Match: *` that differ from `found`: it is no better than its like.

    Where two creates or two swaps can both win, it is not safe either, though its own races, which
    are against a deletion, show that but now and then.
    """
    changed: dict[str, Finding] = {}
    for kind in ("put", "upload", "copy"):
        any_state = f"{kind}_if_match_any"
        raced = (found[f"{kind}_if_absent"], found[f"{kind}_if_match"])
        unsafe = any(each.support is Support.SEQUENTIAL_ONLY for each in raced)
        if unsafe and found[any_state].support in (Support.SAFE, Support.SEQUENTIAL_ONLY):
            changed[any_state] = _ALIKE
    return changed
