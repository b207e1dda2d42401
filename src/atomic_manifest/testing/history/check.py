"""Whether a history is serializable in the order of the log. Pure.

The log gives the order: version by version, and within an entry as it lists its commits. Each operation
is tried in its place on a simple model of the table (`history.model`): what it read must be what the model
holds there. What it read must also be the state of the version that it says it saw, whether it was
committed or not. At the end the model must hold what readers found in the table. All that is wrong is
told; what comes later in the order may follow from what came first.

Under `WriteSerializable` a commit need not see rows that were appended blindly since the version it was
made from: it is tried without them, which is the order in which they come later. That version is known of
transactions alone; so an operation that reads is to be one, where the table has that isolation.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import groupby

from atomic_manifest.testing.history.journal import Attempt, History, Operation, Outcome
from atomic_manifest.testing.history.log import Log, Logged
from atomic_manifest.testing.history.model import Model
from atomic_manifest.testing.history.presence import Case, check_presence
from atomic_manifest.testing.history.steps import EVERYTHING, Row, is_blind
from atomic_manifest.testing.history.violations import Kind, Violation


def check(
    history: History,
    log: Log,
    contents: Mapping[str, Counter[Row]],
    *,
    serializable: bool = True,
) -> tuple[Violation, ...]:
    """Find all that is wrong.

    Args:
        history: What processes did and were told.
        log: What the table's log holds.
        contents: The rows of its last version, by the name of who read them.
        serializable: Whether the table has that isolation, or else `WriteSerializable`.
    """
    case = Case(history, log)
    return (*check_presence(case), *_Replay(case, serializable=serializable).run(contents))


class _Replay:
    """The model on its way through the log."""

    def __init__(self, case: Case, *, serializable: bool) -> None:
        self._case = case
        self._serializable = serializable
        self._model = Model()
        self._blind: list[tuple[int, str]] = []
        self._snapshots: dict[int, list[tuple[Operation, Attempt]]] = defaultdict(list)
        for operation in case.history.operations.values():
            for version, attempt in _snapshots(operation):
                self._snapshots[version].append((operation, attempt))

    def run(self, contents: Mapping[str, Counter[Row]]) -> Iterator[Violation]:
        commits = {v: [*c] for v, c in groupby(self._case.log.commits, lambda c: c.version)}
        for version in self._case.log.versions:
            for commit in commits.get(version, ()):
                yield from self._commit(commit)
            for operation, attempt in self._snapshots.pop(version, ()):
                yield from self._snapshot(version, operation, attempt)
        for version, left in sorted(self._snapshots.items()):
            for operation, _ in left:
                text = f"{operation} saw version {version}, which is not in the log"
                yield Violation(Kind.SNAPSHOT, text, (operation.name,))
        for reader, rows in contents.items():
            yield from self._contents(reader, rows)

    def _commit(self, commit: Logged) -> Iterator[Violation]:
        operation = self._case.history.operations.get(commit.operation or "")
        attempt = _committed(operation, commit) if operation else None
        if operation is None or attempt is None:
            return
        if is_blind(attempt.steps):
            self._blind.append((commit.version, operation.name))
        differences = [*self._model.take(operation.name, attempt.steps, self._unseen(attempt))]
        for found in differences:
            text = f"{operation} at version {commit.version}: {found.text}"
            yield Violation(Kind.READ, text, (operation.name, *found.writers))
        end = operation.end
        told = end.rows_deleted if end is not None and end.outcome is Outcome.OK else None
        if not differences and told not in (None, self._model.deleted):
            text = f"{operation} was told of {told} rows deleted, which were {self._model.deleted}"
            yield Violation(Kind.READ, text, (operation.name,))

    def _unseen(self, attempt: Attempt) -> frozenset[str]:
        base = attempt.base
        if self._serializable or base is None:
            return frozenset()
        return frozenset(name for version, name in self._blind if version > base)

    def _snapshot(
        self, version: int, operation: Operation, attempt: Attempt
    ) -> Iterator[Violation]:
        trial = self._model.copy()
        for found in trial.take(operation.name, attempt.steps):
            text = f"{operation} saw version {version}: {found.text}"
            yield Violation(Kind.SNAPSHOT, text, (operation.name, *found.writers))
        end = operation.end
        if attempt.base is None and trial.contents != self._model.contents and end is not None:
            text = f"{operation} found nothing to do at version {version}, where there is"
            yield Violation(Kind.SNAPSHOT, text, (operation.name,))

    def _contents(self, reader: str, rows: Counter[Row]) -> Iterator[Violation]:
        for found in self._model.compare(EVERYTHING, rows):
            yield Violation(Kind.CONTENTS, f"{reader}: {found.text}", found.writers)


def _committed(operation: Operation, commit: Logged) -> Attempt | None:
    """The attempt that a commit is of."""
    fits = [each for each in operation.attempts if each.commit_id in (None, commit.commit_id)]
    return fits[-1] if fits else None


def _snapshots(operation: Operation) -> Iterator[tuple[int, Attempt]]:
    """The attempts of which it is told what version they saw."""
    end = operation.end
    for attempt in operation.attempts:
        if attempt.base is not None:
            yield attempt.base, attempt
        elif end is not None and end.found_nothing and end.version is not None:
            yield end.version, attempt
