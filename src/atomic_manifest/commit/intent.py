"""What a writer wants in the log, as an immutable value.

An intent is independent of the version it lands at: rebasing it on new winners changes nothing in it,
only the `commitInfo` line that is rendered for each version (`combine.render`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from atomic_manifest.log.actions import (
    Action,
    Add,
    Cdc,
    DomainMetadata,
    Metadata,
    Protocol,
    Remove,
    Txn,
)
from atomic_manifest.log.entry import CommitRecord, Entry
from atomic_manifest.log.pruning.predicate import Predicate

NO_TABLE = -1
"""The base version of an intent that creates the table."""

PartitionValues: TypeAlias = frozenset[tuple[str, str | None]]
"""One partition: its (column, serialized value) pairs."""


class Isolation(Enum):
    """How much of what others committed meanwhile a commit must have seen (Delta's names)."""

    SERIALIZABLE = "Serializable"
    WRITE_SERIALIZABLE = "WriteSerializable"


@dataclass(frozen=True, slots=True)
class ReadNothing:
    """The commit does not depend on what the table holds: a blind append."""


@dataclass(frozen=True, slots=True)
class ReadPartitions:
    """The commit depends on all rows of these partitions, and on no others."""

    partitions: frozenset[PartitionValues]


@dataclass(frozen=True, slots=True)
class ReadTable:
    """The commit depends on every row of the table."""


@dataclass(frozen=True, slots=True)
class ReadRows:
    """The commit depends on the rows that match a predicate, and on no others.

    Attributes:
        predicate: Which rows.
        types: Delta's name of the type by dotted column, of the schema the predicate was made for.
    """

    predicate: Predicate
    types: Mapping[str, str]


ReadSet: TypeAlias = ReadNothing | ReadPartitions | ReadRows | ReadTable


@dataclass(frozen=True, slots=True)
class Intent:
    """One logical commit.

    Attributes:
        commit_id: The same over all attempts of this logical commit.
        base_version: The snapshot version it was made from; `NO_TABLE` to create the table.
        actions: What it does, in the order it is written. Holds no `commitInfo`.
        operation: Delta's operation name, such as `WRITE`.
        parameters: Delta's `operationParameters`.
        reads: What of the table the actions depend on.
        isolation: See `Isolation`.
        txn: (application id, version) for idempotent writes; also among `actions`.
        base_metadata: The table's metadata at `base_version`; None when it creates the table.
        base_protocol: The table's protocol at `base_version`; None when it creates the table.
        user_info: The user's own `commitInfo` fields.
        members: The commits it is made of, if several were merged into it; else it is its own one.
    """

    commit_id: str
    base_version: int
    actions: Sequence[Action]
    operation: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    reads: ReadSet = field(default_factory=ReadNothing)
    isolation: Isolation = Isolation.SERIALIZABLE
    txn: tuple[str, int] | None = None
    base_metadata: Metadata | None = None
    base_protocol: Protocol | None = None
    user_info: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[CommitRecord, ...] = ()

    @property
    def records(self) -> tuple[CommitRecord, ...]:
        """How an entry names the commits in it."""
        if self.members:
            return self.members
        return (CommitRecord(self.commit_id, self.operation, self.txn, self.user_info),)

    @property
    def table(self) -> str | None:
        """The id of the table it is made for, or that it makes."""
        if self.base_metadata is not None:
            return self.base_metadata.id
        return next((each.id for each in self.actions if isinstance(each, Metadata)), None)

    @property
    def txns(self) -> tuple[Txn, ...]:
        """Its transactions."""
        return tuple(action for action in self.actions if isinstance(action, Txn))

    @property
    def is_blind(self) -> bool:
        """Whether it depends on nothing the table holds, and only adds."""
        return isinstance(self.reads, ReadNothing) and not self.removed_paths

    @property
    def is_combinable(self) -> bool:
        """Whether it may share an entry with others: it changes rows and nothing else."""
        return self.base_version != NO_TABLE and all(
            isinstance(action, Add | Remove | Txn) for action in self.actions
        )

    @property
    def changes_metadata(self) -> bool:
        """Whether it writes a `metaData` or `protocol` action."""
        return any(isinstance(action, Metadata | Protocol) for action in self.actions)

    @property
    def removed_paths(self) -> frozenset[str]:
        """The paths of the files it removes."""
        return frozenset(action.path for action in self.actions if isinstance(action, Remove))

    def as_entry(self, version: int) -> Entry:
        """The entry this intent alone makes at `version`, without going through bytes."""
        return Entry(
            version,
            protocol=next((a for a in self.actions if isinstance(a, Protocol)), None),
            metadata=next((a for a in self.actions if isinstance(a, Metadata)), None),
            adds=tuple(a for a in self.actions if isinstance(a, Add)),
            removes=tuple(a for a in self.actions if isinstance(a, Remove)),
            txns=tuple(a for a in self.actions if isinstance(a, Txn)),
            cdcs=tuple(a for a in self.actions if isinstance(a, Cdc)),
            domain_metadata=tuple(a for a in self.actions if isinstance(a, DomainMetadata)),
            commits=self.records,
            table=self.table,
        )
