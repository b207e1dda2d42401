"""The rows of one partition that wait to be a row group, in memory or on disk.

Invariants: rows keep their order, wherever they wait. Taking them leaves an empty group.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.spill import Run, Spilled

GROUP_BYTES = 64 << 20
"""A row group is written when its rows take about this much memory as Arrow."""

_SLACK = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that shall be one row group; they may yet be on disk.

    Attributes:
        pieces: In order.
        num_rows: How many.
        nbytes: What they take in memory.
    """

    pieces: list[pa.RecordBatch | Spilled]
    num_rows: int
    nbytes: int

    def read(self) -> pa.Table:
        """All of them in memory."""
        loaded = [each.load() if isinstance(each, Spilled) else each for each in self.pieces]
        return pa.Table.from_batches(loaded)

    def take(self) -> pa.Table:
        """As `read`, once: the pieces are let go of with the result."""
        rows = self.read()
        self.pieces.clear()
        return rows


class RowGroup:
    """Collects rows.

    Args:
        options: `max_rows_per_group`, `min_rows_per_group` and `buffer_size` say when it is whole.

    Attributes:
        num_rows: Rows that wait.
        nbytes: Their size as Arrow.
        in_memory: That of those which are not on disk.
    """

    def __init__(self, options: WriteOptions) -> None:
        self._most, self._least = options.max_rows_per_group, options.min_rows_per_group
        self._enough = min(GROUP_BYTES, options.buffer_size)
        self._pieces: list[pa.RecordBatch | Spilled] = []
        self._last = 0
        self.num_rows = self.nbytes = self.in_memory = 0

    @property
    def room(self) -> int:
        """Rows that it can still take."""
        return self._most - self.num_rows

    @property
    def is_whole(self) -> bool:
        """Whether it is as large as a row group shall be, or would be farther from it with more rows like
        the last that came."""
        enough = self.nbytes + self._last / 2 >= self._enough and self.num_rows >= self._least
        return not self.room or enough

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows, no more than there is room for."""
        size = batch.nbytes
        self._pieces.append(batch)
        self.num_rows += batch.num_rows
        self.nbytes += size
        self.in_memory += size
        self._last = size

    def take(self) -> Rows:
        """Give all rows away."""
        rows = Rows(self._pieces, self.num_rows, self.nbytes)
        self._pieces = []
        self._last = self.num_rows = self.nbytes = self.in_memory = 0
        return rows

    def joined(self) -> pa.RecordBatch:
        """A copy of the rows in memory, of which there is one at least."""
        first, *rest = self._in_memory()
        columns = [
            pa.concat_arrays([column, *(each.column(index) for each in rest)])
            for index, column in enumerate(first.columns)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=first.schema)

    def compact(self) -> None:
        """Hold about no memory but that of the rows themselves: slices hold what they were cut from."""
        held = sum(each.get_total_buffer_size() for each in self._in_memory())
        if held > _SLACK * self.in_memory:
            self._replace(self.joined())

    def set_aside(self, run: Run, index: int) -> None:
        """Hold the rows in memory no longer: `joined` is now in a run."""
        rows = sum(each.num_rows for each in self._in_memory())
        self._replace(Spilled(run, index, rows, self.in_memory))
        self.in_memory = 0

    def _in_memory(self) -> list[pa.RecordBatch]:
        return [each for each in self._pieces if not isinstance(each, Spilled)]

    def _replace(self, piece: pa.RecordBatch | Spilled) -> None:
        """Put one piece in the place of those in memory, which come last."""
        self._pieces = [*(each for each in self._pieces if isinstance(each, Spilled)), piece]


def spill(groups: Sequence[RowGroup]) -> Run:
    """Move the rows of groups that hold some in memory to the local disk.

    Raises:
        DataError: See `Run`.
    """
    run = Run(group.joined() for group in groups)
    for index, group in enumerate(groups):
        group.set_aside(run, index)
    return run
