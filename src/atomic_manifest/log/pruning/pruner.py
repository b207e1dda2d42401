"""Which files of a table may hold rows that a predicate matches.

Invariants: a file, or a group of rows of a checkpoint, is left out only if none of its rows match, by the
rules of `predicate`; what is not known or not understood keeps it. Files are judged by the columns
that the predicate looks at, thousands at a time.

Error semantics: none of its own; partition values and statistics that are no such thing keep a file.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_
from typing import Any, Protocol, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.errors import DataError
from atomic_manifest.log.pruning.column_bounds import ColumnBounds, Outcomes, same
from atomic_manifest.log.pruning.file_bounds import (
    of_footers,
    of_partition_footers,
    of_partitions,
    of_statistics,
)
from atomic_manifest.log.pruning.predicate import (
    And,
    Comparison,
    Everything,
    In,
    IsNull,
    Not,
    Nothing,
    Or,
    Predicate,
    columns_of,
)
from atomic_manifest.log.pruning.row_group import LeafStatistics, RowGroup
from atomic_manifest.log.stats.parsed import aligned, from_json
from atomic_manifest.log.stats.typed_columns import partition_texts, type_of

_Ask: TypeAlias = Callable[[ColumnBounds], Outcomes]


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a predicate may look at.

    Attributes:
        path: Its physical names, from the top-level column down.
        type_name: Its Delta type.
        type: Its Arrow type.
    """

    path: tuple[str, ...]
    type_name: str
    type: pa.DataType


class _Facts(Protocol):
    """What is known of some files, or of some groups of them."""

    @property
    def count(self) -> int:
        """How many."""
        ...

    def outcomes(self, name: str, ask: _Ask) -> Outcomes:
        """What the bounds of a column make of a question."""
        ...


class Pruner:
    """Chooses what to read for a predicate.

    Args:
        predicate: Over physical names.
        columns: By dotted physical name; of others nothing is known.
        partition_columns: The physical names of the table's partition columns.
    """

    def __init__(
        self,
        predicate: Predicate,
        columns: Mapping[str, Column],
        partition_columns: Collection[str],
    ) -> None:
        self._predicate = predicate
        looked_at = {name: columns[name] for name in columns_of(predicate) if name in columns}
        self._partitions = {
            name: looked_at[name] for name in looked_at if name in partition_columns
        }
        self._data = {name: looked_at[name] for name in looked_at if name not in partition_columns}

    @property
    def needs_partitions(self) -> bool:
        """Whether `files` asks for the partition values."""
        return bool(self._partitions)

    @property
    def needs_statistics(self) -> bool:
        """Whether `files` asks for statistics."""
        return bool(self._data)

    @cached_property
    def typed(self) -> Sequence[str]:
        """The typed statistics that `files` asks for, as a checkpoint names their columns."""
        paths = [".".join(column.path) for column in self._data.values()]
        leaves = [
            f"{kind}.{path}" for kind in ("minValues", "maxValues", "nullCount") for path in paths
        ]
        return [f"stats_parsed.{leaf}" for leaf in ("numRecords", *leaves)]

    def groups(self, groups: Sequence[RowGroup]) -> list[RowGroup]:
        """The groups with files that may hold rows that match."""
        groups = [group for group in groups if group.rows]
        kept = _outcomes(self._predicate, _Groups(groups, self._partitions, self._data)).true
        return [group for group, keep in zip(groups, kept.to_pylist(), strict=True) if keep]

    def files(self, partition_values: Any, texts: Any, parsed: Any) -> pa.BooleanArray:
        """Which files may hold rows that match.

        Args:
            partition_values: As the log has them; of no matter if `needs_partitions` is false.
            texts: JSON text of statistics, None if there is none that counts.
            parsed: Typed statistics of the same files, with at least the columns of `typed` that
                there are; None if there are none.
        """
        return self.outcomes(partition_values, texts, parsed).true

    def outcomes(self, partition_values: Any, texts: Any, parsed: Any = None) -> Outcomes:
        """What the predicate may be for rows of each file. Arguments as of `files`."""
        given = next(each for each in (partition_values, texts, parsed) if each is not None)
        stats = self._statistics(texts, parsed) if self._data else None
        facts = _Files(len(given), partition_values, stats, self._partitions, self._data)
        return _outcomes(self._predicate, facts)

    def _statistics(self, texts: Any, parsed: Any) -> pa.StructArray | None:
        type_ = type_of((column.path, column.type) for column in self._data.values())
        typed = None if parsed is None else aligned(parsed, type_)
        if texts is None:
            return typed
        if typed is None:
            return from_json(texts, type_)
        missing = pc.is_null(typed)
        found = from_json(pc.if_else(missing, texts, None), type_)
        return pc.if_else(missing, found, typed)


