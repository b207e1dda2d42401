"""Rules on what is in the log and where, whatever it holds. Pure.

* Versions have no gap. Every commit belongs to an operation that was about to make it.
* No commit, operation or transaction id is in the log twice, nor after it was revoked.
* What was acknowledged is in the log, at the version that was told; what failed is not. "Already
  committed", "out of order" and the answers of `Table.resolve` are true.
* What began after something else was acknowledged comes later in the log. What was said of "the latest
  version" was so of a version not older than anything acknowledged before. The handle of a process
  does not go back behind its own commits.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from atomic_manifest.commit.result import ResolutionState
from atomic_manifest.errors import TransactionOutOfOrder
from atomic_manifest.testing.history.journal import Ended, History, Operation, Outcome
from atomic_manifest.testing.history.log import Log, Logged
from atomic_manifest.testing.history.violations import Kind, Violation

T = TypeVar("T")

OWN_KINDS = ("CREATE TABLE", "REVOKE")
"""Commits that are no operation's: they change no row."""

LOOK = "look"
"""The kind of an operation that opens the table and reads."""

LOOK_BACK = "look back"
"""The kind of one that does so at an older version."""


@dataclass(frozen=True)
class Case:
    """A history and the log it led to."""

    history: History
    log: Log

    @cached_property
    def places(self) -> Mapping[str, list[Logged]]:
        """Where each operation is in the log."""
        places: dict[str, list[Logged]] = defaultdict(list)
        for commit in self.log.commits:
            if commit.operation is not None:
                places[commit.operation].append(commit)
        return places

    @cached_property
    def acknowledged(self) -> tuple[list[float], list[tuple[int, str]]]:
        """When something was acknowledged, and the highest version until then, with whose it is."""
        ends = sorted(
            (operation.end.at, self.places[name][0].version, name)
            for name, operation in self.history.operations.items()
            if operation.end and operation.outcome is Outcome.OK and self.places.get(name)
        )
        highest: list[tuple[int, str]] = []
        for _, version, name in ends:
            before = highest[-1:]
            highest.append(max([*before, (version, name)]))
        return [at for at, _, _ in ends], highest

    def before(self, moment: float) -> tuple[int, str] | None:
        """The highest version that was acknowledged before a moment, and the operation at it."""
        times, highest = self.acknowledged
        count = bisect_left(times, moment)
        return highest[count - 1] if count else None


def check_presence(case: Case) -> Iterator[Violation]:
    """All that is broken of the rules above."""
    yield from _gaps(case.log)
    yield from _twice(case)
    yield from _unexplained(case)
    for operation in case.history.operations.values():
        yield from _outcome(case, operation)
        yield from _freshness(case, operation)
    yield from _real_time(case)
    yield from _backwards(case)
    yield from _resolutions(case)


def _gaps(log: Log) -> Iterator[Violation]:
    if missing := set(range(max(log.versions, default=0) + 1)) - set(log.versions):
        yield Violation(Kind.GAP, f"versions {sorted(missing)} are not in the log")


def _twice(case: Case) -> Iterator[Violation]:
    commits = case.log.commits
    for commit_id in _repeated(commit.commit_id for commit in commits):
        places = [commit for commit in commits if commit.commit_id == commit_id]
        yield Violation(Kind.TWICE, f"commit {commit_id} is at {_versions(places)}", _names(places))
    for name, places in case.places.items():
        if len({place.commit_id for place in places}) > 1:
            yield Violation(Kind.TWICE, f"{name} is at {_versions(places)}", (name,))
    for txn in _repeated(commit.txn for commit in commits if commit.txn is not None):
        places = [commit for commit in commits if commit.txn == txn]
        yield Violation(Kind.TWICE, f"txn {txn} is at {_versions(places)}", _names(places))
    for commit in commits:
        if case.log.revoked.get(commit.commit_id, commit.version) != commit.version:
            text = f"commit {commit.commit_id} is in the log, and revoked"
            yield Violation(Kind.PRESENT, text, _names([commit]))


def _unexplained(case: Case) -> Iterator[Violation]:
    for commit in case.log.commits:
        if commit.operation is None:
            if commit.kind not in OWN_KINDS:
                yield Violation(Kind.UNEXPLAINED, f"{commit} names no operation")
            continue
        operation = case.history.operations.get(commit.operation)
        if operation is None:
            yield Violation(Kind.UNEXPLAINED, f"{commit} was never begun", (commit.operation,))
        elif not any(each.commit_id in (None, commit.commit_id) for each in operation.attempts):
            text = f"{commit} was never about to be committed"
            yield Violation(Kind.UNEXPLAINED, text, (commit.operation,))
        elif commit.txn != operation.txn:
            text = f"{commit} was begun with txn {operation.txn}"
            yield Violation(Kind.TXN, text, (commit.operation,))


