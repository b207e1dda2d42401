"""The files of a checkpoint, as groups of rows that are read alone and by column.

Invariants: opening a Parquet file reads its footer, or all of a small file. A group's rows are read only
when asked for, and of them only the fields asked for that are not null everywhere; the first time, all of
a file that is not large. Pages and footers that carry a checksum are checked. Whatever fields a writer
left out read as null.

Error semantics: damage raises what pyarrow and msgspec raise, or `ValueError`; `checkpoint.reader` says
whose it is. Errors of the store pass through.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atomic_manifest.log.pruning.row_group import LeafStatistics
from atomic_manifest.log.ranged import Range, RangedFile
from atomic_manifest.log.seal import SEAL_BYTES, check_file, check_footer, footer_start
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.object_store import ObjectStore

WHOLE = 16 * 1024 * 1024
"""Up to this size, in bytes, all of a file is read when rows of it are; one GET beats several."""

AT_ONCE = 1024 * 1024
"""Up to this size it is read when it is opened, for that takes no longer than reading the footer."""

_ROWS_PER_BYTE = 4
_FEW_ROWS = 100_000
_EXPANDED = 1024**3
_READ_AT_ONCE = 1024**3
_PAGE_HEADER = 16
# In Thrift's compact protocol: the page's type, a small number, and its size, which are the first fields.
_PAGE_SIZE = re.compile(rb"\x15[\x00-\x7f]\x15([\x80-\xff]{0,4}[\x00-\x7f])", re.DOTALL)
_EXPANSION = 200  # times its size; names of files and their statistics do not repeat that often
_HUGE = 64 * 1024 * 1024  # groups with more bytes to read are read in batches of rows
_BUFFER = 4 * 1024 * 1024
_BATCH_ROWS = 32_768
_TAIL = 64 * 1024


class Expanding(ValueError):
    """A file that would take far more memory than one of its size can need. Reading it again is no help."""


class ParquetPart:
    """A Parquet file of a checkpoint. Not to be shared between threads.

    Args:
        store: Rooted at the table.
        meta: The file.
        exact: Whether it is known to have that size, whatever was there when it was listed.

    Attributes:
        path: The file.
        sealed: Whether it is sealed, which is known when it was opened.
    """

    def __init__(self, store: ObjectStore, meta: ObjectMeta, *, exact: bool = False) -> None:
        self.path = meta.path
        self._name = meta.path.rpartition("/")[2]
        self._store = store
        self._size = meta.size
        self._exact = exact
        self.sealed = False
        self._ranged: RangedFile | None = None
        self._whole: Any = None

    @cached_property
    def file(self) -> pq.ParquetFile:
        """The opened file."""
        if self._size <= min(AT_ONCE, WHOLE):
            data = self._store.get(self.path).data
            if self._exact and len(data) != self._size:
                raise ValueError(f"it has {len(data)} bytes, not {self._size}")
            self.sealed = check_file(data, self._name)
            self._whole = pa.BufferReader(data)
            return self._checked(_open(self._whole))
        self._ranged = ranged = RangedFile(self._store, self.path, self._size)
        tail = _tail(ranged, self._size, _TAIL)
        start = footer_start(tail) or 0
        if start + SEAL_BYTES > len(tail):
            tail = _tail(ranged, self._size, start + SEAL_BYTES)
        self.sealed = check_footer(tail, self._name)
        return self._checked(_open(pa.PythonFile(ranged, mode="r"), buffer_size=_BUFFER))

    def forget(self) -> None:
        """Let go of what was read, which came damaged, so that it is read again."""
        self.__dict__.pop("file", None)
        self.__dict__.pop("leaves", None)
        self._ranged = None

    def load(self) -> None:
        """Have all of the file, if it is not large, before rows of it are read."""
        file = self.file
        if self._ranged is None or self._size > WHOLE:
            return
        self._ranged.prefetch([(0, self._size)])
        self._ranged.seek(0)
        data = self._ranged.read()
        self.sealed = check_file(data, self._name)
        self._whole = pa.BufferReader(data)
        self.file = _open(self._whole, metadata=file.metadata)
        self._ranged = None

    @cached_property
    def leaves(self) -> Mapping[tuple[str, ...], int]:
        """Where columns are, by their path. By position, for names may hold the dots of a path."""
        found: dict[tuple[str, ...], int] = {}
        position = 0
        for field in self.file.schema_arrow:
            position = _locate(field, (), position, found)
        return found

    def _checked(self, file: pq.ParquetFile) -> pq.ParquetFile:
        """The opened file, unless its footer claims more than a file of its size can hold."""
        metadata = file.metadata
        groups = map(metadata.row_group, range(metadata.num_row_groups))
        rows, size = metadata.num_rows, sum(group.total_byte_size for group in groups)
        if not 0 <= rows <= _FEW_ROWS + self._size * _ROWS_PER_BYTE or size > self.expanded:
            raise Expanding(f"{self._size} bytes claim to be {rows} rows of {size} bytes")
        return file

    @property
    def expanded(self) -> int:
        """Bytes that its rows may come to in memory."""
        return _EXPANDED + self._size * _EXPANSION

    def groups(self, kind: str) -> "list[ParquetGroup]":
        """The groups that hold such an action, as far as the footer tells.

        Raises:
            ValueError: The file has such actions, but not as the protocol has them.
        """
        leaves = self._leaves_of(kind)
        if leaves and (kind, "path") not in self.leaves:
            raise ValueError(f"`{kind}` has no `path`")
        count = self.file.metadata.num_row_groups
        return [
            ParquetGroup(self, n)
            for n in range(count)
            if any(self.holds(n, leaf) for leaf in leaves)
        ]

    def _leaves_of(self, kind: str) -> list[int]:
        """The columns whose values show that there is such an action."""
        return [leaf for path, leaf in self.leaves.items() if path[0] == kind]

    def rows_with(self, kinds: Collection[str]) -> pa.Table:
        """The rows that are one of the actions."""
        leaves = [leaf for kind in kinds for leaf in self._leaves_of(kind)]
        groups = [
            number
            for number in range(self.file.metadata.num_row_groups)
            if any(self.holds(number, leaf) for leaf in leaves)
        ]
        names = [name for name in kinds if name in self.file.schema_arrow.names]
        self.prefetch(groups, names)
        table = self.file.read_row_groups(groups, columns=names)
        self.release()
        if not names:
            return table
        mask = pa.chunked_array([pa.repeat(False, table.num_rows)])  # noqa: FBT003 - a value
        for column in table.columns:
            mask = pc.or_(mask, pc.is_valid(column))
        return table.filter(mask)

    def holds(self, group: int, leaf: int) -> bool:
        """Whether a column may have a value in a group."""
        row_group = self.file.metadata.row_group(group)
        statistics = row_group.column(leaf).statistics
        if statistics is None or not statistics.has_null_count:
            return True
        return bool(statistics.null_count < row_group.num_rows)

    def prefetch(self, groups: Sequence[int], names: Sequence[str]) -> None:
        """Read what reading the columns will ask for, at once and in parallel."""
        if self._ranged is not None:
            self._ranged.prefetch(self.ranges(groups, names))

    def dictionary_size(self, chunk: Any) -> int:
        """Bytes of a column's dictionary when it is unpacked, by the header of its page.

        Raises:
            ValueError: There is no such header.
        """
        source = self._ranged if self._ranged is not None else self._whole
        source.seek(chunk.dictionary_page_offset)
        found = _PAGE_SIZE.match(bytes(source.read(_PAGE_HEADER)))
        if found is None:
            raise ValueError("a dictionary without a page header")
        size = 0
        for place, byte in enumerate(found[1]):
            size |= (byte & 0x7F) << (7 * place)
        return size >> 1

    def release(self) -> None:
        """Let go of what was prefetched."""
        if self._ranged is not None:
            self._ranged.release()

    def ranges(self, groups: Sequence[int], names: Sequence[str]) -> list[Range]:
        """Where the bytes of columns are, each given by its dotted name or that of a parent."""
        metadata, wanted = self.file.metadata, self.leaves_below(names)
        return [
            _range_of(metadata.row_group(group).column(leaf)) for group in groups for leaf in wanted
        ]

    def leaves_below(self, names: Sequence[str]) -> list[int]:
        """Where columns are, each given by its dotted name or that of a parent."""
        schema = self.file.metadata.schema
        return [
            index
            for index in range(len(schema))
            if any(f"{schema.column(index).path}.".startswith(f"{name}.") for name in names)
        ]


@dataclass(frozen=True, slots=True)
class ParquetGroup:
    """A row group of a Parquet file. See `pruning.row_group.RowGroup`."""

    part: ParquetPart
    number: int

    @property
    def rows(self) -> int:
        """See `RowGroup.rows`."""
        return int(self.part.file.metadata.row_group(self.number).num_rows)

    @property
    def path(self) -> str:
        """See `RowGroup.path`."""
        return self.part.path

    def statistics(self, leaf: tuple[str, ...]) -> LeafStatistics | None:
        """See `RowGroup.statistics`."""
        position = self.part.leaves.get(leaf)
        if position is None:
            return None
        found = self.part.file.metadata.row_group(self.number).column(position).statistics
        if found is None:
            return None
        try:
            low, high = (found.min, found.max) if found.has_min_max else (None, None)
        except (ValueError, OverflowError, OSError, NotImplementedError):  # no Python value for it
            low = high = None
        return LeafStatistics(low, high, found.null_count if found.has_null_count else None)

    def read(self, kind: str, fields: Sequence[str]) -> Iterator[pa.StructArray]:
        """See `RowGroup.read`."""
        self.part.load()
        asked = dict.fromkeys((*self._witnesses(kind), *fields))
        wanted = [field for field in asked if self._has(kind, field)]
        names = [f"{kind}.{field}" for field in wanted]
        rows = 0
        for table in self._tables(names):
            rows += table.num_rows
            for structs in table[kind].chunks:
                yield _actions(structs, kind)
        self._check_rows(rows)

    def forget(self) -> None:
        """See `RowGroup.forget`."""
        self.part.forget()

    def _witnesses(self, kind: str) -> tuple[str, ...]:
        """Fields that tell whether there are actions without a path, if the statistics do not.

        Raises:
            ValueError: There are, say the statistics.
        """
        paths, sizes = self.statistics((kind, "path")), self.statistics((kind, "size"))
        if paths is None or paths.null_count is None or sizes is None or sizes.null_count is None:
            return ("path", "size")
        if paths.null_count > sizes.null_count:
            raise ValueError(f"`{kind}` without a `path`")
        return ("path",)

    def _check_rows(self, rows: int) -> None:
        if rows != self.rows:
            raise ValueError(f"{rows} rows where the footer says {self.rows}")

    def _has(self, kind: str, field: str) -> bool:
        """Whether the file may have values of a field in this group. Of maps it is not looked at."""
        if field == "deletionVector":
            leaves = [at for path, at in self.part.leaves.items() if path[:2] == (kind, field)]
            return not leaves or any(self.part.holds(self.number, leaf) for leaf in leaves)
        position = self.part.leaves.get((kind, field))
        return position is None or self.part.holds(self.number, position)

    def _tables(self, names: Sequence[str]) -> Iterator[pa.Table]:
        part = self.part
        size = sum(end - start for start, end in part.ranges([self.number], names))
        if size <= _HUGE:
            part.prefetch([self.number], names)
        rows = self._rows_at_once(names)
        if size <= _HUGE and rows >= self.rows:
            table = part.file.read_row_group(self.number, columns=names, use_threads=False)
            part.release()
            self._check_rows(table.num_rows)
            yield table
            return
        batch_rows = min(rows, _BATCH_ROWS)
        read = 0
        for batch in part.file.iter_batches(batch_rows, row_groups=[self.number], columns=names):
            read += batch.nbytes
            if read > part.expanded:
                raise ValueError(
                    f"row group {self.number} expands to more than {part.expanded} bytes"
                )
            yield pa.Table.from_batches([batch])

    def _rows_at_once(self, names: Sequence[str]) -> int:
        """Rows that come to no more than `_READ_AT_ONCE` bytes, however large the values of each are.

        A value in a dictionary is in the file but once, for as many rows as one likes.
        """
        part = self.part
        metadata = part.file.metadata.row_group(self.number)
        chunks = [metadata.column(leaf) for leaf in part.leaves_below(names)]
        largest = sum(part.dictionary_size(chunk) for chunk in chunks if chunk.has_dictionary_page)
        return max(1, _READ_AT_ONCE // largest) if largest else self.rows


@dataclass(frozen=True, slots=True)
class HeldGroup:
    """Actions that are in memory already. See `pruning.row_group.RowGroup`.

    Attributes:
        path: See `RowGroup.path`.
        structs: The actions, under the protocol's names.
    """

    path: str
    structs: pa.StructArray

    @property
    def rows(self) -> int:
        """See `RowGroup.rows`."""
        return len(self.structs)

    def statistics(self, leaf: tuple[str, ...]) -> LeafStatistics | None:
        """See `RowGroup.statistics`; nothing is known."""
        del leaf
        return None

    def read(self, kind: str, fields: Sequence[str]) -> Iterator[pa.StructArray]:
        """See `RowGroup.read`."""
        del kind, fields
        yield self.structs

    def forget(self) -> None:
        """See `RowGroup.forget`; there is nothing to read again."""


def _actions(structs: pa.StructArray, kind: str) -> pa.StructArray:
    """Those that are actions: of a struct of nulls alone, some writers mean nothing."""
    valid = pc.is_valid(pc.struct_field(structs, "path"))
    if valid.true_count == len(structs):
        return structs
    others = structs.filter(pc.invert(valid))
    for field in structs.type:
        if others.null_count < len(others) and pc.struct_field(others, field.name).null_count < len(
            others
        ):
            raise ValueError(f"`{kind}` without a `path`")
    return structs.filter(valid)


def _open(source: Any, *, buffer_size: int = 0, metadata: Any = None) -> pq.ParquetFile:
    return pq.ParquetFile(
        source,
        metadata=metadata,
        pre_buffer=False,
        buffer_size=buffer_size,
        coerce_int96_timestamp_unit="us",
        page_checksum_verification=True,
    )


def _tail(file: RangedFile, size: int, length: int) -> bytes:
    start = max(0, size - length)
    file.prefetch([(start, size)])
    file.seek(start)
    return file.read()


def _range_of(chunk: Any) -> Range:
    start = chunk.data_page_offset
    if chunk.has_dictionary_page:
        start = min(start, chunk.dictionary_page_offset)
    return start, start + chunk.total_compressed_size


def _locate(
    field: pa.Field, path: tuple[str, ...], position: int, found: dict[tuple[str, ...], int]
) -> int:
    """Note where the columns of a field are; the position behind them."""
    here = (*path, field.name)
    type_ = field.type
    if not pa.types.is_nested(type_):
        found[here] = position
        return position + 1
    for index in range(type_.num_fields):
        position = _locate(type_.field(index), here, position, found)
    return position
