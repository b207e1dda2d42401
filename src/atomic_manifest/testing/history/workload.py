"""What workers do: operations drawn at random, each of which goes wrong visibly if isolation does.

The table holds, told apart by `part`:

* `bank`: accounts, whose transfers read two and write two (lost updates show);
* `counter`: numbers, each one above the highest so far (unique only if reads hold);
* `duty`: who is on duty; whoever sees that not all are needed sends one home (write skew);
* `f0` to `f2`: rows that come and go blindly, by append, delete and overwrites;
* `sums`, `census`: the sum of a feed and how many rows of it are in a range, as somebody read them
  (phantoms).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from atomic_manifest.testing.history.presence import LOOK, LOOK_BACK
from atomic_manifest.testing.history.steps import (
    EVERYTHING,
    Append,
    Delete,
    Overwrite,
    OverwriteParts,
    Row,
    Where,
)

T = TypeVar("T")

FEEDS = ("f0", "f1", "f2")
ACCOUNTS, DOCTORS, KEYS = 6, 4, 12
BALANCE = 100

INITIAL: tuple[Row, ...] = (
    *(("bank", account, BALANCE) for account in range(ACCOUNTS)),
    *(("duty", doctor, 1) for doctor in range(DOCTORS)),
    ("counter", 0, 0),
)
"""The rows to begin with."""


class Reads(Protocol):
    """A transaction, in the words of histories."""

    def read(self, where: Where) -> list[Row]:
        """The rows that match."""
        ...

    def append(self, *rows: Row) -> None:
        """Add rows."""
        ...

    def delete(self, where: Where) -> None:
        """Delete what matches."""
        ...

    def overwrite(self, where: Where, *rows: Row) -> None:
        """Replace what matches."""
        ...

    def overwrite_parts(self, *rows: Row) -> None:
        """Replace whole parts."""
        ...


Body: TypeAlias = Callable[[Reads], None]


class AbandonedError(Exception):
    """Raised by a body that does not want its work committed."""


@dataclass(frozen=True, slots=True)
class Look:
    """Open the table anew, at the latest version or at one so many before it, and read."""

    where: Where
    back: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """An operation to do.

    Attributes:
        kind: What it is, in words.
        does: One step by a method of the table, a look, or the body of a transaction.
        again: Whether to run the body again after a conflict.
        with_txn: Whether to give a transaction id.
    """

    kind: str
    does: Append | Delete | Overwrite | OverwriteParts | Look | Body
    again: bool = False
    with_txn: bool = False


def part_is(part: str) -> Where:
    """All rows of a part."""
    return ((("part", "=", part),),)


def row_is(part: str, key: int) -> Where:
    """The rows of a part with a key."""
    return ((("part", "=", part), ("key", "=", key)),)


class Workload:
    """Draws operations.

    Args:
        draw: Gives numbers from [0, 1).
        first_value: Values of the rows it adds count up from here, so that rows of different workers
            differ.
        partitioned: Whether whole parts can be overwritten dynamically.
        plain_reads: Whether operations that read may be other than transactions.
    """

    def __init__(
        self,
        draw: Callable[[], float],
        *,
        first_value: int,
        partitioned: bool = True,
        plain_reads: bool = True,
    ) -> None:
        self._draw = draw
        self._value = first_value
        self._plain_reads = plain_reads
        self._makers: list[Callable[[], Planned]] = [
            *[self._append] * 4,
            *[self._delete] * 2,
            *[self._overwrite] * 2,
            *([self._overwrite_parts] if partitioned else []),
            *[self._look] * 2,
            *[self._transfer] * 5,
            *[self._count] * 2,
            *[self._duty] * 3,
            *[self._sum] * 2,
            *[self._census] * 2,
            self._mixed,
            self._abandoned,
        ]

    def next(self) -> Planned:
        """The next operation."""
        return self.pick(self._makers)()

    def chance(self, share: float) -> bool:
        """True so often."""
        return self._draw() < share

    def pick(self, choices: Sequence[T]) -> T:
        """One of these."""
        return choices[int(self._draw() * len(choices))]

    # --- parts ---

    def _number(self, below: int) -> int:
        return int(self._draw() * below)

    def _rows(self, *parts: str) -> tuple[Row, ...]:
        rows = []
        for part in parts:
            for _ in range(1 + self._number(3)):
                self._value += 1
                rows.append((part, self._number(KEYS), self._value))
        return tuple(rows)

    def _where(self) -> Where:
        """Some rows that come and go: of one part, of a range, or of two."""
        one = (("part", "=", self.pick(FEEDS)), ("key", "<", self._number(KEYS)))
        start = self._number(KEYS)
        two = (("part", "=", self.pick(FEEDS)), ("key", ">=", start), ("key", "<", start + 3))
        wide = (("part", "=", "census"), ("key", ">=", self._number(KEYS)))
        return self.pick([(one,), (one,), (two,), (one, two), (one, wide)])

    def _body(self, kind: str, body: Body) -> Planned:
        return Planned(kind, body, again=self.chance(0.6), with_txn=self.chance(0.25))

    def _plain(self, kind: str, step: Append | Delete | Overwrite | OverwriteParts) -> Planned:
        with_txn = self.chance(0.3)
        if self._plain_reads or isinstance(step, Append):
            return Planned(kind, step, with_txn=with_txn)

        def body(tx: Reads) -> None:
            match step:
                case Delete(where):
                    tx.delete(where)
                case Overwrite(rows, where):
                    tx.overwrite(where, *rows)
                case OverwriteParts(rows):
                    tx.overwrite_parts(*rows)

        return Planned(kind, body, again=True, with_txn=with_txn)

    # --- operations ---

    def _append(self) -> Planned:
        parts = [part for part in FEEDS if self.chance(0.4)] or [self.pick(FEEDS)]
        return self._plain("append", Append(self._rows(*parts)))

    def _delete(self) -> Planned:
        return self._plain("delete", Delete(self._where()))

    def _overwrite(self) -> Planned:
        part, key = self.pick(FEEDS), self._number(KEYS)
        rows = tuple((part, key, value) for _, _, value in self._rows(part))
        return self._plain("overwrite", Overwrite(rows, row_is(part, key)))

    def _overwrite_parts(self) -> Planned:
        return self._plain("overwrite parts", OverwriteParts(self._rows(self.pick(FEEDS))))

    def _look(self) -> Planned:
        if self.chance(0.5):
            return Planned(LOOK, Look(EVERYTHING))
        return Planned(LOOK_BACK, Look(self._where(), back=1 + self._number(20)))

    def _transfer(self) -> Planned:
        payer = self._number(ACCOUNTS)
        payee = (payer + 1 + self._number(ACCOUNTS - 1)) % ACCOUNTS
        amount = 1 + self._number(9)

        def transfer(tx: Reads) -> None:
            for account, change in ((payer, -amount), (payee, amount)):
                balance = sum(value for _, _, value in tx.read(row_is("bank", account)))
                tx.overwrite(row_is("bank", account), ("bank", account, balance + change))

        return self._body("transfer", transfer)

    def _count(self) -> Planned:
        def count(tx: Reads) -> None:
            rows = tx.read(part_is("counter"))
            following = ("counter", 0, max((value for _, _, value in rows), default=0) + 1)
            if len(rows) < ACCOUNTS:
                tx.append(following)
            else:
                tx.overwrite(part_is("counter"), following)

        return self._body("count", count)

    def _duty(self) -> Planned:
        doctor = self._number(DOCTORS)

        def change_duty(tx: Reads) -> None:
            on = {key for _, key, value in tx.read(part_is("duty")) if value}
            stays = doctor not in on or len(on) == 1
            tx.overwrite(row_is("duty", doctor), ("duty", doctor, int(stays)))

        return self._body("change of duty", change_duty)

    def _sum(self) -> Planned:
        number = self._number(len(FEEDS))

        def sum_up(tx: Reads) -> None:
            total = sum(value for _, _, value in tx.read(part_is(FEEDS[number])))
            tx.overwrite(row_is("sums", number), ("sums", number, total))

        return self._body("sum", sum_up)

    def _census(self) -> Planned:
        part, start = self.pick(FEEDS), self._number(KEYS)
        where: Where = ((("part", "=", part), ("key", ">=", start)),)

        def census(tx: Reads) -> None:
            tx.append(("census", start, len(tx.read(where))))

        return self._body("census", census)

    def _mixed(self) -> Planned:
        rows, where = self._rows(*FEEDS[:2]), self._where()

        def several(tx: Reads) -> None:
            tx.append(*rows)
            tx.delete(where)
            tx.read(((("key", "<", KEYS // 2),),))

        return self._body("several", several)

    def _abandoned(self) -> Planned:
        rows = self._rows(FEEDS[0])

        def abandon(tx: Reads) -> None:
            tx.append(*rows)
            tx.read(part_is(FEEDS[0]))
            raise AbandonedError

        return Planned("abandoned", abandon)
