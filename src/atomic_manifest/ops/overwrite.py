"""Overwrite: replace all rows of the table, or of some partitions, by staged files.

The result depends on the new rows alone, not on the ones they replace. So when a concurrent commit
changes what is being replaced, the overwrite is planned again on top of it: whoever commits later wins,
as in any serial order of the two.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from atomic_manifest.commit.conflicts import Conflict, ConflictKind
from atomic_manifest.commit.intent import (
    Intent,
    PartitionValues,
    ReadPartitions,
    ReadSet,
    ReadTable,
)
from atomic_manifest.commit.plan import SCHEMA_KINDS, isolation_of, same_layout
from atomic_manifest.log.actions import Add, Remove
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.ops.evolve import schema_actions
from atomic_manifest.ops.removal import check_may_remove, have_one_text, removes_of
from atomic_manifest.ops.staged import Staged

_REPLACED_KINDS = SCHEMA_KINDS | {
    ConflictKind.APPEND,
    ConflictKind.DELETE_READ,
    ConflictKind.DELETE_DELETE,
}


@dataclass(frozen=True, slots=True)
class Overwrite:
    """Replace rows.

    Attributes:
        staged: The new files.
        partitions: Replace only these partitions; None replaces the whole table.
        replaced: Of the files in scope, which to remove: a function from the snapshot's file table
            to a boolean mask over its rows. None removes all of them.
    """

    staged: Staged
    partitions: frozenset[PartitionValues] | None = None
    replaced: Callable[[pa.Table], pa.Array] | None = None

    @property
    def txn(self) -> tuple[str, int] | None:
        """See `Plan.txn`."""
        return self.staged.txn

    @property
    def is_blind(self) -> bool:
        """See `Plan.is_blind`."""
        return False

    def intent(self, snapshot: Snapshot) -> Intent:
        """See `Plan.intent`.

        Raises:
            TableIsAppendOnly: The table forbids removing rows.
        """
        removes = self._removes(snapshot)
        if removes:
            check_may_remove(snapshot, self.staged.commit_id)
        return Intent(
            commit_id=self.staged.commit_id,
            base_version=snapshot.version,
            actions=(
                *self.staged.txn_actions,
                *schema_actions(self.staged.schema, snapshot),
                *removes,
                *self.staged.adds,
            ),
            operation="WRITE",
            parameters={
                "mode": "Overwrite",
                "partitionBy": json.dumps(list(snapshot.partition_columns)),
            },
            reads=self._reads(snapshot),
            isolation=isolation_of(snapshot),
            txn=self.staged.txn,
            base_metadata=snapshot.metadata,
            base_protocol=snapshot.protocol,
            user_info=self.staged.user_info,
        )

    def survives(self, conflicts: Sequence[Conflict], before: Snapshot, after: Snapshot) -> bool:
        """See `Plan.survives` and the module docstring."""
        kinds = {conflict.kind for conflict in conflicts}
        return kinds <= _REPLACED_KINDS and same_layout(before.metadata, after.metadata)

    def _reads(self, snapshot: Snapshot) -> ReadSet:
        # Conflicts compare partitions by text. Where one value has several texts, all is read.
        if self.partitions is None or not have_one_text(
            snapshot.schema, snapshot.partition_columns
        ):
            return ReadTable()
        return ReadPartitions(self.partitions)

    def _removes(self, snapshot: Snapshot) -> tuple[Remove, ...]:
        files = snapshot.files()
        if self.replaced is not None:
            files = files.filter(self.replaced(files))
        return removes_of(
            files,
            self.staged.unix_ms,
            schema=snapshot.physical_schema,
            partitions=self.partitions,
        )


def partition_of(add: Add) -> PartitionValues:
    """The partition that a file of ours is in."""
    return frozenset(add.partition_values.items())


def partitions_of(adds: Iterable[Add]) -> frozenset[PartitionValues]:
    """The partitions that files of ours are in."""
    return frozenset(map(partition_of, adds))


def replacing_partitions(staged: Staged) -> Overwrite:
    """Replace the partitions that the staged files are in."""
    return Overwrite(staged, partitions=partitions_of(staged.adds))
