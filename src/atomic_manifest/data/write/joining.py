"""Row groups encoded apart, and joined into one Parquet file.

Arrow encodes the row groups of a file one after the other. But a row group depends on nothing but its
rows; only offsets tell where in the file it is. So each is encoded as a file of its own (see `encoder`),
several by several threads, and `Joined` puts their bytes one behind the other and writes one footer, with
the offsets moved.

Invariant: the bytes of a joined file are those that Arrow's writer makes of the same row groups in one go,
but for what each was encoded with: its dictionaries, and the columns that have bounds.

Error semantics: what the encoder or the output raises comes through.

Sources: Parquet format, `parquet.thrift` (field ids) and "File format" (what follows what).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from atomic_manifest.data.write import thrift
from atomic_manifest.data.write.thrift import Integer, Wanted
from atomic_manifest.log.stats.footer import Unsaid
from atomic_manifest.store.driver import Data

MOST = 0x7FFF
"""Row groups of one file: a footer numbers them in 16 bits."""

_MAGIC = b"PAR1"
_LENGTH = 4  # of the footer's length, which stands between footer and magic

_NUM_ROWS, _ROW_GROUPS = 3, 4
_COLUMN_CHUNK: Wanted = {
    2: "data",
    3: {9: "data", 10: "data", 11: "data", 14: "bloom_filter"},
    4: "offset_index",
    5: "offset_index_length",
    6: "column_index",
}
_ROW_GROUP: Wanted = {1: _COLUMN_CHUNK, 5: "data", 7: "ordinal"}
_OFFSET_INDEX: Wanted = {1: {1: "data"}}

_INDEXES = ("bloom_filter", "column_index", "offset_index")
"""What stands between the data of all row groups and the footer, in this order."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Row groups as a Parquet file.

    Attributes:
        file: All of it.
        data_end: Where the data of the row groups ends.
        footer: Where the footer starts.
        metadata: Arrow's reading of the footer.
        nan_free: Paths of the float columns with statistics that hold no NaN.
        unsaid: What else is known of columns that the footer says nothing of.
    """

    file: memoryview
    data_end: int
    footer: int
    metadata: pq.FileMetaData
    nan_free: frozenset[tuple[str, ...]]
    unsaid: Mapping[tuple[str, ...], Unsaid] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Ending:
    """What is left of row groups whose data is written, as long as no others follow.

    Attributes:
        data: Its bytes: a copy, since a file may wait long for more rows, and there are many files.
        start: Where in the file it starts.
        footer: Where in the file the footer starts.
        metadata: Arrow's reading of the footer.
    """

    data: bytes
    start: int
    footer: int
    metadata: pq.FileMetaData


@dataclass(frozen=True, slots=True)
class _Part:
    """What is left of row groups whose data is written: their footer, and where everything was.

    Attributes:
        footer: Its bytes.
        num_rows: In the footer: how many rows.
        header: Where in the footer the list of row groups starts.
        groups: How many they are.
        listed: Where the first of them starts, and the last ends.
        integers: Between the two: what tells where something is, and the ordinals.
        indexes: By where they were, the bytes of each bloom filter, column index and offset index.
        moved: How many bytes further back the data is in the joined file.
    """

    footer: bytes
    num_rows: Integer
    header: int
    groups: int
    listed: tuple[int, int]
    integers: Sequence[Integer]
    indexes: dict[int, bytes]
    moved: int


def encoded(
    file: memoryview,
    metadata: pq.FileMetaData,
    nan_free: frozenset[tuple[str, ...]],
    unsaid: Mapping[tuple[str, ...], Unsaid],
    *,
    indexed: bool,
) -> Encoded:
    """A file that was written a moment ago; `indexed`, if it may have more than data and footer."""
    length = int.from_bytes(file[-len(_MAGIC) - _LENGTH : -len(_MAGIC)], "little")
    footer = len(file) - len(_MAGIC) - _LENGTH - length
    data_end = footer
    if indexed:
        *_, integers = _parsed(bytes(file[footer:]))
        data_end = min((each.value for each in integers if each.name in _INDEXES), default=footer)
    return Encoded(file, data_end, footer, metadata, nan_free, unsaid)


class Joined:
    """Row groups on their way to one file. Not to be shared between threads.

    Args:
        write: Takes the bytes of the file, in order; they do not change any more.

    Attributes:
        size: Bytes written.
    """

    def __init__(self, write: Callable[[Data], object]) -> None:
        self.size = 0
        self._write = write
        self._only: _Ending | None = None
        self._parts: list[_Part] = []

    def add(self, encoded: Encoded) -> None:
        """Write the data of further row groups."""
        if self._only is None and not self._parts:
            self._only = _ending(encoded)
            self._put(encoded.file[: encoded.data_end])
            return
        if self._only is not None:
            self._parts.append(_part(self._only, 0))
            self._only = None
        self._parts.append(_part(_ending(encoded), self.size - len(_MAGIC)))
        self._put(encoded.file[len(_MAGIC) : encoded.data_end])

    def finish(self) -> pq.FileMetaData:
        """Write the rest of the file, once there was an `add`; returns Arrow's reading of the footer."""
        if (only := self._only) is not None:
            self._put(only.data)
            return only.metadata
        footer = self._footer(self._put_indexes())
        ending = footer + len(footer).to_bytes(_LENGTH, "little") + _MAGIC
        self._put(ending)
        return pq.read_metadata(pa.BufferReader(_MAGIC + ending))

    def _put(self, data: Data) -> None:
        self._write(data)
        self.size += len(data)

    def _put_indexes(self) -> list[dict[int, tuple[int, int]]]:
        """Write what stands before the footer; for each part, its new places and sizes, by the old."""
        placed: list[dict[int, tuple[int, int]]] = [{} for _ in self._parts]
        for name in _INDEXES:
            for part, places in zip(self._parts, placed, strict=True):
                for old in (each.value for each in part.integers if each.name == name):
                    index = part.indexes[old]
                    if name == "offset_index":
                        index = _moved(index, part.moved)
                    places[old] = self.size, len(index)
                    self._put(index)
        return placed

    def _footer(self, placed: Sequence[dict[int, tuple[int, int]]]) -> bytes:
        groups, count = [], 0
        for part, places in zip(self._parts, placed, strict=True):
            values = _values(part, places, count)
            groups.append(_replaced(part.footer, part.listed, part.integers, values))
            count += part.groups
        first = self._parts[0]
        return b"".join(
            (
                first.footer[: first.num_rows.start],
                thrift.encoded(sum(part.num_rows.value for part in self._parts)),
                first.footer[first.num_rows.end : first.header],
                thrift.list_header(count),
                *groups,
                first.footer[first.listed[1] :],
            )
        )