def _outcome(case: Case, operation: Operation) -> Iterator[Violation]:
    places = case.places.get(operation.name, [])
    end = operation.end
    if end is None or end.outcome is Outcome.UNKNOWN:
        return
    if end.outcome is Outcome.FAILED or not end.commit_id or end.already_committed:
        if places:
            told = end.error or "told that nothing was committed"
            text = f"{operation} is at {_versions(places)}: {told}"
            yield Violation(Kind.PRESENT, text, (operation.name,))
        if _is_out_of_order(end) and not _is_overtaken(case.log, operation):
            text = f"{operation} was told that {operation.txn} is out of order, and nothing later is there"
            yield Violation(Kind.TXN, text, (operation.name,))
        if end.already_committed and not _is_recorded(case.log, operation):
            text = f"{operation} was told that {operation.txn} is committed at {end.version}"
            yield Violation(Kind.TXN, text, (operation.name,))
        return
    if (end.version, end.commit_id) not in {(p.version, p.commit_id) for p in places}:
        text = f"{operation} was acknowledged at {end.version} as {end.commit_id}, is at "
        yield Violation(Kind.ABSENT, f"{text}{_versions(places)}", (operation.name,))


def _is_recorded(log: Log, operation: Operation) -> bool:
    """Whether the log holds the operation's transaction where it was told."""
    if operation.txn is None or operation.end is None or operation.end.version is None:
        return False
    return any(
        commit.txn == operation.txn and commit.version <= operation.end.version
        for commit in log.commits
    )


def _is_out_of_order(end: Ended) -> bool:
    return (end.error or "").startswith(TransactionOutOfOrder.__name__)


def _is_overtaken(log: Log, operation: Operation) -> bool:
    """Whether the log holds a later transaction of the operation's application."""
    if operation.txn is None:
        return False
    app, number = operation.txn
    return any(
        commit.txn[0] == app and commit.txn[1] > number
        for commit in log.commits
        if commit.txn is not None
    )


def _freshness(case: Case, operation: Operation) -> Iterator[Violation]:
    """What is said to be the latest version is not older than what was acknowledged before."""
    end = operation.end
    if end is None or not end.found_nothing or end.version is None:
        return
    if operation.kind != LOOK and all(each.base is not None for each in operation.attempts):
        return
    before = case.before(operation.began)
    if before is not None and before[0] > end.version:
        text = f"{operation} saw version {end.version} after {before[0]} was acknowledged"
        yield Violation(Kind.STALE, text, (operation.name, before[1]))


def _real_time(case: Case) -> Iterator[Violation]:
    for name, places in case.places.items():
        operation = case.history.operations.get(name)
        before = case.before(operation.began) if operation else None
        if before is not None and places[0].version <= before[0]:
            text = f"{operation} is at {places[0].version} and began after {before[0]} was acknowledged"
            yield Violation(Kind.REAL_TIME, text, (name, before[1]))


def _backwards(case: Case) -> Iterator[Violation]:
    by_process: dict[str, list[Operation]] = defaultdict(list)
    for operation in case.history.operations.values():
        by_process[operation.process].append(operation)
    for process, operations in by_process.items():
        own = History({each.name: each for each in operations})
        mine = Case(own, case.log)
        for operation in operations:
            if operation.kind == LOOK_BACK:
                continue
            before = mine.before(operation.began)
            for attempt in operation.attempts:
                if before and attempt.base is not None and attempt.base < before[0]:
                    text = f"{operation} of {process} saw {attempt.base} after its own {before[0]}"
                    yield Violation(Kind.BACKWARDS, text, (operation.name, before[1]))


def _resolutions(case: Case) -> Iterator[Violation]:
    by_id = {commit.commit_id: commit for commit in case.log.commits}
    for told in case.history.resolutions:
        commit = by_id.get(told.commit_id)
        match ResolutionState(told.state):
            case ResolutionState.COMMITTED:
                wrong = commit is None or commit.version != told.version
            case ResolutionState.NOT_COMMITTED:
                wrong = commit is not None
            case ResolutionState.OPEN:
                wrong = told.settled
        if wrong:
            where = f"at {commit.version}" if commit else "not in the log"
            text = (
                f"commit {told.commit_id} was told to be {told.state} at {told.version}, is {where}"
            )
            yield Violation(Kind.RESOLUTION, text, _names([commit] if commit else []))


def _repeated(values: Iterable[T]) -> list[T]:
    return [value for value, count in Counter(values).items() if count > 1]


def _versions(places: Iterable[Logged]) -> str:
    return ", ".join(str(place.version) for place in places) or "no version"


def _names(places: Iterable[Logged]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(p.operation for p in places if p.operation is not None))
