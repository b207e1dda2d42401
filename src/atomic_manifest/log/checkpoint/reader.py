"""Reading a checkpoint of any kind, column by column (protocol, "Checkpoints", "Checkpoint Schema").

Invariants: opening reads footers and the few rows that are not file actions; the columns of adds and
of removes are read when first asked for, only those asked for, and only from row groups that hold any.
Whatever columns a writer left out read as null. The file actions of a checkpoint of the V2 kind are in
its sidecars, if it names any, and those are in the table's own `_delta_log/_sidecars`, whatever their
paths say of where that is.

What others may use of it: `head`, `row_groups`, `adds`, `removes`, `scan` and `paths`.

Error semantics: a file that is missing, is not Parquet, has a checksum that does not hold, or a column
of another type than the protocol's raises `CorruptLog` naming the file. Errors of the store pass through.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.errors import CorruptLog, NotFound, StoreError
from atomic_manifest.forks import reentrant_lock
from atomic_manifest.log.checkpoint.head_rows import (
    HEAD_ACTIONS,
    check_version,
    from_hint,
    from_rows,
    present,
)
from atomic_manifest.log.checkpoint.json_part import JsonPart
from atomic_manifest.log.checkpoint.parts import Expanding, ParquetPart
from atomic_manifest.log.columns import (
    DELETION_VECTOR,
    FILES,
    KEY_COLUMNS,
    TOMBSTONES,
    camel_case,
    compact,
    keys,
    nulls,
)
from atomic_manifest.log.folder.hint import SidecarFile
from atomic_manifest.log.folder.segment import SIDECAR_FOLDER, CheckpointFiles
from atomic_manifest.log.head import Head
from atomic_manifest.log.path import decode
from atomic_manifest.log.pruning.pruner import Pruner
from atomic_manifest.log.pruning.row_group import RowGroup
from atomic_manifest.log.rereading import READS, pause_before
from atomic_manifest.log.stats.parsed import to_json
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.object_store import ObjectStore

_T = TypeVar("_T")

PARSED = ("partition_values_parsed", "stats_parsed")
"""Columns of adds with typed values, which only some checkpoints have."""

_SMALL_BYTES = 1 << 16
_SCHEMAS = {"add": FILES, "remove": TOMBSTONES}


_DAMAGE = (
    pa.ArrowException,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    RecursionError,
    msgspec.MsgspecError,
)
"""What damage to a file makes Arrow and msgspec raise."""


class Checkpoint:
    """A checkpoint in a store. Safe to share between threads.

    Args:
        store: Rooted at the table.
        files: What to read.

    Attributes:
        version: The version whose state it is.
    """

    def __init__(self, store: ObjectStore, files: CheckpointFiles) -> None:
        self.version = files.version
        self._store = store
        self._files = files
        self._top = [_part(store, meta) for meta in files.files]
        self._whole: dict[str, pa.Table] = {}
        self._lock = reentrant_lock()

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of its files, without sidecars."""
        return self._files.paths

    @property
    def is_small(self) -> bool:
        """Whether it has few files' actions, all in one small object."""
        return sum(meta.size for meta in self._files.files) <= _SMALL_BYTES and not self.sidecars

    def has_file(self, path: str) -> bool:
        """Whether this is one of its files, or may be one of its sidecars."""
        return self._files.has_file(path)

    def reopened(self) -> "Checkpoint":
        """The same checkpoint for a thread that scans it."""
        return Checkpoint(self._store, self._files)

    def schema_of(self, path: str) -> pa.Schema:
        """The schema of one of its Parquet files with file actions.

        Raises:
            CorruptLog: See the module.
        """
        with self._lock:
            part = next(part for part in self._parts if part.path == path)
            return self._ask(part, lambda part: part.file.schema_arrow)

    @property
    def sidecars(self) -> tuple[SidecarFile, ...]:
        """The sidecars that it names. Raises as `head` does."""
        with self._lock:
            return self._opened[1]

    def head(self) -> Head:
        """What the table is but for its files.

        Raises:
            CorruptLog: See the module.
        """
        with self._lock:
            return self._opened[0]

    def row_groups(self, kind: str) -> list[RowGroup]:
        """The groups of rows with actions of a kind, in order, to be chosen from by their statistics.

        Args:
            kind: `add` or `remove`.

        Raises:
            CorruptLog: See the module.
        """
        with self._lock:
            return [group for part in self._parts for group in self._ask(part, _groups(kind))]

    def adds(self, columns: Sequence[str], *, pruner: Pruner | None = None) -> pa.Table:
        """The files of the table.

        Args:
            columns: Of `columns.FILES`.
            pruner: Chooses among them; None for all.

        Raises:
            CorruptLog: See the module.
        """
        if pruner is None:
            return self._file_actions("add", columns)
        with self._lock:
            groups = pruner.groups(self.row_groups("add"))
            found = [table for group in groups for table in self._pruned(group, columns, pruner)]
            wanted = pa.schema([FILES.field(name) for name in columns])
            return pa.concat_tables([wanted.empty_table(), *found])

    def _pruned(
        self, group: RowGroup, columns: Sequence[str], pruner: Pruner
    ) -> Iterator[pa.Table]:
        kept = self._judged(group, pruner)
        if not kept.true_count:
            return
        start = 0
        for table in self._scanned("add", columns, [group]):
            yield table.filter(kept.slice(start, table.num_rows))
            start += table.num_rows

    def _judged(self, group: RowGroup, pruner: Pruner) -> pa.BooleanArray:
        """Which files of a group may have rows that match."""
        values = texts = parsed = None
        names = ["partition_values"] if pruner.needs_partitions else ["size"]
        typed = pruner.typed if pruner.needs_statistics else ()
        table = pa.concat_tables(self.scan("add", names, groups=[group], parsed=typed))
        if pruner.needs_partitions:
            values = table["partition_values"].combine_chunks()
        if pruner.needs_statistics:
            parsed = table["stats_parsed"].combine_chunks()
            if parsed.null_count:
                scanned = self.scan("add", ["stats"], groups=[group])
                texts = pa.concat_tables(scanned)["stats"].combine_chunks()
        if values is None and parsed is None:
            values = table["size"].combine_chunks()
        return pruner.files(values, texts, parsed)

    def removes(self) -> pa.Table:
        """The tombstones, in the columns of `columns.TOMBSTONES`; not those alone that have not expired.

        Raises:
            CorruptLog: See the module.
        """
        return self._file_actions("remove", TOMBSTONES.names)

    def scan(
        self,
        kind: str,
        columns: Sequence[str],
        *,
        groups: Sequence[RowGroup] | None = None,
        parsed: Sequence[str] = (),
    ) -> Iterator[pa.Table]:
        """Actions a group of rows at a time, without holding all of them. Not for several threads.

        Args:
            kind: `add` or `remove`.
            columns: Of `columns.FILES` or `columns.TOMBSTONES`. Statistics are the JSON text that the
                checkpoint has, null where it has typed ones only.
            groups: Of `row_groups(kind)`; None for all.
            parsed: Of `PARSED`: columns to add, of whatever type they have. Null if they are not there.
                Or fields of one of them, with its name before them: `stats_parsed.minValues.id`.

        Raises:
            CorruptLog: See the module.
        """
        wanted = pa.schema([_SCHEMAS[kind].field(name) for name in columns])
        for group in self.row_groups(kind) if groups is None else groups:
            with self._reporting(group.path):
                yield from self._tables(group, kind, wanted, parsed)

    def _tables(
        self, group: RowGroup, kind: str, wanted: pa.Schema, parsed: Sequence[str]
    ) -> Iterator[pa.Table]:
        """The tables of a group, read again as long as damage shows before there is one."""
        for again in range(1, READS + 1):
            begun = False
            try:
                for table in _tables(group, kind, wanted, parsed):
                    begun = True
                    yield table
            except (StoreError, Expanding):
                raise
            except _DAMAGE:
                if begun or again == READS:
                    raise
            else:
                return
            group.forget()
            pause_before(self._store.env, again)

    def _file_actions(self, kind: str, columns: Sequence[str]) -> pa.Table:
        schema = _SCHEMAS[kind]
        with self._lock:
            if kind in self._whole:
                return self._whole[kind].select(columns)
            wanted = pa.schema([schema.field(name) for name in columns])
            scanned = self._scanned(kind, columns, self.row_groups(kind))
            table = pa.concat_tables([wanted.empty_table(), *map(compact, scanned)])
            with self._reporting(self.paths[0]):
                self._check_once(table)
            if len(columns) == len(schema):
                self._whole[kind] = table
            return table

    def _check_once(self, table: pa.Table) -> None:
        """Check that no file is there twice, where parts that nothing tells apart were mixed up."""
        if len(self._parts) < 2 or all(part.sealed for part in self._parts):  # noqa: PLR2004
            return
        if set(KEY_COLUMNS) <= set(table.column_names):
            key = keys(table)
            if pc.count_distinct(key).as_py() < len(key):
                raise ValueError("a file is in it twice")

    def _scanned(
        self, kind: str, columns: Sequence[str], groups: Sequence[RowGroup]
    ) -> Iterator[pa.Table]:
        """As `scan`, but with text of all statistics."""
        for group in groups:
            parsed = ("stats_parsed",) if "stats" in columns and _lacks_text(group) else ()
            yield from map(_with_text, self.scan(kind, columns, groups=[group], parsed=parsed))

    @cached_property
    def _opened(self) -> tuple[Head, tuple[SidecarFile, ...]]:
        if self._files.contents and (found := from_hint(self._files.contents)) is not None:
            return found
        rows = [row for part in self._top for row in self._ask(part, _head_rows)]
        with self._reporting(self.paths[0]):
            head, sidecars = from_rows(rows)
            if head.protocol is None or head.metadata is None:
                raise ValueError("no `protocol` or no `metaData`")
            check_version(rows, self.version)
            return head, tuple(msgspec.convert(present(row), SidecarFile) for row in sidecars)

    @cached_property
    def _parts(self) -> list[ParquetPart | JsonPart]:
        """The files with file actions."""
        if not self.sidecars:
            return self._top
        with self._reporting(self.paths[0]):
            sizes = {sidecar_path(each.path): each.size_in_bytes for each in self.sidecars}
            if len(sizes) < len(self.sidecars):
                raise ValueError("a sidecar is named twice")
            return [
                ParquetPart(self._store, ObjectMeta(path, size), exact=True)
                for path, size in sizes.items()
            ]

    def _ask(self, part: ParquetPart | JsonPart, ask: Callable[[Any], _T]) -> _T:
        """The answer of a part, which is read again if it comes damaged."""
        again = 1
        while True:
            with self._reporting(part.path):
                try:
                    return ask(part)
                except (StoreError, Expanding):
                    raise
                except _DAMAGE:
                    if again == READS:
                        raise
            part.forget()
            pause_before(self._store.env, again)
            again += 1

    @contextmanager
    def _reporting(self, path: str) -> Iterator[None]:
        try:
            yield
        except NotFound as error:
            raise CorruptLog(f"{path} is missing", path=path, version=self.version) from error
        except (StoreError, CorruptLog):
            raise
        except _DAMAGE as error:
            message = f"{path} is not a checkpoint that can be read: {error}"
            raise CorruptLog(message, path=path, version=self.version) from error