def _ending(given: Encoded) -> _Ending:
    data = bytes(given.file[given.data_end :])
    return _Ending(data, given.data_end, given.footer, given.metadata)


def _part(given: _Ending, moved: int) -> _Part:
    footer = given.data[given.footer - given.start : -len(_MAGIC) - _LENGTH]
    num_rows, header, groups, listed, integers = _parsed(footer)
    # No lengths: of a bloom filter, older footers tell none.
    starts = sorted(each.value for each in integers if each.name in _INDEXES)
    ends = [*starts[1:], given.footer]
    indexes = {
        start: given.data[start - given.start : end - given.start]
        for start, end in zip(starts, ends, strict=False)
    }
    return _Part(footer, num_rows, header, groups, listed, integers, indexes, moved)


def _parsed(footer: bytes) -> tuple[Integer, int, int, tuple[int, int], list[Integer]]:
    """The number of rows; the list of row groups, how many they are, where they stand; what is in them."""
    integers: list[Integer] = []
    number = position = 0
    while True:
        number, kind, position = thrift.field(footer, position, number)
        if number == _ROW_GROUPS:
            break
        start, position = position, thrift.skip(footer, position, kind)
        if number == _NUM_ROWS:
            value, _ = thrift.integer(footer, start)
            num_rows = Integer("num_rows", start, position, value)
    header = position
    count, _, start = thrift.elements(footer, header)
    position = start
    for _ in range(count):
        position = thrift.find(footer, position, _ROW_GROUP, integers)
    return num_rows, header, count, (start, position), integers


def _values(part: _Part, places: dict[int, tuple[int, int]], before: int) -> Iterator[int]:
    """What a joined footer says instead of each of a part's integers, after so many row groups."""
    size = 0
    for integer in part.integers:
        if integer.name == "ordinal":
            yield integer.value + before
        elif integer.name == "data":
            # Zero is said where an offset is not used any more.
            yield integer.value and integer.value + part.moved
        elif integer.name == "offset_index_length":
            yield size
        else:
            place, size = places[integer.value]
            yield place


def _moved(offset_index: bytes, by: int) -> bytes:
    integers: list[Integer] = []
    end = thrift.find(offset_index, 0, _OFFSET_INDEX, integers)
    return _replaced(offset_index, (0, end), integers, (each.value + by for each in integers))


def _replaced(
    data: bytes, span: tuple[int, int], integers: Sequence[Integer], values: Iterable[int]
) -> bytes:
    """A span of some data with other values for the integers in it."""
    position, end = span
    pieces: list[bytes] = []
    for integer, value in zip(integers, values, strict=True):
        pieces += (data[position : integer.start], thrift.encoded(value))
        position = integer.end
    return b"".join((*pieces, data[position:end]))
