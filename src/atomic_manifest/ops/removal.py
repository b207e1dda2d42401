"""`remove` actions for files of a snapshot.

Engines write some partition values in more than one way (a timestamp with or without `T` and zone), so
partitions are compared by value, not by text.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import types

from atomic_manifest.commit.intent import PartitionValues
from atomic_manifest.errors import TableIsAppendOnly
from atomic_manifest.log.actions import DeletionVector, Remove
from atomic_manifest.log.metadata import partition
from atomic_manifest.log.metadata.features import is_append_only
from atomic_manifest.log.names import matches
from atomic_manifest.log.state.snapshot import Snapshot

_COLUMNS = [
    "path",
    "partition_values",
    "size",
    "tags",
    "deletion_vector",
    "base_row_id",
    "default_row_commit_version",
]


_ONE_TEXT = (types.is_string, types.is_integer, types.is_date, types.is_boolean)
"""Types of which every value has one text in the log."""


def have_one_text(schema: pa.Schema, columns: Sequence[str]) -> bool:
    """Whether two texts of a value of these partition columns are always the same."""
    return all(any(test(schema.field(name).type) for test in _ONE_TEXT) for name in columns)


def check_may_remove(snapshot: Snapshot, commit_id: str) -> None:
    """Refuse to remove rows where the table forbids it.

    Raises:
        TableIsAppendOnly: The table does.
    """
    if is_append_only(snapshot.protocol, snapshot.metadata):
        raise TableIsAppendOnly(
            "the table is append-only (delta.appendOnly): rows cannot be replaced or deleted",
            commit_id=commit_id,
        )


def removes_of(
    files: pa.Table,
    unix_ms: int,
    *,
    schema: pa.Schema,
    partitions: frozenset[PartitionValues] | None = None,
    stats: bool = False,
) -> tuple[Remove, ...]:
    """Tombstones for the given files.

    Args:
        files: Rows of `Snapshot.files()`.
        unix_ms: The deletion's stamp, milliseconds since the Unix epoch.
        schema: The table's as its log names the columns, for the types of partition values.
        partitions: Only files of these partitions; None for all.
        stats: Whether to carry the files' statistics, by which concurrent commits can tell that they
            did not read their rows.
    """
    columns = [*_COLUMNS, "stats"] if stats else _COLUMNS
    rows = ((row, dict(row["partition_values"] or ())) for row in _rows(files, columns))
    return tuple(
        _remove(row, values, unix_ms)
        for row, values in rows
        if partitions is None or _canonical(values, schema) in partitions
    )


def _canonical(values: Mapping[str, str | None], schema: pa.Schema) -> PartitionValues:
    """The values in the texts that this library writes."""
    return frozenset(
        (name, partition.serialize(partition.parse(text, schema.field(name).type)))
        for key, text in values.items()
        for name in matches(key, schema.names)
    )


def _rows(files: pa.Table, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for batch in files.select(columns).to_batches():
        yield from batch.to_pylist()


def _remove(row: dict[str, Any], values: dict[str, str | None], unix_ms: int) -> Remove:
    vector = row["deletion_vector"]
    return Remove(
        path=row["path"],
        deletion_timestamp=unix_ms,
        data_change=True,
        extended_file_metadata=True,
        partition_values=values,
        size=row["size"],
        stats=row.get("stats"),
        tags=dict(row["tags"]) if row["tags"] is not None else None,
        deletion_vector=DeletionVector(**vector) if vector is not None else None,
        base_row_id=row["base_row_id"],
        default_row_commit_version=row["default_row_commit_version"],
    )
