"""A table's state at one version, and how to get and to refresh it.

Invariants: a `Snapshot` never changes and may be shared between threads. Opening one reads protocol,
metadata and transactions; the files are read when something asks for them. A table that needs what we
lack is refused at once (`check_readable`), before and after every advance.

Error semantics: a damaged or missing entry is `CorruptLog` naming it. A damaged checkpoint is passed
over for an older one, or for the entries alone, with a `RuntimeWarning` naming it; only if the log
does not reach back that far is it `CorruptLog`.
"""

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.errors import (
    CorruptLog,
    InvalidSchema,
    NotFound,
    TableReplaced,
    VersionNotFound,
)
from atomic_manifest.forks import lock
from atomic_manifest.log.actions import DomainMetadata, Metadata, Protocol, Txn
from atomic_manifest.log.checkpoint.reader import Checkpoint
from atomic_manifest.log.columns import check_paths, from_entries, newest, without
from atomic_manifest.log.entry import LOG_FOLDER, Entry, Mark, entry_path
from atomic_manifest.log.folder.compaction import read_compaction
from atomic_manifest.log.folder.entries import check_begin, read_entries, read_entry
from atomic_manifest.log.folder.segment import LogSegment, find_segment
from atomic_manifest.log.head import Head
from atomic_manifest.log.metadata import features
from atomic_manifest.log.metadata.column_mapping import ColumnMapping, column_mapping
from atomic_manifest.log.metadata.protocol_keys import without_protocol_keys
from atomic_manifest.log.metadata.retention import deleted_file_retention_ms
from atomic_manifest.log.metadata.schema import to_arrow
from atomic_manifest.log.names import matches
from atomic_manifest.log.pruning.pruner import Pruner, pruned
from atomic_manifest.log.state.checksum import read_checksum
from atomic_manifest.log.state.replay import ALL_COLUMNS, Replay
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.threads import ThreadPool

_T = TypeVar("_T")

_BATCH = 64  # entries held at a time before they become columns
_VERY_FEW_FILES = 32
_FEW_FILES = 1000
_FEW_ENTRIES = 256


