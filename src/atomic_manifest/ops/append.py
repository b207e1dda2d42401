"""Append: add files, depend on nothing the table holds.

An append may bring columns that the table lacks. They are added by the same entry, and only if they are
still missing in the snapshot it is planned on: an append that turns out to change nothing writes no
metadata, and conflicts with nobody.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from atomic_manifest.commit.conflicts import Conflict
from atomic_manifest.commit.intent import Intent, ReadNothing
from atomic_manifest.commit.plan import SCHEMA_KINDS, isolation_of
from atomic_manifest.errors import SchemaMismatch, UnsupportedTableFeature
from atomic_manifest.log.actions import Action, Metadata
from atomic_manifest.log.metadata.evolution import extended, holds
from atomic_manifest.log.metadata.features import required_protocol
from atomic_manifest.log.metadata.schema import to_delta
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.ops.staged import Staged


def with_new_columns(snapshot: Snapshot, given: pa.Schema) -> pa.Schema | None:
    """The table's schema with the columns of `given` that it lacks; None if it lacks none.

    Raises:
        SchemaMismatch, InvalidSchema: See `log.metadata.evolution.extended`.
        UnsupportedTableFeature: A new column needs a feature that the table has not turned on, or the
            table maps its columns.
    """
    schema = extended(snapshot.schema, given)
    if schema is snapshot.schema:
        return None
    listed = snapshot.protocol.writer_features or ()
    needed = required_protocol(pa.schema([f.remove_metadata() for f in schema]), {}).reader_features
    names = [name for name in needed or () if name not in listed]
    if snapshot.configuration.get("delta.columnMapping.mode", "none") != "none":
        names.append("columnMapping")
    if names:
        raise UnsupportedTableFeature(
            f"columns cannot be added: it needs {', '.join(names)}", names=tuple(names)
        )
    return schema


@dataclass(frozen=True, slots=True)
class Append:
    """A blind append of staged files.

    Attributes:
        staged: The files.
        schema: What they were written with, if columns that the table lacks are to be added to it.
    """

    staged: Staged
    schema: pa.Schema | None = None

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
            actions=(*self.staged.txn_actions, *self._new_metadata(snapshot), *self.staged.adds),
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
        """See `Plan.survives`: properties may change, and columns be added that can be null."""
        kinds = {conflict.kind for conflict in conflicts}
        return (
            kinds <= SCHEMA_KINDS
            and before.partition_columns == after.partition_columns
            and holds(after.schema, before.schema)
        )

    def _new_metadata(self, snapshot: Snapshot) -> tuple[Action, ...]:
        if self.schema is None:
            return ()
        schema = extended(snapshot.schema, self.schema)
        if not holds(schema, self.schema):
            raise SchemaMismatch(
                "somebody else added columns of the same names with other types meanwhile",
                columns=tuple(self.schema.names),
            )
        if schema is snapshot.schema:
            return ()
        metadata: Metadata = msgspec.structs.replace(
            snapshot.metadata, schema_string=to_delta(schema)
        )
        return (metadata,)
