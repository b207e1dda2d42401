"""Writing checkpoints (protocol, "Checkpoints", V1 spec, classic naming).

Invariants: a checkpoint loses nothing of the state: every field of the adds, tombstones until they
expire, transactions with their times. It is created if absent, so racing writers do no harm, and
`_last_checkpoint` only ever moves forward. Rows that are no file actions come first in a row group of
their own, so that opening a table reads little; file actions follow in groups of `ROWS_PER_GROUP`.

Error semantics: a lost race is no error. A table that needs more of its writers than we know is
refused (`UnsupportedTableFeature`), for its checkpoint might have to hold what we would drop.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from atomic_manifest.errors import AlreadyExists, Conflict409, NotFound, PreconditionFailed
from atomic_manifest.log.actions import Metadata, Protocol, Txn
from atomic_manifest.log.columns import DELETION_VECTOR, FILES, TOMBSTONES, camel_case
from atomic_manifest.log.entry import LOG_FOLDER
from atomic_manifest.log.features import check_writable
from atomic_manifest.log.segment import HINT_PATH, Hint
from atomic_manifest.log.snapshot import Snapshot
from atomic_manifest.store.conditions import Condition, IfAbsent, IfMatch
from atomic_manifest.store.object_store import ObjectStore

ROWS_PER_GROUP = 50_000

_TEXT = pa.string()
_TEXT_MAP = pa.map_(_TEXT, _TEXT)


def _in_camel_case(type_: pa.DataType) -> pa.DataType:
    if not pa.types.is_struct(type_):
        return type_
    return pa.struct([(camel_case(field.name), _in_camel_case(field.type)) for field in type_])


SCHEMA = pa.schema(
    [
        (
            "txn",
            pa.struct([("appId", _TEXT), ("version", pa.int64()), ("lastUpdated", pa.int64())]),
        ),
        ("add", _in_camel_case(pa.struct(list(FILES)))),
        ("remove", _in_camel_case(pa.struct(list(TOMBSTONES)))),
        (
            "metaData",
            pa.struct(
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
        ),
        (
            "protocol",
            pa.struct(
                [
                    ("minReaderVersion", pa.int32()),
                    ("minWriterVersion", pa.int32()),
                    ("readerFeatures", pa.list_(_TEXT)),
                    ("writerFeatures", pa.list_(_TEXT)),
                ]
            ),
        ),
    ]
)
"""The columns of a checkpoint of ours (protocol, "Checkpoint Schema")."""


def checkpoint_path(version: int) -> str:
    """The path of the classic checkpoint of a version, relative to the table's root."""
    return f"{LOG_FOLDER}/{version:020}.checkpoint.parquet"


def write_checkpoint(store: ObjectStore, snapshot: Snapshot) -> None:
    """Write the checkpoint of a snapshot's version, unless there is one, and point the hint to it.

    Raises:
        UnsupportedTableFeature: See `features.check_writable`; nothing was written.
        CorruptLog: The snapshot's files cannot be read.
        StoreError: The store failed; the table is as good as before.
    """
    check_writable(snapshot.protocol, snapshot.metadata)
    files, tombstones = snapshot.files(), snapshot.tombstones()
    data = _encode(snapshot, files, tombstones)
    try:
        store.put(checkpoint_path(snapshot.version), data, when=IfAbsent())
    except AlreadyExists:
        return
    _move_hint(
        store,
        Hint(
            version=snapshot.version,
            size=2 + len(snapshot.transactions) + files.num_rows + tombstones.num_rows,
            size_in_bytes=len(data),
            num_of_add_files=files.num_rows,
        ),
    )


def _encode(snapshot: Snapshot, files: pa.Table, tombstones: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        writer.write_table(pa.Table.from_pylist(list(_head(snapshot)), schema=SCHEMA))
        for name, table in (("add", files), ("remove", tombstones)):
            for start in range(0, table.num_rows, ROWS_PER_GROUP):
                writer.write_table(_action_rows(name, table.slice(start, ROWS_PER_GROUP)))
    return memoryview(sink.getvalue())


def _head(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    yield {"protocol": _row(snapshot.protocol, "protocol")}
    yield {"metaData": _row(snapshot.metadata, "metaData")}
    yield from ({"txn": _row(txn, "txn")} for txn in snapshot.transactions)


def _row(action: Protocol | Metadata | Txn, name: str) -> Any:
    return _as_arrow(msgspec.to_builtins(action), SCHEMA.field(name).type)


def _as_arrow(value: Any, type_: pa.DataType) -> Any:
    """A value in the form Arrow takes it for a type: maps as pairs, at any depth of structs."""
    if value is None:
        return None
    if pa.types.is_map(type_):
        return list(value.items())
    if pa.types.is_struct(type_):
        return {field.name: _as_arrow(value.get(field.name), field.type) for field in type_}
    return value


def _action_rows(name: str, table: pa.Table) -> pa.Table:
    columns: Sequence[pa.Array] = [
        _renamed(column.combine_chunks(), SCHEMA.field(name).type.field(index).type)
        for index, column in enumerate(table.columns)
    ]
    structs = pa.StructArray.from_arrays(columns, fields=list(SCHEMA.field(name).type))
    return pa.Table.from_arrays(
        [structs if field.name == name else pa.nulls(len(structs), field.type) for field in SCHEMA],
        schema=SCHEMA,
    )


def _renamed(array: pa.Array, type_: pa.DataType) -> pa.Array:
    if array.type != DELETION_VECTOR:
        return array
    children = [array.field(index) for index in range(array.type.num_fields)]
    return pa.StructArray.from_arrays(children, fields=list(type_), mask=array.is_null())


def _move_hint(store: ObjectStore, hint: Hint) -> None:
    """Let `_last_checkpoint` name a newer checkpoint. It is only a hint: losing a race is fine."""
    when: Condition = IfAbsent()
    try:
        current = store.get(HINT_PATH)
        if current.meta.etag is None or _version(current.data) >= hint.version:
            return
        when = IfMatch(current.meta.etag)
    except NotFound:
        pass
    with suppress(PreconditionFailed, Conflict409):
        store.put(HINT_PATH, msgspec.json.encode(hint), when=when)


def _version(data: bytes) -> int:
    try:
        return msgspec.json.decode(data, type=Hint).version
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return -1
