"""The table as a list of rows: the simplest thing that steps can be tried on.

Each row remembers who added it, and each removed one who removed it, so that a wrong read can name those
whose writes it missed. Besides, it is what makes weaker isolation checkable: a commit that does not see
what some others added is tried on the table without their rows.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from atomic_manifest.testing.history.steps import (
    Append,
    Delete,
    Overwrite,
    OverwriteParts,
    Read,
    Row,
    Step,
    Where,
    matches,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that was told and is not so.

    Attributes:
        text: What.
        writers: Operations whose writes make the difference.
    """

    text: str
    writers: tuple[str, ...] = ()


class Model:
    """The table's rows at one point of a serial order.

    Args:
        rows: Each with the name of the operation that added it.
        removed: Of rows that are gone, who removed one like it last.
    """

    def __init__(
        self, rows: Iterable[tuple[Row, str]] = (), removed: Iterable[tuple[Row, str]] = ()
    ) -> None:
        self._rows = [*rows]
        self._removed = dict(removed)
        self._deleted = 0

    def copy(self) -> Self:
        """The same, to try something on."""
        return type(self)(self._rows, self._removed.items())

    @property
    def contents(self) -> Counter[Row]:
        """The rows."""
        return Counter(row for row, _ in self._rows)

    @property
    def deleted(self) -> int:
        """How many rows the last steps removed by a predicate."""
        return self._deleted

    def take(
        self, name: str, steps: Sequence[Step], unseen: Collection[str] = ()
    ) -> Iterator[Difference]:
        """Carry out the steps of an operation, and give what they were told wrongly.

        Args:
            name: The operation.
            steps: What it does.
            unseen: Operations whose rows it neither sees nor removes.
        """
        self._deleted = 0
        for step in steps:
            match step:
                case Read(where, rows):
                    yield from self.compare(where, Counter(rows), unseen)
                case Append(rows):
                    self._add(rows, name)
                case Delete(where, told):
                    count = self._remove(partial(matches, where), name, unseen)
                    self._deleted += count
                    if told not in (None, count):
                        yield Difference(f"was told of {told} rows deleted, which were {count}")
                case Overwrite(rows, where):
                    self._deleted += self._remove(partial(matches, where), name, unseen)
                    self._add(rows, name)
                case OverwriteParts(rows):
                    self._remove(partial(_of_parts, {part for part, _, _ in rows}), name, unseen)
                    self._add(rows, name)

    def compare(
        self, where: Where, told: Counter[Row], unseen: Collection[str] = ()
    ) -> Iterator[Difference]:
        """What is wrong with the rows that somebody was given for a read."""
        there = [(r, by) for r, by in self._rows if by not in unseen and matches(where, r)]
        rows = Counter(row for row, _ in there)
        missed, extra = rows - told, told - rows
        if not missed and not extra:
            return
        writers = {by for row, by in there if row in missed or row in extra}
        writers |= {self._removed[row] for row in extra if row in self._removed}
        parts = [f"missed {_some(missed)}"] if missed else []
        parts += [f"saw {_some(extra)}, not there"] if extra else []
        yield Difference(f"a read {' and '.join(parts)}", (*sorted(writers),))

    def _add(self, rows: Iterable[Row], name: str) -> None:
        self._rows += [(row, name) for row in rows]

    def _remove(self, gone: Callable[[Row], bool], name: str, unseen: Collection[str]) -> int:
        kept = []
        for row, by in self._rows:
            if by in unseen or not gone(row):
                kept.append((row, by))
            else:
                self._removed[row] = name
        count = len(self._rows) - len(kept)
        self._rows = kept
        return count


def _of_parts(parts: Collection[str], row: Row) -> bool:
    return row[0] in parts


def _some(rows: Counter[Row]) -> str:
    first = sorted(rows.elements())[:5]
    more = f" and {rows.total() - len(first)} more" if rows.total() > len(first) else ""
    return f"{', '.join(map(str, first))}{more}"
