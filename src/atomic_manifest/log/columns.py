"""File actions as Arrow columns, and their reconciliation (protocol, "Action Reconciliation").

Invariants: no Python object per file outlives a call. An action table (`ACTIONS`) is in replay order,
oldest first, within a version the removes before the adds; so of two actions on one logical file the
later row wins, and an entry that removes and adds the same file leaves it in the table. A logical file
is known by its key: the path as the log has it, and the unique id of the deletion vector if it has one.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.log.actions import Add, DeletionVector, Remove
from atomic_manifest.log.entry import Entry
from atomic_manifest.log.path import decode_file_path

_TEXT_MAP = pa.map_(pa.string(), pa.string())

DELETION_VECTOR = pa.struct(
    [
        ("storage_type", pa.string()),
        ("path_or_inline_dv", pa.string()),
        ("offset", pa.int32()),
        ("size_in_bytes", pa.int32()),
        ("cardinality", pa.int64()),
    ]
)

FILES = pa.schema(
    [
        ("path", pa.string()),
        ("partition_values", _TEXT_MAP),
        ("size", pa.int64()),
        ("modification_time", pa.int64()),
        ("data_change", pa.bool_()),
        ("stats", pa.string()),
        ("tags", _TEXT_MAP),
        ("deletion_vector", DELETION_VECTOR),
        ("base_row_id", pa.int64()),
        ("default_row_commit_version", pa.int64()),
        ("clustering_provider", pa.string()),
    ]
)
"""The columns of a table's files: the fields of `Add`."""

TOMBSTONES = pa.schema(
    [
        ("path", pa.string()),
        ("deletion_timestamp", pa.int64()),
        ("data_change", pa.bool_()),
        ("extended_file_metadata", pa.bool_()),
        ("partition_values", _TEXT_MAP),
        ("size", pa.int64()),
        ("deletion_vector", DELETION_VECTOR),
        ("base_row_id", pa.int64()),
        ("default_row_commit_version", pa.int64()),
    ]
)
"""The columns of removed files: the fields of `Remove` that a checkpoint keeps."""

ACTIONS = pa.unify_schemas(
    [pa.schema([("version", pa.int64()), ("is_remove", pa.bool_())]), FILES, TOMBSTONES]
)
"""Adds and removes in replay order, with the version each comes from."""

KEY_COLUMNS = ("path", "deletion_vector")
"""The columns that `keys` needs."""

_FEW = 4096
_SHARED_NULLS = 32_768  # rows of a group of a checkpoint

# What is in no sound path. The converse does not hold: an encoded dot or slash may be sound.
_SUSPECT = r"(?i)^[a-z][a-z0-9+.-]*:|^$|^/|//|/$|%2f|%00|\x00|%[89a-f]|(^|/)(\.|%2e)+(/|$)"


def from_entries(entries: Iterable[Entry]) -> pa.Table:
    """The file actions of consecutive entries as one `ACTIONS` table."""
    rows: list[tuple[int, Remove | Add]] = []
    for entry in entries:
        rows.extend((entry.version, action) for action in entry.removes)
        rows.extend((entry.version, action) for action in entry.adds)
    return pa.Table.from_arrays([_column(rows, field) for field in ACTIONS], schema=ACTIONS)


def _column(rows: Sequence[tuple[int, Remove | Add]], field: pa.Field) -> pa.Array:
    values: list[Any]
    if field.name == "version":
        values = [version for version, _ in rows]
    elif field.name == "is_remove":
        values = [isinstance(action, Remove) for _, action in rows]
    else:
        values = [getattr(action, field.name, None) for _, action in rows]
        if pa.types.is_nested(field.type):
            values = [_plain(value) for value in values]
    return pa.array(values, field.type)


def _plain(value: Any) -> Any:
    if isinstance(value, DeletionVector):
        return {field.name: getattr(value, field.name) for field in DELETION_VECTOR}
    return list(value.items()) if isinstance(value, dict) else value


def keys(table: pa.Table) -> pa.ChunkedArray:
    """The keys of the logical files in a table that has `KEY_COLUMNS`."""
    paths, vectors = table["path"], table["deletion_vector"]
    if vectors.null_count == len(vectors):
        return paths
    offset = pc.struct_field(vectors, "offset").cast(pa.string())
    ids = pc.binary_join_element_wise(
        pc.struct_field(vectors, "storage_type"),
        pc.struct_field(vectors, "path_or_inline_dv"),
        pc.if_else(pc.is_valid(offset), pc.binary_join_element_wise("@", offset, ""), ""),
        "",
    )
    # A NUL is in no path, so a path with an id never equals another path.
    return pc.if_else(pc.is_valid(ids), pc.binary_join_element_wise(paths, ids, "\0"), paths)


def newest(actions: pa.Table) -> pa.Table:
    """Of an action table only the last row of every logical file, in unchanged order."""
    key = keys(actions)
    if len(key) <= _FEW:  # a query costs more than so many take
        last_of = {name: row for row, name in enumerate(key.to_pylist())}
        few = sorted(last_of.values())
        return actions if len(few) == len(key) else actions.take(pa.array(few, pa.int64()))
    distinct = pa.table({"key": key}).group_by("key", use_threads=False).aggregate([])
    if distinct.num_rows == len(key):
        return actions
    rows = pa.table({"key": key, "row": pa.array(range(len(key)), pa.int64())})
    last = rows.group_by("key").aggregate([("row", "max")])["row_max"]
    return actions.take(pc.take(last, pc.sort_indices(last)))


def without(table: pa.Table, actions: pa.Table) -> pa.Table:
    """The rows of `table` whose logical file no row of `actions` is about."""
    if not actions.num_rows or not table.num_rows:
        return table
    touched = pc.is_in(keys(table), value_set=keys(actions).combine_chunks())
    return table.filter(pc.invert(touched)) if pc.any(touched).as_py() else table


def check_paths(paths: pa.ChunkedArray, versions: pa.ChunkedArray | int) -> None:
    """Check that files stay below the table's root.

    Args:
        paths: As the log has them.
        versions: The version of each, or of all.

    Raises:
        CorruptLog: See `path.decode_file_path`.
    """
    suspect = pc.match_substring_regex(paths, _SUSPECT)
    if not pc.any(suspect).as_py():
        return
    for row in pc.indices_nonzero(suspect).to_pylist():
        version = versions if isinstance(versions, int) else versions[row].as_py()
        decode_file_path(paths[row].as_py(), version=version)


def nulls(count: int, type_: pa.DataType) -> pa.Array:
    """A column of nulls. All of the usual length, and shorter ones, share their memory."""
    if count > _SHARED_NULLS:
        return pa.nulls(count, type_)
    return _shared_nulls(type_).slice(0, count)


@lru_cache(maxsize=16)
def _shared_nulls(type_: pa.DataType) -> pa.Array:
    return pa.nulls(_SHARED_NULLS, type_)


def compact(table: pa.Table) -> pa.Table:
    """The same rows in memory of their size. What Arrow read them into is larger, and is let go."""
    pool = pa.system_memory_pool()
    columns = [
        column
        if column.null_count == len(column)  # shared, perhaps: see `nulls`
        else pa.concat_arrays([*column.chunks, pa.array([], column.type)], memory_pool=pool)
        for column in table.columns
    ]
    pa.default_memory_pool().release_unused()
    return pa.Table.from_arrays(columns, schema=table.schema)


def camel_case(name: str) -> str:
    """The protocol's name of a column: `base_row_id` is `baseRowId`."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
