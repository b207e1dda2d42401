"""Writing checkpoints: classic ones, or V2 ones with sidecars where the table asks for them.

Invariants: a checkpoint loses nothing of the state: every field of the adds, tombstones until they
expire by the store's clock, transactions with their times, domains. It appears whole or not at all, under
a name that nobody else writes (V2) or if absent (classic). A classic one that is there is left alone if
it can be read, and replaced if it cannot. `_last_checkpoint` only ever moves forward. What the last
checkpoint holds is streamed into the new one (`checkpoint.file_rows`).

Error semantics: a lost race is no error. A table that needs more of its writers than we know is
refused (`UnsupportedTableFeature`), for its checkpoint might have to hold what we would drop.
"""

from collections.abc import Iterator

import pyarrow as pa

from atomic_manifest.errors import (
    CorruptLog,
    DataError,
    NotFound,
    PreconditionFailed,
    UnsupportedByStore,
)
from atomic_manifest.log.checkpoint.file_rows import FileRows, Totals, counted
from atomic_manifest.log.checkpoint.file_writer import write_file
from atomic_manifest.log.checkpoint.reader import Checkpoint, verify
from atomic_manifest.log.checkpoint.schema import V1, AddColumns, head_actions, rows_of, schema
from atomic_manifest.log.entry import LOG_FOLDER
from atomic_manifest.log.folder.hint import Hint, move_hint
from atomic_manifest.log.folder.segment import CheckpointFiles
from atomic_manifest.log.maintenance.checkpoint_v2 import write_v2
from atomic_manifest.log.maintenance.store_clock import store_clock_ms
from atomic_manifest.log.metadata.features import check_writable
from atomic_manifest.log.metadata.retention import deleted_file_retention_ms
from atomic_manifest.log.state.replay import Replay
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.log.stats.typed_columns import partition_type, statistics_type
from atomic_manifest.store.conditions import Condition, IfAbsent, IfMatch
from atomic_manifest.store.object_store import ObjectStore

_POLICY = "delta.checkpointPolicy"
_AS_TEXT = "delta.checkpoint.writeStatsAsJson"
_AS_COLUMNS = "delta.checkpoint.writeStatsAsStruct"


def checkpoint_path(version: int) -> str:
    """The path of the classic checkpoint of a version, relative to the table's root."""
    return f"{LOG_FOLDER}/{version:020}.checkpoint.parquet"


def write_checkpoint(store: ObjectStore, snapshot: Snapshot) -> Totals | None:
    """Write the checkpoint of a snapshot's version, unless there is one, and point the hint to it.

    Returns:
        What is in it; None if there was one already.

    Raises:
        UnsupportedTableFeature: See `metadata.features.check_writable`; nothing was written.
        CorruptLog: The snapshot's files cannot be read.
        StoreError: The store failed; the table is as good as before.
    """
    check_writable(snapshot.protocol, snapshot.metadata)

    def write(replay: Replay) -> Totals | None:
        try:
            return _write(store, snapshot, replay, typed_partitions=True)
        except DataError:  # a partition value that its column cannot hold
            return _write(store, snapshot, replay, typed_partitions=False)

    return snapshot.reading(write)


def _write(
    store: ObjectStore, snapshot: Snapshot, replay: Replay, *, typed_partitions: bool
) -> Totals | None:
    rows = _rows(store, snapshot, replay, typed_partitions=typed_partitions)
    if _is_v2(snapshot):
        return write_v2(store, snapshot, rows)
    return _write_classic(store, snapshot, rows)


def _is_v2(snapshot: Snapshot) -> bool:
    asked = snapshot.configuration.get(_POLICY, "classic").lower() == "v2"
    return asked and "v2Checkpoint" in (snapshot.protocol.reader_features or ())


def _rows(
    store: ObjectStore, snapshot: Snapshot, replay: Replay, *, typed_partitions: bool
) -> FileRows:
    configuration = snapshot.configuration
    partitioned, mapping = snapshot.partition_columns, snapshot.column_mapping
    statistics = partitions = None
    by = pa.struct([])
    if typed_partitions:
        by = partition_type(snapshot.schema, partitioned, mapping)
    if configuration.get(_AS_COLUMNS, "true").lower() == "true":
        statistics = statistics_type(snapshot.schema, partitioned, mapping, configuration)
        partitions = by if by.num_fields else None
    text = configuration.get(_AS_TEXT, "true").lower() == "true"
    return FileRows(
        base=replay.base.reopened() if replay.base else None,
        actions=replay.newest_actions(),
        columns=AddColumns(text, statistics, partitions),
        partitions=by,
        oldest=(store_clock_ms(store) or 0) - deleted_file_retention_ms(configuration),
    )


def _write_classic(store: ObjectStore, snapshot: Snapshot, rows: FileRows) -> Totals | None:
    path = checkpoint_path(snapshot.version)
    condition = _condition(store, path, snapshot.version)
    if condition is None:
        return None
    names = schema(V1, rows.columns)
    head = rows_of(
        head_actions(snapshot.protocol, snapshot.metadata, snapshot.transactions, snapshot.domains),
        names,
    )

    def put(when: Condition | None) -> tuple[int, int, Totals]:
        totals = Totals()
        written = write_file(store, path, names, head, _actions(rows, totals), when=when)
        return written.rows, written.size, totals

    try:
        count, size, totals = put(condition)
    except PreconditionFailed:
        return None
    except UnsupportedByStore:  # of a large file; nobody was seen to have written it
        count, size, totals = put(None)
    hint = Hint(snapshot.version, size=count, size_in_bytes=size, num_of_add_files=totals.files)
    move_hint(store, hint)
    return totals


def _actions(rows: FileRows, totals: Totals) -> Iterator[tuple[str, pa.Table]]:
    for table in counted(rows.adds(), totals):
        yield "add", table
    for table in rows.tombstones():
        totals.tombstones += table.num_rows
        yield "remove", table


def _condition(store: ObjectStore, path: str, version: int) -> Condition | None:
    """On what a classic checkpoint may be written; None if there is one that can be read."""
    try:
        meta = store.head(path)
    except NotFound:
        return IfAbsent()
    try:
        verify(Checkpoint(store, CheckpointFiles(version, (meta,))))
    except CorruptLog:
        return IfMatch.ANY if meta.etag is None else IfMatch(meta.etag)
    return None