def verify(checkpoint: Checkpoint) -> None:
    """Read all of a checkpoint, a group of rows at a time.

    Raises:
        CorruptLog: A part of it is missing or damaged.
    """
    checkpoint.head()
    for kind, schema in _SCHEMAS.items():
        for _ in checkpoint.scan(kind, schema.names):
            pass


def sidecar_path(text: str) -> str:
    """Where a sidecar is, relative to the table's root.

    Args:
        text: The `path` of a `sidecar` action: a name, or the place it had when it was written.

    Raises:
        ValueError: Not a file of a folder of sidecars.
    """
    folder, slash, name = decode(text).rpartition("/")
    if (
        (slash and not folder.endswith(f"/{SIDECAR_FOLDER}"))
        or name in ("", ".", "..")
        or "\0" in name
    ):
        raise ValueError(f"a sidecar outside {SIDECAR_FOLDER}: {text!r}")
    return f"{SIDECAR_FOLDER}/{name}"


def _part(store: ObjectStore, meta: ObjectMeta) -> ParquetPart | JsonPart:
    return (JsonPart if meta.path.endswith(".json") else ParquetPart)(store, meta)


def _groups(kind: str) -> Callable[[Any], list[RowGroup]]:
    return lambda part: part.groups(kind)


def _head_rows(part: ParquetPart | JsonPart) -> list[dict[str, Any]]:
    rows = part.rows_with(HEAD_ACTIONS)
    return rows.to_pylist(maps_as_pydicts="strict") if isinstance(rows, pa.Table) else list(rows)


