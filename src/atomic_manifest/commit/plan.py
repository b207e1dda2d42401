"""An operation that can be turned into an intent again when the table has moved on."""

from collections.abc import Sequence
from typing import Protocol

from atomic_manifest.commit.conflicts import Conflict, ConflictKind
from atomic_manifest.commit.intent import Intent, Isolation
from atomic_manifest.log.actions import Metadata
from atomic_manifest.log.state.snapshot import Snapshot

SCHEMA_KINDS = frozenset({ConflictKind.METADATA_CHANGED, ConflictKind.PROTOCOL_CHANGED})
"""Conflicts that may turn out harmless once the new metadata is at hand."""


class Plan(Protocol):
    """One operation with everything it has staged."""

    @property
    def txn(self) -> tuple[str, int] | None:
        """(application id, version) if it is to be committed once at most."""
        ...

    @property
    def is_blind(self) -> bool:
        """Whether its intents depend on nothing the table holds, so that they may be merged."""
        ...

    def intent(self, snapshot: Snapshot) -> Intent:
        """The intent of this operation on `snapshot`, under the same commit id each time."""
        ...

    def survives(self, conflicts: Sequence[Conflict], before: Snapshot, after: Snapshot) -> bool:
        """Whether planning again on `after` is right although `conflicts` refused `before`'s intent.

        Only true if the operation read nothing that the conflicts changed: planning again must give
        what a caller who starts now would get.
        """
        ...


def same_layout(before: Metadata, after: Metadata) -> bool:
    """Whether files written for `before` fit `after`: schema and partitioning are unchanged."""
    return before.schema_string == after.schema_string and list(before.partition_columns) == list(
        after.partition_columns
    )


def isolation_of(snapshot: Snapshot) -> Isolation:
    """The isolation level the table asks for (`delta.isolationLevel`); serializable by default."""
    asked = snapshot.configuration.get("delta.isolationLevel", Isolation.SERIALIZABLE.value)
    for level in Isolation:
        if asked.lower() == level.value.lower():
            return level
    return Isolation.SERIALIZABLE
