"""`remove` actions for files of a snapshot."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from atomic_manifest.commit.intent import PartitionValues
from atomic_manifest.log.actions import DeletionVector, Remove

_COLUMNS = [
    "path",
    "partition_values",
    "size",
    "tags",
    "deletion_vector",
    "base_row_id",
    "default_row_commit_version",
]


def removes_of(
    files: pa.Table, unix_ms: int, *, partitions: frozenset[PartitionValues] | None = None
) -> tuple[Remove, ...]:
    """Tombstones for the given files.

    Args:
        files: Rows of `Snapshot.files()`.
        unix_ms: The deletion's stamp, milliseconds since the Unix epoch.
        partitions: Only files of these partitions; None for all.
    """
    rows = ((row, dict(row["partition_values"] or ())) for row in _rows(files))
    return tuple(
        _remove(row, values, unix_ms)
        for row, values in rows
        if partitions is None or frozenset(values.items()) in partitions
    )


def _rows(files: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in files.select(_COLUMNS).to_batches():
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
        tags=dict(row["tags"]) if row["tags"] is not None else None,
        deletion_vector=DeletionVector(**vector) if vector is not None else None,
        base_row_id=row["base_row_id"],
        default_row_commit_version=row["default_row_commit_version"],
    )