def _tables(
    group: RowGroup, kind: str, wanted: pa.Schema, parsed: Sequence[str]
) -> Iterator[pa.Table]:
    fields = [_protocol_name(name) for name in (*wanted.names, *parsed)]
    for structs in group.read(kind, fields):
        columns = {column.name: _field(structs, column) for column in wanted}
        for name in dict.fromkeys(name.partition(".")[0] for name in parsed):
            values = _field_or_none(structs, _protocol_name(name))
            columns[name] = pa.nulls(len(structs)) if values is None else values
        yield pa.table(columns)


def _protocol_name(name: str) -> str:
    """The protocol's name of a column: `stats_parsed` stays, `base_row_id` is `baseRowId`."""
    root, dot, fields = name.partition(".")
    return (_PARSED_NAMES.get(root) or camel_case(root)) + dot + fields


_PARSED_NAMES = {
    "partition_values_parsed": "partitionValues_parsed",
    "stats_parsed": "stats_parsed",
}


def _lacks_text(group: RowGroup) -> bool:
    """Whether there may be a file without statistics as text."""
    known = group.statistics(("add", "stats"))
    return known is None or known.null_count != 0


def _with_text(table: pa.Table) -> pa.Table:
    """Statistics as text where there are only typed ones; the typed ones are left out."""
    if "stats_parsed" not in table.column_names or not table["stats"].null_count:
        return table.select([name for name in table.column_names if name != "stats_parsed"])
    position, parsed = table.column_names.index("stats"), table["stats_parsed"].combine_chunks()
    table = table.drop_columns("stats_parsed")
    stats = table["stats"].combine_chunks()
    if parsed.null_count == len(parsed):
        return table
    return table.set_column(position, FILES.field("stats"), pc.coalesce(stats, to_json(parsed)))


def _field_or_none(structs: pa.StructArray, name: str) -> pa.Array | None:
    return pc.struct_field(structs, name) if structs.type.get_field_index(name) >= 0 else None


def _field(structs: pa.StructArray, field: pa.Field) -> pa.Array:
    values = _field_or_none(structs, camel_case(field.name))
    if values is None:
        return nulls(len(structs), field.type)
    return _vectors(values) if field.type == DELETION_VECTOR else values.cast(field.type)


def _vectors(structs: pa.StructArray) -> pa.StructArray:
    fields = [_field(structs, field) for field in DELETION_VECTOR]
    for field, values in zip(DELETION_VECTOR, fields, strict=True):
        if field.name != "offset" and values.null_count > structs.null_count:
            raise ValueError(f"a deletion vector without `{camel_case(field.name)}`")
    return pa.StructArray.from_arrays(fields, fields=list(DELETION_VECTOR), mask=structs.is_null())