def pruned(files: pa.Table, pruner: Pruner) -> pa.Table:
    """The files among some in memory that may hold rows that match.

    Args:
        files: With their partition values and their statistics, as in `columns.FILES`.
        pruner: Chooses.
    """
    if not files.num_rows:
        return files
    values, texts = (files[name].combine_chunks() for name in ("partition_values", "stats"))
    return files.filter(pruner.files(values, texts, None))


def _outcomes(predicate: Predicate, facts: _Facts) -> Outcomes:
    match predicate:
        case Everything() | Nothing():
            true = isinstance(predicate, Everything)
            return same(facts.count, null=False, false=not true, true=true)
        case And(children):
            start = same(facts.count, null=False, false=False, true=True)
            return reduce(and_, (_outcomes(child, facts) for child in children), start)
        case Or(children):
            return ~_outcomes(And(tuple(Not(child) for child in children)), facts)
        case Not(child):
            return ~_outcomes(child, facts)
        case IsNull(column):
            return facts.outcomes(column, ColumnBounds.is_null)
        case Comparison(column, op, value):
            return facts.outcomes(column, lambda known: known.compared(op, (value,)))
        case In(column, values):
            return facts.outcomes(column, lambda known: known.compared("=", values))


@dataclass(frozen=True, slots=True)
class _Files:
    count: int
    partition_values: Any
    stats: pa.StructArray | None
    partitions: Mapping[str, Column]
    data: Mapping[str, Column]

    def outcomes(self, name: str, ask: _Ask) -> Outcomes:
        """See `_Facts`."""
        if (column := self.partitions.get(name)) is not None:
            try:
                texts = partition_texts(self.partition_values, name)
            except DataError:  # which whoever reads the file will hear of
                return _anything(self.count)
            distinct = texts.dictionary_encode(null_encoding="encode")
            known = of_partitions(distinct.dictionary.to_pylist(), column.type_name)
            return ask(known).take(distinct.indices)
        column = self.data.get(name)
        if column is None or self.stats is None:
            return _anything(self.count)
        return ask(of_statistics(self.stats, column.path, column.type_name))


@dataclass(frozen=True, slots=True)
class _Groups:
    groups: Sequence[RowGroup]
    partitions: Mapping[str, Column]
    data: Mapping[str, Column]

    @property
    def count(self) -> int:
        """See `_Facts`."""
        return len(self.groups)

    def outcomes(self, name: str, ask: _Ask) -> Outcomes:
        """See `_Facts`."""
        if (column := self.partitions.get(name)) is not None:
            known = self._statistics("partitionValues_parsed", column.path)
            return ask(of_partition_footers(known, column.type_name, column.type))
        column = self.data.get(name)
        if column is None:
            return _anything(self.count)
        low, high, nulls = (
            [_of_all(each) for each in self._statistics("stats_parsed", (kind, *column.path))]
            for kind in ("minValues", "maxValues", "nullCount")
        )
        both = [
            LeafStatistics(least and least.minimum, most and most.maximum, 0)
            for least, most in zip(low, high, strict=True)
        ]
        return ask(of_footers(both, nulls, column.type_name, column.type))

    def _statistics(self, kind: str, path: tuple[str, ...]) -> list[LeafStatistics | None]:
        return [group.statistics(("add", kind, *path)) for group in self.groups]


def _of_all(statistics: LeafStatistics | None) -> LeafStatistics | None:
    """What a footer says, if it says it of every row."""
    return None if statistics is None or statistics.null_count != 0 else statistics


def _anything(count: int) -> Outcomes:
    return same(count, null=True, false=True, true=True)