class Snapshot:
    """The state of a table at a version. Made by `load`, `refresh` and `advance`.

    Args:
        store: Rooted at the table.
        replay: The log up to the version; holds a protocol and a metadata action.
        timestamp_ms: See the attribute.
        mark: See the attribute.

    Attributes:
        version: The version.
        protocol: What a client must understand.
        metadata: Schema, partitioning, configuration.
        timestamp_ms: When the version was committed, milliseconds since the Unix epoch: its in-commit
            timestamp if it has one; else the store's clock if it was loaded, its own `commitInfo` if
            it was advanced to.
        mark: Of the version's entry; None if that was not read so far.

    Raises:
        CorruptLog: The log has no protocol or no metadata that can be used.
        UnsupportedTableFeature: The table needs what we lack.
    """

    def __init__(
        self, store: ObjectStore, replay: Replay, timestamp_ms: int, mark: Mark | None = None
    ) -> None:
        for fault in replay.faults.values():
            raise fault
        self.version = replay.version
        self.protocol: Protocol = _required(replay.protocol, "protocol", replay.version)
        self.metadata: Metadata = _required(replay.metadata, "metaData", replay.version)
        self.timestamp_ms = timestamp_ms
        self.mark = mark
        self._store = store
        self._replay = replay
        self._files: pa.Table | None = None
        self._earlier: tuple[pa.Table, tuple[Entry, ...]] | None = None
        self._lock = lock()
        features.check_readable(self.protocol, self.metadata)

    def __repr__(self) -> str:
        return f"Snapshot({self._store.url!r}, version={self.version})"

    @cached_property
    def txns(self) -> Mapping[str, int]:
        """The version that each application has come to, by application id."""
        return {app_id: txn.version for app_id, txn in self._replay.txns.items()}

    @property
    def transactions(self) -> tuple[Txn, ...]:
        """The newest `txn` action of each application."""
        return tuple(self._replay.txns.values())

    @property
    def domains(self) -> tuple[DomainMetadata, ...]:
        """The newest `domainMetadata` action of each domain that was not removed."""
        return tuple(self._replay.domains.values())

    @cached_property
    def schema(self) -> pa.Schema:
        """The table's schema.

        Raises:
            CorruptLog: The metadata's schema cannot be read.
        """
        try:
            return to_arrow(self.metadata.schema_string)
        except InvalidSchema as error:
            path = f"{LOG_FOLDER}, metaData at version {self.version}"
            raise CorruptLog(f"{path}: {error}", path=path, version=self.version) from error

    @cached_property
    def plain_schema(self) -> pa.Schema:
        """The table's schema as its rows have it: without what the protocol keeps with columns."""
        return without_protocol_keys(self.schema)

    @cached_property
    def column_mapping(self) -> ColumnMapping:
        """How the table's columns are found in its files and in its log."""
        return column_mapping(self.protocol, self.metadata)

    @cached_property
    def physical_schema(self) -> pa.Schema:
        """The table's schema as its files and its log name the columns."""
        return self.column_mapping.physical(self.schema)

    @cached_property
    def partition_columns(self) -> tuple[str, ...]:
        """Names of the columns the table is partitioned by, in order, as the schema has them."""
        names = self.schema.names
        found = [(name, matches(name, names)) for name in self.metadata.partition_columns]
        return tuple(meant[0] if len(meant) == 1 else name for name, meant in found)

    @property
    def partition_fields(self) -> list[pa.Field]:
        """The columns the table is partitioned by, in order.

        Raises:
            CorruptLog: The schema lacks one of them.
        """
        for name in self.partition_columns:
            if name not in self.schema.names:
                path = f"{LOG_FOLDER}, metaData at version {self.version}"
                message = f"{path}: the schema has no partition column {name!r}"
                raise CorruptLog(message, path=path, version=self.version)
        return [self.schema.field(name) for name in self.partition_columns]

    @property
    def configuration(self) -> Mapping[str, str]:
        """The table's properties."""
        return self.metadata.configuration

    @property
    def has_few_files(self) -> bool:
        """Whether it has so few files that each may be looked at by itself."""
        with self._lock:
            if self._files is None:
                self._files = self._few_files()
            return self._files is not None and self._files.num_rows <= _VERY_FEW_FILES

    def files(
        self, columns: Sequence[str] | None = None, *, pruner: Pruner | None = None
    ) -> pa.Table:
        """The files of the table, one row each.

        Args:
            columns: Of `columns.FILES`; None for all, which are then kept.
            pruner: Chooses among them; None for all.

        Returns:
            The fields of the `add` actions; paths as the log has them (`path.decode_file_path`).

        Raises:
            CorruptLog: A checkpoint is damaged and the log does not reach back without it, or a file
                is not below the table's root.
        """
        with self._lock:
            if self._files is None:
                self._files = self._few_files()
            if self._files is not None:
                files = self._files if pruner is None else pruned(self._files, pruner)
                return files if columns is None else files.select(columns)
            if pruner is not None:
                return self._read(lambda replay: replay.files(columns or ALL_COLUMNS, pruner))
            table = self._read(lambda replay: replay.files(columns or ALL_COLUMNS))
            if columns is None:
                self._files = table
            return table

    def _few_files(self) -> pa.Table | None:
        """All files if there are few: what entries made of those of an earlier version, or of the log."""
        if self._earlier is not None:
            files, entries = self._earlier
            actions = newest(from_entries(entries))
            adds = actions.filter(pc.invert(actions["is_remove"]))
            check_paths(adds["path"], adds["version"])
            self._earlier = None
            return pa.concat_tables([without(files, actions), adds.select(ALL_COLUMNS)])
        if self._read(lambda replay: replay.is_small):
            return self._read(lambda replay: replay.files(ALL_COLUMNS))
        return None

    def tombstones(self) -> pa.Table:
        """The removed files that have not expired, one row each, in `columns.TOMBSTONES`.

        They expire `delta.deletedFileRetentionDuration` after their removal, by this machine's clock.

        Raises:
            CorruptLog: See `files`.
        """
        retention_ms = deleted_file_retention_ms(self.configuration)
        oldest = int(self._store.env.now() * 1000) - retention_ms
        with self._lock:
            table = self._read(lambda replay: replay.tombstones())
        return table.filter(pc.greater(table["deletion_timestamp"], oldest))

    def advance(self, entries: Sequence[Entry]) -> "Snapshot":
        """The state after the entries that follow this version. Costs what the entries cost.

        Raises:
            CorruptLog: The entries do not follow on this version without a gap.
            UnsupportedTableFeature: One of them makes the table need what we lack.
        """
        if not entries:
            return self
        timestamp_ms = committed_ms(entries[-1]) or _integer(entries[-1], "timestamp")
        replay = self._replay.advance(entries)
        after = Snapshot(self._store, replay, timestamp_ms or self.timestamp_ms, entries[-1].mark)
        files, before = (
            (self._files, ()) if self._files is not None else self._earlier or (None, ())
        )
        since = (*before, *entries)
        if files is not None and files.num_rows <= _FEW_FILES and len(since) <= _FEW_ENTRIES:
            after._earlier = files, since
        return after

    def reading(self, read: Callable[[Replay], _T]) -> _T:
        """What `read` makes of the log's replay. It may be called again.

        Damage that shows only when a checkpoint's data is read is passed over like any other.

        Raises:
            CorruptLog: See `files`.
        """
        return self._read(read)

    def _read(self, read: Callable[[Replay], _T]) -> _T:
        rejected: set[str] = set()
        while True:
            replay = self._replay
            try:
                return read(replay)
            except CorruptLog as error:
                base = replay.base
                if base is None or not base.has_file(error.path):
                    raise
                rejected.update(base.paths)
                self._replay, _ = _fall_back(self._store, self.version, rejected, error)


