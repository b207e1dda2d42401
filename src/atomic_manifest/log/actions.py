"""The actions of a Delta log as immutable values (Delta protocol, "Actions").

Invariants: pure data, no I/O and no Arrow. Field names are the protocol's in snake case. Fields that
the protocol lets a writer leave out are left out when None. `Metadata` and `Protocol`, the two actions
a later version rewrites whole, keep fields they do not know in `extra`, so that rewriting loses nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec

Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)]
Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
# Numbers of file actions become columns, maybe long after they were decoded: what no column can hold is
# refused then, where the entry is known.


class _Action(
    msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True, gc=False
):
    """Shared encoding rules of all actions."""


def _true() -> bool:
    return True


# A flag that the protocol requires gets a `default_factory`: unlike a plain default, msgspec always
# writes such a field, while logs that leave it out still read.


class Format(_Action, frozen=True, omit_defaults=False):
    """How data files are encoded; always Parquet in tables anyone can make today."""

    provider: str = "parquet"
    options: Mapping[str, str] = msgspec.field(default_factory=dict)


class Metadata(_Action, frozen=True, omit_defaults=False, gc=True):
    """`metaData`: schema, partitioning and configuration. Replaces the previous one whole.

    Attributes:
        id: GUID of the table.
        schema_string: The schema as Delta schema JSON (see `log.metadata.schema`).
        partition_columns: Top-level column names, in partitioning order.
        configuration: Table properties, `delta.*` among them.
        created_time: Milliseconds since the Unix epoch.
        extra: Fields of the action that this library does not know.
    """

    id: str
    schema_string: str
    partition_columns: Sequence[str] = ()
    configuration: Mapping[str, str] = msgspec.field(default_factory=dict)
    format: Format = Format()
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    created_time: Int64 | msgspec.UnsetType | None = msgspec.UNSET
    extra: Mapping[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Protocol(_Action, frozen=True, gc=True):
    """`protocol`: what a client must understand to read or write the table.

    `reader_features` is only present at reader version 3, `writer_features` at writer version 7.
    """

    min_reader_version: Int32
    min_writer_version: Int32
    reader_features: Sequence[str] | None = None
    writer_features: Sequence[str] | None = None
    extra: Mapping[str, Any] | msgspec.UnsetType = msgspec.UNSET


class DeletionVector(_Action, frozen=True):
    """Descriptor of the deleted rows of a file (protocol, "Deletion Vectors")."""

    storage_type: str
    path_or_inline_dv: str
    size_in_bytes: Int32
    cardinality: Int64
    offset: Int32 | None = None

    @property
    def unique_id(self) -> str:
        """The derived field `uniqueId`, part of a logical file's primary key."""
        suffix = "" if self.offset is None else f"@{self.offset}"
        return f"{self.storage_type}{self.path_or_inline_dv}{suffix}"


class Add(_Action, frozen=True):
    """`add`: a logical file becomes part of the table.

    Attributes:
        path: URI-encoded, relative to the table's root.
        partition_values: Column to serialized value; None is null.
        size: Bytes of the data file.
        modification_time: Milliseconds since the Unix epoch.
        data_change: False if the rows were in the table already (compaction).
        stats: File statistics, JSON text (see `log.stats.footer`).
    """

    path: str
    partition_values: Mapping[str, str | None]
    size: Int64
    modification_time: Int64
    data_change: bool
    stats: str | None = None
    tags: Mapping[str, str | None] | None = None
    deletion_vector: DeletionVector | None = None
    base_row_id: Int64 | None = None
    default_row_commit_version: Int64 | None = None
    clustering_provider: str | None = None


class Remove(_Action, frozen=True):
    """`remove`: a logical file stops being part of the table; it stays as a tombstone for a while."""

    path: str
    data_change: bool = msgspec.field(default_factory=_true)
    deletion_timestamp: Int64 | None = None
    extended_file_metadata: bool | None = None
    partition_values: Mapping[str, str | None] | None = None
    size: Int64 | None = None
    stats: str | None = None
    tags: Mapping[str, str | None] | None = None
    deletion_vector: DeletionVector | None = None
    base_row_id: Int64 | None = None
    default_row_commit_version: Int64 | None = None


class Cdc(_Action, frozen=True):
    """`cdc`: a file of row-level changes, of no concern to readers of the table's state."""

    path: str
    partition_values: Mapping[str, str | None]
    size: Int64
    data_change: bool = msgspec.field(default_factory=bool)
    tags: Mapping[str, str | None] | None = None


class Txn(_Action, frozen=True):
    """`txn`: how far an application has come, for idempotent writes."""

    app_id: str
    version: Int64
    last_updated: Int64 | None = None


class DomainMetadata(_Action, frozen=True):
    """`domainMetadata`: configuration of a named domain; `removed` is its tombstone."""

    domain: str
    configuration: str
    removed: bool = msgspec.field(default_factory=bool)


class CommitInfo(_Action, frozen=True, gc=True):
    """`commitInfo`: provenance. `fields` is the whole JSON object, ours and other engines' alike."""

    fields: Mapping[str, Any]


Action: TypeAlias = Metadata | Protocol | Add | Remove | Cdc | Txn | DomainMetadata | CommitInfo
