"""The file actions of a table's state as rows of a checkpoint, a bounded number at a time.

What the last checkpoint holds is read a row group at a time, without what later entries are about; what
they added joins it in order (`checkpoint.order`). Typed statistics and partition values are taken from the
last checkpoint where it has them, and parsed where not.

Error semantics: `DataError` for a partition value that is not of its column's type; damage is `CorruptLog`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.log.checkpoint.order import (
    FIRST,
    KEY,
    LAST,
    ROWS_PER_GROUP,
    Block,
    Rank,
    in_groups,
    in_order,
    partition_order,
    rank,
)
from atomic_manifest.log.checkpoint.reader import PARSED, Checkpoint
from atomic_manifest.log.checkpoint.schema import AddColumns
from atomic_manifest.log.columns import FILES, TOMBSTONES, check_paths, without
from atomic_manifest.log.pruning.row_group import RowGroup
from atomic_manifest.log.stats.parsed import aligned, from_json, to_json
from atomic_manifest.log.stats.typed_columns import parse_partitions
from atomic_manifest.threads import ThreadPool

_T = TypeVar("_T")
_TYPED = (*FILES.names, *PARSED)


@dataclass(slots=True)
class Totals:
    """What was counted on the way into a checkpoint.

    Attributes:
        files: Adds.
        tombstones: Removes.
        size: Bytes of the files.
        vectors: Files with a deletion vector.
        deleted: Rows that deletion vectors mark.
    """

    files: int = 0
    tombstones: int = 0
    size: int = 0
    vectors: int = 0
    deleted: int = 0

    def count(self, files: pa.Table) -> None:
        """Count adds that are being written."""
        self.files += files.num_rows
        self.size += pc.sum(files["size"]).as_py() or 0
        present = files["deletion_vector"].drop_null()
        self.vectors += len(present)
        if len(present):
            self.deleted += pc.sum(pc.struct_field(present, "cardinality")).as_py() or 0

    def add(self, other: "Totals") -> None:
        """Add what was counted elsewhere."""
        self.files += other.files
        self.tombstones += other.tombstones
        self.size += other.size
        self.vectors += other.vectors
        self.deleted += other.deleted


@dataclass(frozen=True, slots=True)
class FileRows:
    """Where the file actions of a checkpoint come from, and how they are to be.

    Attributes:
        base: The last checkpoint; None if there is none.
        actions: The newest action on every file since, in the columns of `columns.ACTIONS`.
        columns: What is to be there of each file.
        partitions: The type of all partition columns, to sort by.
        oldest: Tombstones that are not younger have expired: milliseconds since the Unix epoch.
    """

    base: Checkpoint | None
    actions: pa.Table
    columns: AddColumns
    partitions: pa.StructType
    oldest: int

    def adds(self, groups: Sequence[RowGroup] | None = None) -> Iterator[pa.Table]:
        """The files in order, a row group at a time, in the columns that `AddColumns.type` has.

        Args:
            groups: Those of the last checkpoint to take; None for all.
        """
        blocks = [] if self.base is None else self._of_base(self.base, groups)
        added = self._added()
        check_paths(added["path"], added["version"])
        names = self._names
        for table in ahead(in_groups(in_order([*blocks, *self._of_tail(added)]))):
            yield table.select(names)

    def _added(self) -> pa.Table:
        removed = self.actions["is_remove"]
        if not pc.any(removed).as_py():
            return self.actions
        return self.actions.filter(pc.invert(removed))

    def tombstones(self) -> Iterator[pa.Table]:
        """The tombstones that have not expired, in the columns of `columns.TOMBSTONES`."""
        removed = self.actions.filter(self.actions["is_remove"]).select(TOMBSTONES.names)
        tables: Iterable[pa.Table] = [removed]
        if self.base is not None:
            scanned = self.base.scan("remove", TOMBSTONES.names)
            tables = ((without(table, self.actions)) for table in scanned)
            tables = _followed_by(tables, removed)
        kept = (
            table.filter(pc.greater(table["deletion_timestamp"], self.oldest)) for table in tables
        )
        yield from in_groups(kept)

    @property
    def _names(self) -> list[str]:
        names = [name for name in FILES.names if self.columns.text or name != "stats"]
        if self.columns.partitions is not None:
            names.append("partition_values_parsed")
        if self.columns.statistics is not None:
            names.append("stats_parsed")
        return names

    def _of_base(self, base: Checkpoint, groups: Sequence[RowGroup] | None) -> list[Block]:
        chosen = base.row_groups("add") if groups is None else groups
        return [Block(*self._range(group), partial(self._read, base, group)) for group in chosen]

    def _read(self, base: Checkpoint, group: RowGroup) -> Iterator[pa.Table]:
        for table in base.scan("add", FILES.names, groups=[group], parsed=PARSED):
            kept = without(table, self.actions)
            check_paths(kept["path"], base.version)
            yield self._typed(kept)

    def _of_tail(self, added: pa.Table) -> Iterator[Block]:
        """What was added since, in the order of its partitions."""
        added = added.select(FILES.names)
        if not self.partitions.num_fields or not added.num_rows:
            for start in range(0, added.num_rows, ROWS_PER_GROUP):
                yield Block(FIRST, LAST, partial(self._read_tail, partial(_slice, added, start)))
            return
        values = parse_partitions(_flat(added["partition_values"]), self.partitions)
        order, first = partition_order(values), values.field(0)
        for start in range(0, added.num_rows, ROWS_PER_GROUP):
            if order is None:
                taken, keys = partial(_slice, added, start), first.slice(start, ROWS_PER_GROUP)
            else:
                places = order.slice(start, ROWS_PER_GROUP)
                taken, keys = partial(_taken, added, places), first.take(places)
            yield Block(*_reach(keys), partial(self._read_tail, taken))

    def _read_tail(self, taken: Callable[[], Iterable[pa.Table]]) -> Iterator[pa.Table]:
        for table in taken():
            untyped = [table[name] for name in FILES.names]
            nothing = [pa.nulls(len(table)) for _ in PARSED]
            yield self._typed(pa.table([*untyped, *nothing], names=list(_TYPED)))

    def _range(self, group: RowGroup) -> tuple[Rank, Rank]:
        """Between which first keys a group's are, as far as its statistics tell."""
        leaf = self._first_key
        found = group.statistics(leaf) if leaf else None
        if found is None or found.minimum is None or found.minimum != found.minimum:
            return FIRST, LAST
        return rank(found.minimum), LAST if found.null_count != 0 else rank(found.maximum)

    @property
    def _first_key(self) -> tuple[str, ...]:
        if self.partitions.num_fields:
            return ("add", "partitionValues_parsed", self.partitions.field(0).name)
        path = _first_bounded(self.columns.statistics)
        return ("add", "stats_parsed", "minValues", *path) if path else ()

    def _typed(self, table: pa.Table) -> pa.Table:
        """Files with their typed columns, as far as they are wanted, and with what to sort them by."""
        columns = {name: _flat(table[name]) for name in table.column_names}
        if self.columns.text and columns["stats"].null_count:
            columns["stats"] = _with_text(columns["stats"], columns["stats_parsed"])
        keys = []
        if self.partitions.num_fields:
            partitions = self._partitions(columns)
            columns["partition_values_parsed"] = partitions
            keys = [partitions.field(index) for index in range(self.partitions.num_fields)]
        if self.columns.statistics is not None:
            columns["stats_parsed"] = _statistics(columns, self.columns.statistics)
            path = _first_bounded(self.columns.statistics)
            if path:
                keys.append(pc.struct_field(columns["stats_parsed"], ["minValues", *path]))
        keyed = {f"{KEY}{number}": key for number, key in enumerate(keys)}
        return pa.table({**{name: columns[name] for name in _TYPED}, **keyed}).select(
            [*self._names, *keyed]
        )

    def _partitions(self, columns: dict[str, pa.Array]) -> pa.StructArray:
        known = columns["partition_values_parsed"]
        if known.type == self.partitions and not known.null_count:
            return known
        return parse_partitions(columns["partition_values"], self.partitions)


