"""Rows on their way to files: which wait, which file they go to, and when they must leave memory.

The rows of each partition are collected into row groups, and a file is begun with the first whole one
(or at the end). What happens when the rows that wait exceed `buffer_size` depends on how they come:

* Clustered: no partition has come back after a batch without it. Then those that the last batch had
  nothing for are finished, the oldest first. So sorted input has one file open at a time.
* Scattered, over no more partitions than there may be open files: the largest row groups are written.
* Scattered over more: the rows go to the local disk, see `spill`, until their row group is whole. So
  every partition has its rows in as few files as their sizes allow.

All of this follows from the input alone, never from how fast files are written.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from atomic_manifest.data.write.file_set import FileSet, StagedFile
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.partitioning import Values
from atomic_manifest.data.write.row_group import RowGroup, spill
from atomic_manifest.data.write.spill import Run


@dataclass(slots=True, eq=False)
class _Partition:
    """Rows of one partition that wait, and the file they go to, if one is open.

    Attributes:
        batch: The number of the last batch with rows of it.
    """

    values: Values
    group: RowGroup
    batch: int
    file: StagedFile | None = None


class Buffering:
    """The rows of one write. To be used by one thread.

    Args:
        files: Where they go.
        options: See `WriteOptions`.
    """

    def __init__(self, files: FileSet, options: WriteOptions) -> None:
        self._files = files
        self._options = options
        self._partitions: dict[Values, _Partition] = {}
        # Those with an open file, least recently written first.
        self._open: dict[Values, _Partition] = {}
        self._finished: set[Values] = set()
        self._runs: list[Run] = []
        self._batch = 0
        self._scattered = False
        # Memory that slices of the batches since then may hold, and what was held then.
        self._retained = 0

    def take(self, parts: Iterator[tuple[Values, pa.RecordBatch]], nbytes: int) -> None:
        """Take the parts of a batch; so many bytes stay in memory for as long as one of them does."""
        self._batch += 1
        for values, rows in parts:
            self._add(values, rows)
        self._retained += nbytes
        if not self._scattered:
            for partition in self._idle():
                if partition.file is not None:
                    self._finish(partition)
        if max(self._retained, self._held()) > self._options.buffer_size:
            self._make_room()

    def finish(self) -> None:
        """Finish all files. They are in the store when `FileSet.finish` has returned."""
        rest = list(self._partitions.values())
        if len(rest) == 1 and rest[0].file is None and rest[0].group.num_rows:
            (only,) = rest
            self._files.close_here(self._files.begin(only.values), only.group.take())
            return
        for partition in rest:
            self._finish(partition)

    def close(self) -> None:
        """Free what is left on the local disk."""
        for run in self._runs:
            run.close()

    def _add(self, values: Values, rows: pa.RecordBatch) -> None:
        partition = self._partitions.get(values)
        if partition is None:
            partition = _Partition(values, RowGroup(self._options), self._batch)
            self._partitions[values] = partition
            self._scattered = self._scattered or values in self._finished
        if partition.batch < self._batch - 1:
            self._scattered = True
        partition.batch = self._batch
        group, start = partition.group, 0
        while start < rows.num_rows:
            room = self._room(partition)
            piece = rows if not start and rows.num_rows <= room else rows.slice(start, room)
            group.add(piece)
            start += piece.num_rows
            if piece.num_rows == room or group.is_whole:
                self._write(partition)

    def _room(self, partition: _Partition) -> int:
        """Rows that the row group can take, if it shall fit into the file."""
        room, most = partition.group.room, self._options.max_rows_per_file
        if not most:
            return room
        there = 0 if partition.file is None else partition.file.num_rows
        return min(room, most - there - partition.group.num_rows)

    def _write(self, partition: _Partition) -> None:
        """Have the rows that wait written as a row group."""
        file = partition.file
        if file is not None and self._files.is_full(file):
            self._close(partition)
        if partition.file is None:
            self._begin(partition)
        file = partition.file
        assert file is not None  # noqa: S101 - just begun
        self._files.write(file, partition.group.take())
        self._open[partition.values] = self._open.pop(partition.values)
        if file.num_rows == self._options.max_rows_per_file:
            self._close(partition)

    def _begin(self, partition: _Partition) -> None:
        if len(self._open) >= self._options.max_open_files:
            self._close(next(iter(self._open.values())))
        partition.file = self._files.begin(partition.values)
        self._open[partition.values] = partition

    def _close(self, partition: _Partition) -> None:
        """Have the partition's open file finished as it is."""
        file, partition.file = partition.file, None
        del self._open[partition.values]
        assert file is not None  # noqa: S101 - it is among the open ones
        self._files.close(file)

    def _finish(self, partition: _Partition) -> None:
        """Have all rows of a partition written, and forget it."""
        del self._partitions[partition.values]
        self._finished.add(partition.values)
        file = partition.file
        if file is not None and partition.group.num_rows and self._files.is_full(file):
            self._close(partition)
            file = None
        if file is None and not partition.group.num_rows:
            return
        if file is None:
            file = self._files.begin(partition.values)
        self._open.pop(partition.values, None)
        self._files.close(file, partition.group.take())

    def _idle(self) -> list[_Partition]:
        """Partitions that the last batch had no rows of, the oldest first."""
        idle = [each for each in self._partitions.values() if each.batch < self._batch]
        return sorted(idle, key=lambda each: each.batch)

    def _held(self) -> int:
        return sum(each.group.in_memory for each in self._partitions.values())

    def _make_room(self) -> None:
        """Keep within the bound of memory."""
        bound = self._options.buffer_size // 2
        if not self._scattered:
            self._finish_idle(bound)
        if len(self._partitions) > self._options.max_open_files:
            self._spill()
        else:
            self._write_largest(bound)
        if self._retained:
            for partition in self._partitions.values():
                partition.group.compact()
            self._retained = self._held()

    def _finish_idle(self, bound: int) -> None:
        held = self._held()
        for partition in self._idle():
            if held <= bound:
                return
            held -= partition.group.in_memory
            self._finish(partition)

    def _write_largest(self, bound: int) -> None:
        held = self._held()
        for partition in sorted(
            self._partitions.values(), key=lambda each: each.group.in_memory, reverse=True
        ):
            if held <= bound:
                return
            held -= partition.group.in_memory
            self._write(partition)

    def _spill(self) -> None:
        groups = [each.group for each in self._partitions.values() if each.group.in_memory]
        if groups:
            self._runs.append(spill(groups))
