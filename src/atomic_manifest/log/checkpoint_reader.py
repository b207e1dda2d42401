"""Reading a classic or multi-part checkpoint, column by column (protocol, "Checkpoint Schema").

Invariants: opening reads footers and the few rows that are not file actions; the columns of adds and
of removes are read when first asked for, only those asked for, and only from row groups that hold
any. Whatever columns a writer left out read as null.

Error semantics: a file that is missing, is not Parquet, or has a column of another type than the
protocol's raises `CorruptLog` naming the file. Errors of the store pass through.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atomic_manifest.errors import CorruptLog, NotFound, StoreError
from atomic_manifest.log.actions import Metadata, Protocol, Txn
from atomic_manifest.log.columns import DELETION_VECTOR, FILES, TOMBSTONES, camel_case
from atomic_manifest.log.entry import decode_rewritten
from atomic_manifest.log.parsed_stats import to_json
from atomic_manifest.log.ranged import RangedFile
from atomic_manifest.log.segment import CheckpointFiles
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.object_store import ObjectStore

_WHOLE = 16 * 1024 * 1024  # up to this size one GET beats several of ranges

_HEAD_LEAVES = ("protocol.minReaderVersion", "metaData.id", "txn.appId")


class Checkpoint:
    """A checkpoint in a store. Safe to share between threads.

    Args:
        store: Rooted at the table.
        files: What to read.

    Attributes:
        version: The version whose state it is.
        paths: Paths of its files.
    """

    def __init__(self, store: ObjectStore, files: CheckpointFiles) -> None:
        self.version = files.version
        self.paths = files.paths
        self._store = store
        self._metas = files.files
        self._opened: dict[str, pq.ParquetFile] = {}
        self._whole: dict[str, pa.Table] = {}
        self._lock = threading.Lock()

    def head(self) -> tuple[Protocol | None, Metadata | None, Mapping[str, Txn]]:
        """The newest protocol and metadata, and the transactions by application id."""
        with self._lock:
            rows = [
                row
                for table in self._read(_head_of)
                for row in table.to_pylist(maps_as_pydicts="strict")
            ]
        protocol = metadata = None
        txns: dict[str, Txn] = {}
        for row in rows:
            with self._reporting(self.paths[0]):
                if row.get("protocol"):
                    protocol = _action(row["protocol"], Protocol)
                if row.get("metaData"):
                    metadata = _action(row["metaData"], Metadata)
                if row.get("txn"):
                    txn = msgspec.convert(_present(row["txn"]), Txn)
                    txns[txn.app_id] = txn
        return protocol, metadata, txns

    def adds(self, columns: Sequence[str]) -> pa.Table:
        """The files of the table, in the given columns of `FILES`."""
        return self._file_actions("add", FILES, columns)

    def removes(self) -> pa.Table:
        """The tombstones, in the columns of `TOMBSTONES`; not those alone that have not expired."""
        return self._file_actions("remove", TOMBSTONES, TOMBSTONES.names)

    def _file_actions(self, kind: str, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
        with self._lock:
            if kind in self._whole:
                return self._whole[kind].select(columns)
            wanted = pa.schema([schema.field(name) for name in columns])
            tables = self._read(lambda file: _actions_of(file, kind, wanted))
            table = pa.concat_tables([wanted.empty_table(), *tables])
            if len(columns) == len(schema):
                self._whole[kind] = table
            return table

    def _read(self, read: Callable[[pq.ParquetFile], pa.Table]) -> list[pa.Table]:
        tables = []
        for meta in self._metas:
            with self._reporting(meta.path):
                if meta.path not in self._opened:
                    self._opened[meta.path] = _open(self._store, meta)
                tables.append(read(self._opened[meta.path]))
        return tables

    @contextmanager
    def _reporting(self, path: str) -> Iterator[None]:
        try:
            yield
        except NotFound as error:
            raise CorruptLog(f"{path} is missing", path=path, version=self.version) from error
        except StoreError:
            raise
        except (pa.ArrowException, OSError, ValueError, TypeError, msgspec.MsgspecError) as error:
            message = f"{path} is not a checkpoint that can be read: {error}"
            raise CorruptLog(message, path=path, version=self.version) from error


def _open(store: ObjectStore, meta: ObjectMeta) -> pq.ParquetFile:
    if meta.size <= _WHOLE:
        source: Any = pa.BufferReader(store.get(meta.path).data)
    else:
        source = pa.PythonFile(RangedFile(store, meta.path, meta.size), mode="r")
    return pq.ParquetFile(source, pre_buffer=True, coerce_int96_timestamp_unit="us")


def _head_of(file: pq.ParquetFile) -> pa.Table:
    groups = _groups_with(file, _HEAD_LEAVES)
    table = file.read_row_groups(groups, columns=["protocol", "metaData", "txn"])
    if not table.num_columns:
        return table
    present = [pc.is_valid(column) for column in table.columns]
    mask = present[0]
    for other in present[1:]:
        mask = pc.or_(mask, other)
    return table.filter(mask)


def _actions_of(file: pq.ParquetFile, kind: str, wanted: pa.Schema) -> pa.Table:
    groups = _groups_with(file, (f"{kind}.path",))
    tables = [_actions_of_group(file, group, kind, wanted) for group in groups]
    return pa.concat_tables([wanted.empty_table(), *tables])


def _actions_of_group(file: pq.ParquetFile, group: int, kind: str, wanted: pa.Schema) -> pa.Table:
    actions = _structs(file, group, kind, [camel_case(name) for name in wanted.names])
    columns = {field.name: _field(actions, field) for field in wanted}
    if "stats" in columns and columns["stats"].null_count:
        parsed = _field_or_none(_structs(file, group, kind, ["stats_parsed"]), "stats_parsed")
        if parsed is not None:
            columns["stats"] = pc.coalesce(columns["stats"], to_json(parsed))
    return pa.Table.from_arrays(list(columns.values()), schema=wanted)


def _structs(file: pq.ParquetFile, group: int, kind: str, fields: Sequence[str]) -> pa.StructArray:
    """A row group's rows that are such an action, in the fields that exist and the path."""
    names = [f"{kind}.{field}" for field in dict.fromkeys(("path", *fields))]
    structs = file.read_row_group(group, columns=names)[kind].combine_chunks()
    return structs.filter(pc.is_valid(pc.struct_field(structs, "path")))


