"""Checks of conditional deletions, of a copy's source, and of what reads and listings show."""

from functools import partial

from atomic_manifest.store.capabilities import Finding, Support
from atomic_manifest.store.conditions import IfMatch
from atomic_manifest.store.driver import Contended, Deleted, Unanswered, Written
from atomic_manifest.store.probe.session import Session, Unclear
from atomic_manifest.store.probe.writes import SAFE

_LOOKS = 12
"""How often reads and listings are compared with what was written, at most."""

_KEYS = 12
"""Objects of which an order is seen: one of 480 million has all of them in order by accident."""

_REFUSES = Finding(Support.REFUSED, "refuses although the condition holds")


def delete_if_match(session: Session) -> Finding:
    """Delete by ETag: an old one, the current one; and against a write, which must not be lost."""

    def check() -> Finding:
        path = session.key("delete")
        old = IfMatch(session.write(path, session.body(1)))
        current = IfMatch(session.write(path, session.body(2)))
        if _deleted(session, path, old):
            return Finding(Support.IGNORED, "a deletion with an old ETag was carried out")
        if not _deleted(session, path, current):
            return _REFUSES
        for field in session.fields():
            raced = session.key("delete")
            tag = IfMatch(session.write(raced, session.body(1)))
            deletions = [partial(session.driver.delete, raced, when=tag)]
            put = partial(session.driver.put, raced, session.body(2))
            outcomes = session.race([*deletions * (field - 1), put])
            if isinstance(outcomes[-1], Written) and session.read(raced) is None:
                return Finding(
                    Support.SEQUENTIAL_ONLY, "a deletion with an old ETag took away a new object"
                )
        return SAFE

    return session.finding(check)


def delete_if_match_any(session: Session) -> Finding:
    """Delete only what is there: the second of two deletions is refused, also of several at once."""

    def check() -> Finding:
        path = session.key("delete")
        if _deleted(session, path, IfMatch.ANY):
            return Finding(Support.IGNORED, "a missing object counts as deleted")
        session.write(path, session.body(1))
        if not _deleted(session, path, IfMatch.ANY):
            return _REFUSES
        for field in session.fields():
            raced = session.key("delete")
            session.write(raced, session.body(1))
            act = [partial(session.driver.delete, raced, when=IfMatch.ANY)]
            outcomes = session.race(act * field)
            if sum(isinstance(outcome, Deleted) for outcome in outcomes) > 1:
                return Finding(Support.SEQUENTIAL_ONLY, "several of those who raced won")
        return SAFE

    return session.finding(check)


def _deleted(session: Session, path: str, when: IfMatch) -> bool:
    outcome = session.driver.delete(path, when=when)
    if isinstance(outcome, Contended | Unanswered):
        raise Unclear
    return isinstance(outcome, Deleted)


def copy_if_source_match(session: Session) -> Finding:
    """Copy one state of the source: not after it changed, and never a later state."""

    def check() -> Finding:
        source = session.key("source")
        tag = IfMatch(session.write(source, session.body(1)))
        if not _copied(session, source, tag):
            return _REFUSES
        session.write(source, session.body(2))
        if _copied(session, source, tag):
            return Finding(Support.IGNORED, "a source that had changed was copied")
        for field in session.fields():
            if _copies_a_later_state(session, field):
                return Finding(Support.SEQUENTIAL_ONLY, "a copy was of a later state of its source")
        return SAFE

    return session.finding(check)


def _copied(session: Session, source: str, tag: IfMatch) -> bool:
    outcome = session.driver.copy(source, session.key("copy"), source_when=tag)
    if isinstance(outcome, Contended | Unanswered):
        raise Unclear
    return isinstance(outcome, Written)


def _copies_a_later_state(session: Session, field: int) -> bool:
    source = session.key("source")
    tag = IfMatch(session.write(source, session.body(1)))
    paths = [session.key("copy") for _ in range(field - 1)]
    copies = [partial(session.driver.copy, source, path, source_when=tag) for path in paths]
    outcomes = session.race([*copies, partial(session.driver.put, source, session.body(2))])
    return any(
        isinstance(outcome, Written) and session.read(path) != session.body(1)
        for path, outcome in zip(paths, outcomes, strict=False)
    )


def read_after_write(session: Session) -> Finding:
    """New objects and replaced ones, read by several at once."""

    def check() -> Finding:
        path = session.key("read")
        for number in range(min(session.rounds, _LOOKS)):
            session.check_time()
            session.store.put(path, session.body(number))
            reads = session.each([lambda: session.read(path)] * session.threads)
            if any(found != session.body(number) for found in reads):
                return Finding(Support.SEQUENTIAL_ONLY, "a read gave an older state")
        session.delete(path)
        if session.read(path) is not None:
            return Finding(Support.SEQUENTIAL_ONLY, "a read gave a deleted object")
        return SAFE

    return session.finding(check)


def list_after_write(session: Session) -> Finding:
    """What was just written is listed, what was just deleted is not."""

    def check() -> Finding:
        for _ in range(min(session.rounds, _LOOKS)):
            session.check_time()
            path = session.key("listed/key")
            session.store.put(path, session.body(1))
            if path not in _listed(session):
                return Finding(Support.SEQUENTIAL_ONLY, "a listing lacked a written object")
            session.delete(path)
            if path in _listed(session):
                return Finding(Support.SEQUENTIAL_ONLY, "a listing held a deleted object")
        return SAFE

    return session.finding(check)


def list_order(session: Session) -> Finding:
    """Listings come by code point of the whole key, and start behind any key.

    Seen of the objects that other checks left, and of more where those are few.
    """

    def check() -> Finding:
        whole = [meta.path for meta in session.driver.list(session.prefix)]
        if len(whole) < _KEYS:
            for _ in range(_KEYS - len(whole)):
                session.store.put(session.key("order"), session.body(1))
            whole = [meta.path for meta in session.driver.list(session.prefix)]
        if whole != sorted(whole):
            return Finding(Support.IGNORED, "listings are not in order of key")
        middle = len(whole) // 2
        behind = session.driver.list(session.prefix, start_after=whole[middle])
        if [meta.path for meta in behind] != whole[middle + 1 :]:
            return Finding(Support.IGNORED, "listings do not start behind the key asked for")
        return SAFE

    return session.finding(check)


def _listed(session: Session) -> set[str]:
    return {meta.path for meta in session.store.list(f"{session.prefix}/listed")}