def _reach(keys: pa.Array) -> tuple[Rank, Rank]:
    """Between which first keys some files are, given those keys."""
    try:
        found = pc.min_max(keys).as_py()
    except (ValueError, OverflowError):  # a time that Python has none for
        return FIRST, LAST
    return rank(found["min"]), LAST if keys.null_count else rank(found["max"])


def _slice(table: pa.Table, start: int) -> Iterator[pa.Table]:
    yield table.slice(start, ROWS_PER_GROUP)


def _taken(table: pa.Table, places: pa.Array) -> Iterator[pa.Table]:
    """Rows by their positions, from one piece of a table after the other, which are not copied."""
    start = 0
    for batch in table.to_batches():
        end = start + batch.num_rows
        within = pc.and_(pc.greater_equal(places, start), pc.less(places, end))
        here = pc.subtract(places.filter(within), start)
        if len(here):
            yield pa.Table.from_batches([batch.take(here)])
        start = end


def counted(files: Iterable[pa.Table], totals: Totals) -> Iterator[pa.Table]:
    """The same tables of adds, which are counted."""
    for table in files:
        totals.count(table)
        yield table


def ahead(items: Iterator[_T]) -> Iterator[_T]:
    """The same items, the next of which is made in another thread while the caller has one."""
    with ThreadPool("checkpoint", 1) as threads:
        end = object()
        coming = threads.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = threads.submit(next, items, end)
            yield item


def _first_bounded(statistics: pa.StructType | None) -> tuple[str, ...]:
    """The path of the first column with bounds."""
    if statistics is None or statistics.get_field_index("minValues") < 0:
        return ()
    field, path = statistics.field("minValues"), []
    while pa.types.is_struct(field.type):
        field = field.type.field(0)
        path.append(field.name)
    return tuple(path)


def _statistics(columns: dict[str, pa.Array], type_: pa.StructType) -> pa.Array:
    """Typed statistics: those that are there, and for files without from the text."""
    texts, known = columns["stats"], aligned(columns["stats_parsed"], type_)
    missing = pc.and_(pc.is_valid(texts), pc.is_null(known))
    if not pc.any(missing).as_py():
        return known
    return pc.if_else(missing, from_json(pc.if_else(missing, texts, None), type_), known)


def _with_text(texts: pa.Array, parsed: pa.Array) -> pa.Array:
    if parsed.null_count == len(parsed):
        return texts
    return pc.coalesce(texts, to_json(parsed))


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _followed_by(tables: Iterable[pa.Table], last: pa.Table) -> Iterator[pa.Table]:
    yield from tables
    yield last