def load(store: ObjectStore, *, version: int | None = None) -> Snapshot:
    """Open a table's state.

    Args:
        store: Rooted at the table.
        version: None for the newest.

    Raises:
        TableNotFound: There is no log.
        VersionNotFound: The log does not have the version, or no longer reaches back to it.
        CorruptLog: A part of the log is damaged or missing, and there is no way round it.
        UnsupportedTableFeature: The table needs what we lack.
    """
    segment = find_segment(store, version)
    replay, last = _replay(store, segment)
    if last is None and in_commit_timestamps(replay.metadata):
        last = _entry_if_any(store, segment.version)
    in_commit = None if last is None else committed_ms(last)
    timestamp_ms = segment.modified_ms if in_commit is None else in_commit
    return Snapshot(store, replay, timestamp_ms, None if last is None else last.mark)


def begin(store: ObjectStore, entry: Entry) -> Snapshot:
    """The state after the first entry of a table, without a request."""
    timestamp_ms = committed_ms(entry) or _integer(entry, "timestamp") or 0
    return Snapshot(store, Replay().advance([entry]), timestamp_ms, entry.mark)


def refresh(store: ObjectStore, snapshot: Snapshot) -> Snapshot:
    """The newest state, read entry by entry from where `snapshot` is: one GET more than new versions.

    Returns:
        `snapshot` itself if there is nothing new. A handle so old that log cleanup has overtaken it sees
        nothing new either: entries are kept for 30 days by default, so load again after days of rest.

    Raises:
        CorruptLog: A new entry cannot be decoded.
        TableReplaced: A new entry is of another table.
        UnsupportedTableFeature: The table now needs what we lack.
    """
    entries: list[Entry] = []
    table = snapshot.metadata.id
    while (entry := _entry_if_any(store, snapshot.version + len(entries) + 1)) is not None:
        if entry.table not in (None, table):
            raise TableReplaced(
                f"{entry_path(entry.version)} belongs to table {entry.table}, which has taken the place "
                f"of table {table}; open the table again",
                url=store.url,
            )
        table = entry.metadata.id if entry.metadata is not None else table
        entries.append(entry)
    return snapshot.advance(entries)


