"""The net effect of operations that read the table: rows removed and added, and what was read.

It is right on the snapshot it was made from and no other, so it is never planned again: whoever made it
makes it anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pyarrow import types

from atomic_manifest.commit.conflicts import Conflict
from atomic_manifest.commit.intent import (
    Intent,
    PartitionValues,
    ReadNothing,
    ReadRows,
    ReadSet,
    ReadTable,
)
from atomic_manifest.commit.plan import isolation_of
from atomic_manifest.log.actions import Remove
from atomic_manifest.log.metadata import partition
from atomic_manifest.log.pruning.predicate import (
    And,
    Comparison,
    Everything,
    IsNull,
    Nothing,
    Or,
    Predicate,
)
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.ops.evolve import schema_actions
from atomic_manifest.ops.staged import Staged


@dataclass(frozen=True, slots=True)
class Change:
    """Files out, files in.

    Attributes:
        staged: The new files.
        removes: Tombstones of files of the snapshot.
        reads: What of the snapshot the change depends on.
        operation: Delta's operation name.
        parameters: Delta's `operationParameters`.
    """

    staged: Staged
    removes: Sequence[Remove]
    reads: ReadSet
    operation: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def txn(self) -> tuple[str, int] | None:
        """See `Plan.txn`."""
        return self.staged.txn

    @property
    def is_blind(self) -> bool:
        """See `Plan.is_blind`."""
        return False

    def intent(self, snapshot: Snapshot) -> Intent:
        """See `Plan.intent`; only right for the snapshot that the change was made from."""
        return Intent(
            commit_id=self.staged.commit_id,
            base_version=snapshot.version,
            actions=(
                *self.staged.txn_actions,
                *schema_actions(self.staged.schema, snapshot),
                *self.removes,
                *self.staged.adds,
            ),
            operation=self.operation,
            parameters=self.parameters,
            reads=self.reads,
            isolation=isolation_of(snapshot),
            txn=self.staged.txn,
            base_metadata=snapshot.metadata,
            base_protocol=snapshot.protocol,
            user_info=self.staged.user_info,
        )

    def survives(self, conflicts: Sequence[Conflict], before: Snapshot, after: Snapshot) -> bool:  # noqa: ARG002 - see `Plan`
        """See `Plan.survives` and the module docstring."""
        return False


def union(predicates: Sequence[Predicate], types: Mapping[str, str]) -> ReadSet:
    """What was read in all, if the rows of each of these predicates were.

    Args:
        predicates: Of what was read.
        types: See `ReadRows`.
    """
    parts = tuple(dict.fromkeys(each for each in predicates if not isinstance(each, Nothing)))
    if not parts:
        return ReadNothing()
    if any(isinstance(each, Everything) for each in parts):
        return ReadTable()
    return ReadRows(parts[0] if len(parts) == 1 else Or(parts), types)


def rows_in(partitions: frozenset[PartitionValues], schema: pa.Schema) -> Predicate:
    """A predicate that holds for all rows of these partitions, and for few others."""
    return Or(tuple(_rows_in(values, schema) for values in partitions))


def _rows_in(values: PartitionValues, schema: pa.Schema) -> Predicate:
    parts = [_equals(name, text, schema.field(name).type) for name, text in sorted(values)]
    return And(tuple(parts))


def _equals(name: str, text: str | None, kind: pa.DataType) -> Predicate:
    if types.is_floating(kind):  # NaN equals nothing
        return Everything()
    value = partition.parse(text, kind).as_py()
    return IsNull(name) if value is None else Comparison(name, "=", value)
