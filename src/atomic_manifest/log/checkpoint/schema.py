"""The columns of the checkpoints we write (protocol, "Checkpoint Schema").

Invariants: every field of an action that the protocol keeps in a checkpoint has its column, so nothing of
the state gets lost. Which of the two forms of statistics `add` has is the table's choice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from atomic_manifest.log.actions import DomainMetadata, Metadata, Protocol, Txn
from atomic_manifest.log.columns import DELETION_VECTOR, FILES, TOMBSTONES, camel_case
from atomic_manifest.log.folder.hint import SidecarFile

_TEXT = pa.string()
_TEXT_MAP = pa.map_(_TEXT, _TEXT)


def _in_camel_case(type_: pa.DataType) -> pa.DataType:
    if not pa.types.is_struct(type_):
        return type_
    return pa.struct([(camel_case(field.name), _in_camel_case(field.type)) for field in type_])


FIELDS: Mapping[str, pa.StructType] = {
    "txn": pa.struct([("appId", _TEXT), ("version", pa.int64()), ("lastUpdated", pa.int64())]),
    "add": _in_camel_case(pa.struct(list(FILES))),
    "remove": _in_camel_case(pa.struct(list(TOMBSTONES))),
    "metaData": pa.struct(
        [
            ("id", _TEXT),
            ("name", _TEXT),
            ("description", _TEXT),
            ("format", pa.struct([("provider", _TEXT), ("options", _TEXT_MAP)])),
            ("schemaString", _TEXT),
            ("partitionColumns", pa.list_(_TEXT)),
            ("createdTime", pa.int64()),
            ("configuration", _TEXT_MAP),
        ]
    ),
    "protocol": pa.struct(
        [
            ("minReaderVersion", pa.int32()),
            ("minWriterVersion", pa.int32()),
            ("readerFeatures", pa.list_(_TEXT)),
            ("writerFeatures", pa.list_(_TEXT)),
        ]
    ),
    "domainMetadata": pa.struct(
        [("domain", _TEXT), ("configuration", _TEXT), ("removed", pa.bool_())]
    ),
    "checkpointMetadata": pa.struct([("version", pa.int64()), ("tags", _TEXT_MAP)]),
    "sidecar": pa.struct(
        [
            ("path", _TEXT),
            ("sizeInBytes", pa.int64()),
            ("modificationTime", pa.int64()),
            ("tags", _TEXT_MAP),
        ]
    ),
}
"""The types of actions in a checkpoint; `add` without its typed columns."""

V1 = ("txn", "add", "remove", "metaData", "protocol", "domainMetadata")
"""The columns of a checkpoint of the V1 kind."""

V2 = ("txn", "metaData", "protocol", "domainMetadata", "checkpointMetadata", "sidecar")
"""The columns of the top-level file of a checkpoint of the V2 kind; the rest is in sidecars."""

SIDECAR = ("add", "remove")
"""The columns of a sidecar."""


class CheckpointMetadata(msgspec.Struct, frozen=True, rename="camel"):
    """`checkpointMetadata`: what makes a checkpoint one of the V2 kind.

    Attributes:
        version: Of the checkpoint.
        tags: What the writer says of it.
    """

    version: int
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AddColumns:
    """The forms in which a checkpoint holds what is said of files.

    Attributes:
        text: Whether statistics are there as JSON text.
        statistics: The type of `stats_parsed`; None to leave it out.
        partitions: The type of `partitionValues_parsed`; None to leave it out.
    """

    text: bool = True
    statistics: pa.StructType | None = None
    partitions: pa.StructType | None = None

    @property
    def type(self) -> pa.StructType:
        """The type of `add`."""
        fields = [field for field in FIELDS["add"] if self.text or field.name != "stats"]
        if self.partitions is not None:
            fields.append(pa.field("partitionValues_parsed", self.partitions))
        if self.statistics is not None:
            fields.append(pa.field("stats_parsed", self.statistics))
        return pa.struct(fields)


def schema(names: Sequence[str], add: AddColumns) -> pa.Schema:
    """The schema of a file with these actions."""
    return pa.schema([(name, add.type if name == "add" else FIELDS[name]) for name in names])


def rows_of(actions: Iterable[tuple[str, Any]], schema: pa.Schema) -> pa.Table:
    """Actions that are no file's, as rows of a checkpoint, each with its name."""
    rows = [
        {name: _as_arrow(msgspec.to_builtins(action), schema.field(name).type)}
        for name, action in actions
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def head_actions(
    protocol: Protocol,
    metadata: Metadata,
    txns: Iterable[Txn],
    domains: Iterable[DomainMetadata],
    sidecars: Iterable[SidecarFile] = (),
) -> list[tuple[str, Any]]:
    """All that is no file action, with the names of the actions."""
    return [
        ("protocol", protocol),
        ("metaData", metadata),
        *(("txn", txn) for txn in txns),
        *(("domainMetadata", domain) for domain in domains),
        *(("sidecar", sidecar) for sidecar in sidecars),
    ]


def file_rows(kind: str, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """File actions as rows of a checkpoint.

    Args:
        kind: `add` or `remove`.
        table: Its columns in the order of the action's fields.
        schema: The file's.
    """
    structs = as_structs(table, schema.field(kind).type)
    return pa.Table.from_arrays(
        [structs if field.name == kind else pa.nulls(len(structs), field.type) for field in schema],
        schema=schema,
    )


def as_structs(table: pa.Table, type_: pa.StructType) -> pa.StructArray:
    """The columns of a table as structs of a type that has the same fields under other names."""
    columns = [
        _renamed(_whole(column), type_.field(index).type)
        for index, column in enumerate(table.columns)
    ]
    return pa.StructArray.from_arrays(columns, fields=list(type_))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _renamed(array: pa.Array, type_: pa.DataType) -> pa.Array:
    if array.type != DELETION_VECTOR:
        return array
    children = [array.field(index) for index in range(array.type.num_fields)]
    return pa.StructArray.from_arrays(children, fields=list(type_), mask=array.is_null())


def _as_arrow(value: Any, type_: pa.DataType) -> Any:
    """A value in the form Arrow takes it for a type: maps as pairs, at any depth of structs."""
    if value is None:
        return None
    if pa.types.is_map(type_):
        return list(value.items())
    if pa.types.is_struct(type_):
        return {field.name: _as_arrow(value.get(field.name), field.type) for field in type_}
    return value