def in_commit_timestamps(metadata: Metadata | None) -> bool:
    """Whether commits carry their own timestamps (protocol, "In-Commit Timestamps")."""
    return (
        metadata is not None
        and metadata.configuration.get("delta.enableInCommitTimestamps", "").lower() == "true"
    )


def committed_ms(entry: Entry) -> int | None:
    """An entry's in-commit timestamp in milliseconds since the Unix epoch, None if it has none."""
    return _integer(entry, "inCommitTimestamp")


def _integer(entry: Entry, name: str) -> int | None:
    value = (entry.commit_info or {}).get(name)
    return value if isinstance(value, int) else None


def _required(action: Any, name: str, version: int) -> Any:
    if action is None:
        message = f"{LOG_FOLDER}: no `{name}` action up to version {version}"
        raise CorruptLog(message, path=LOG_FOLDER, version=version)
    return action


def _entry_if_any(store: ObjectStore, version: int) -> Entry | None:
    try:
        return read_entry(store, version)
    except NotFound:
        return None


def _replay(
    store: ObjectStore, segment: LogSegment, rejected: Collection[str] = ()
) -> tuple[Replay, Entry | None]:
    """Replay a segment; the last entry, if there is any, beside the result."""
    try:
        return _replay_files(store, segment)
    except CorruptLog as error:
        if segment.checkpoint is None or not segment.checkpoint.has_file(error.path):
            raise
        damaged = {*rejected, *segment.checkpoint.paths}
        return _fall_back(store, segment.version, damaged, error)


def _fall_back(
    store: ObjectStore, version: int, rejected: Collection[str], error: CorruptLog
) -> tuple[Replay, Entry | None]:
    """Replay without the rejected checkpoints; `error` if the log does not reach back that far."""
    try:
        segment = find_segment(store, version, rejected=rejected)
    except (CorruptLog, VersionNotFound):
        raise error from None
    message = f"{store.url}: damaged checkpoint passed over: {error}"
    warnings.warn(message, RuntimeWarning, stacklevel=2)
    return _replay(store, segment, rejected)


def _replay_files(store: ObjectStore, segment: LogSegment) -> tuple[Replay, Entry | None]:
    """Replay a segment; the last entry, if it was read alone, beside the result."""
    replay: Replay | None = None
    last: Entry | None = None
    with ThreadPool("checkpoint", 1) as threads:
        start = threads.submit(_start, store, segment)
        for first, batch in _batches(store, segment):
            replay = (replay or start.result()).advance(batch, first=first)
            last = batch[-1] if first + len(batch) == batch[-1].version + 1 else None
        return replay or start.result(), last


def _batches(store: ObjectStore, segment: LogSegment) -> Iterator[tuple[int, list[Entry]]]:
    """The entries of a segment, some at a time, with the first version that they stand for."""
    for version in segment.large:
        check_begin(store, version)
    begin = segment.entries.start
    for compacted in (*segment.compactions, range(segment.entries.stop, segment.entries.stop)):
        entry = read_compaction(store, compacted) if compacted else None
        end = compacted.stop if entry is None else compacted.start
        entries = read_entries(store, range(begin, end))
        while batch := list(islice(entries, _BATCH)):
            yield batch[0].version, batch
        if entry is not None:
            yield compacted.start, [entry]
        begin = compacted.stop


def _start(store: ObjectStore, segment: LogSegment) -> Replay:
    if segment.checkpoint is None:
        return Replay()
    base = Checkpoint(store, segment.checkpoint)
    head = _told_head(store, segment, base.version) or base.head()
    return Replay(base.version, base, head.protocol, head.metadata, head.txns, head.domains)


def _told_head(store: ObjectStore, segment: LogSegment, version: int) -> Head | None:
    """What a version checksum says of the state, if there is one to be believed.

    A newer one than the checkpoint's does as well: the entries up to it, replayed once more over it,
    lead to the same state.
    """
    for number in dict.fromkeys((*segment.checksums[:1], version)):
        found = read_checksum(store, number) if number in segment.checksums else None
        if found is not None:
            return found.head()
    return None
