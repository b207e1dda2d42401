"""Append: add files, depend on nothing the table holds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from atomic_manifest.commit.conflicts import Conflict
from atomic_manifest.commit.intent import Intent, ReadNothing
from atomic_manifest.commit.plan import SCHEMA_KINDS, isolation_of
from atomic_manifest.log.metadata.evolution import holds
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.ops.evolve import schema_actions
from atomic_manifest.ops.staged import Staged


@dataclass(frozen=True, slots=True)
class Append:
    """A blind append of staged files.

    Attributes:
        staged: The files.
    """

    staged: Staged

    @property
    def txn(self) -> tuple[str, int] | None:
        """See `Plan.txn`."""
        return self.staged.txn

    @property
    def is_blind(self) -> bool:
        """See `Plan.is_blind`."""
        return True

    def intent(self, snapshot: Snapshot) -> Intent:
        """See `Plan.intent`.

        Raises:
            SchemaMismatch: A column to be added is there by now, with another type.
        """
        return Intent(
            commit_id=self.staged.commit_id,
            base_version=snapshot.version,
            actions=(
                *self.staged.txn_actions,
                *schema_actions(self.staged.schema, snapshot),
                *self.staged.adds,
            ),
            operation="WRITE",
            parameters={
                "mode": "Append",
                "partitionBy": json.dumps(list(snapshot.partition_columns)),
            },
            reads=ReadNothing(),
            isolation=isolation_of(snapshot),
            txn=self.staged.txn,
            base_metadata=snapshot.metadata,
            base_protocol=snapshot.protocol,
            user_info=self.staged.user_info,
        )

    def survives(self, conflicts: Sequence[Conflict], before: Snapshot, after: Snapshot) -> bool:
        """See `Plan.survives`: properties may change, and columns be added that can be null.

        Files with new columns of a mapped table have the ids that the snapshot left.
        """
        kinds = {conflict.kind for conflict in conflicts}
        return (
            kinds <= SCHEMA_KINDS
            and (self.staged.schema is None or not after.column_mapping.is_on)
            and before.partition_columns == after.partition_columns
            and holds(after.schema, before.schema)
        )