def _groups_with(file: pq.ParquetFile, leaves: Sequence[str]) -> list[int]:
    """Row groups in which one of the columns has a value, as far as the footer tells."""
    metadata = file.metadata
    positions = [
        index
        for index in range(metadata.num_columns)
        if metadata.schema.column(index).path in leaves
    ]

    def holds(group: pq.RowGroupMetaData, position: int) -> bool:
        statistics = group.column(position).statistics
        if statistics is None or not statistics.has_null_count:
            return True
        return bool(statistics.null_count < group.num_rows)

    return [
        number
        for number in range(metadata.num_row_groups)
        if any(holds(metadata.row_group(number), position) for position in positions)
    ]


def _field_or_none(structs: pa.StructArray, name: str) -> pa.Array | None:
    return pc.struct_field(structs, name) if structs.type.get_field_index(name) >= 0 else None


def _field(structs: pa.StructArray, field: pa.Field) -> pa.Array:
    values = _field_or_none(structs, camel_case(field.name))
    if values is None:
        return pa.nulls(len(structs), field.type)
    return _vectors(values) if field.type == DELETION_VECTOR else values.cast(field.type)


def _vectors(structs: pa.StructArray) -> pa.StructArray:
    fields = [_field(structs, field) for field in DELETION_VECTOR]
    return pa.StructArray.from_arrays(fields, fields=list(DELETION_VECTOR), mask=structs.is_null())


def _action(row: dict[str, Any], kind: type[Any]) -> Any:
    return decode_rewritten(msgspec.json.encode(_present(row)), kind)


def _present(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
