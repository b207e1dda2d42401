"""The replay of a log: a checkpoint's state, and what later entries did to it.

Invariants: a `Replay` never changes. `advance` costs what the new entries cost: the checkpoint is
shared, and the actions after it are kept in a few tables of falling size, so that many small entries
in a row neither pile up nor are copied each time. The newest entries are kept as they were decoded until
there are enough of them: a handle that only appends makes no columns for each. File actions are
reconciled when asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.actions import DomainMetadata, Metadata, Protocol, Txn
from atomic_manifest.log.checkpoint.reader import Checkpoint
from atomic_manifest.log.columns import (
    FILES,
    KEY_COLUMNS,
    TOMBSTONES,
    check_paths,
    from_entries,
    newest,
    without,
)
from atomic_manifest.log.entry import Entry, entry_path
from atomic_manifest.log.pruning.pruner import Pruner, pruned

_RECENT_ACTIONS = 250
"""File actions that are kept as decoded at most."""

_SMALL_ACTIONS = 2000


@dataclass(frozen=True, slots=True)
class Replay:
    """State after replaying a log up to `version`; -1 is the state before the first entry.

    Attributes:
        version: The last version replayed.
        base: The checkpoint that replay began with, None if it began before version 0.
        protocol: The newest seen.
        metadata: The newest seen.
        txns: The newest of every application.
        domains: The newest of every name, but for those that were removed.
        tail: Tables of `columns.ACTIONS`, in replay order: the file actions since `base`.
        recent: The entries with file actions since `tail`.
        faults: What is wrong with the newest `protocol` or `metaData`, by the action's name.
    """

    version: int = -1
    base: Checkpoint | None = None
    protocol: Protocol | None = None
    metadata: Metadata | None = None
    txns: Mapping[str, Txn] = field(default_factory=dict)
    domains: Mapping[str, DomainMetadata] = field(default_factory=dict)
    tail: tuple[pa.Table, ...] = ()
    recent: tuple[Entry, ...] = ()
    faults: Mapping[str, CorruptLog] = field(default_factory=dict)

    def advance(self, entries: Sequence[Entry], *, first: int | None = None) -> "Replay":
        """The state after more entries.

        Args:
            entries: Consecutive, or a single one that stands for several.
            first: The first version that they stand for; None if that is the first one's.

        Raises:
            CorruptLog: They do not follow on `version` without a gap.
        """
        protocol, metadata = self.protocol, self.metadata
        txns, domains, faults = self.txns, self.domains, self.faults
        begin = self.version + 1
        if first == begin and entries:
            begin = entries[0].version
        for expected, entry in enumerate(entries, start=begin):
            if entry.version != expected:
                path = entry_path(expected)
                raise CorruptLog(
                    f"{path} is missing: version {entry.version} came next",
                    path=path,
                    version=expected,
                )
            protocol = entry.protocol or protocol
            metadata = entry.metadata or metadata
            faults = _still_wrong(faults, entry)
            if entry.txns:
                txns = {**txns, **{txn.app_id: txn for txn in entry.txns}}
            if entry.domain_metadata:
                domains = _with_domains(domains, entry.domain_metadata)
        tail = self.tail
        recent = (*self.recent, *(each for each in entries if each.adds or each.removes))
        if sum(len(each.adds) + len(each.removes) for each in recent) > _RECENT_ACTIONS:
            tail, recent = _pushed(tail, from_entries(recent)), ()
        return Replay(
            version=begin + len(entries) - 1,
            base=self.base,
            protocol=protocol,
            metadata=metadata,
            txns=txns,
            domains=domains,
            tail=tail,
            recent=recent,
            faults=faults,
        )

    @property
    def is_small(self) -> bool:
        """Whether all of its files are no more than one query of a part of them takes the time for."""
        actions = sum(map(len, self.tail)) + sum(len(e.adds) + len(e.removes) for e in self.recent)
        return actions <= _SMALL_ACTIONS and (self.base is None or self.base.is_small)

    def files(self, columns: Sequence[str], pruner: Pruner | None = None) -> pa.Table:
        """The files of the table, in the given columns of `columns.FILES`.

        Args:
            columns: Which.
            pruner: Chooses among the files; None for all.

        Raises:
            CorruptLog: The checkpoint is damaged, or a file is not below the table's root.
        """
        needed = list(dict.fromkeys((*columns, *KEY_COLUMNS)))
        actions = self.newest_actions()
        adds = actions.filter(pc.invert(actions["is_remove"]))
        if pruner is not None:
            adds = pruned(adds, pruner)
        check_paths(adds["path"], adds["version"])
        parts = [adds.select(columns)]
        if self.base is not None:
            kept = without(self.base.adds(needed, pruner=pruner), actions)
            check_paths(kept["path"], self.base.version)
            self._check_partitions(kept, self.base)
            parts.insert(0, kept.select(columns))
        return pa.concat_tables(parts)

    def _check_partitions(self, files: pa.Table, base: Checkpoint) -> None:
        if self.metadata is None or not self.metadata.partition_columns:
            return
        name = "partition_values"
        if name in files.column_names and files[name].null_count:
            file = files.filter(files[name].is_null())["path"][0]
            message = f"{base.paths[0]}: {file}: no `partitionValues`"
            raise CorruptLog(message, path=base.paths[0], version=base.version)

    def tombstones(self) -> pa.Table:
        """The removed files, expired ones too, in the columns of `columns.TOMBSTONES`."""
        actions = self.newest_actions()
        parts = [actions.filter(actions["is_remove"]).select(TOMBSTONES.names)]
        if self.base is not None:
            parts.insert(0, without(self.base.removes(), actions))
        return pa.concat_tables(parts)

    def newest_actions(self) -> pa.Table:
        """The newest action on every file since `base`, in the columns of `columns.ACTIONS`."""
        return newest(pa.concat_tables([*self.tail, from_entries(self.recent)]))


def _still_wrong(faults: Mapping[str, CorruptLog], entry: Entry) -> Mapping[str, CorruptLog]:
    """The faults that no action of the entry replaces, and its own."""
    if not (faults or entry.faults):
        return faults
    sound = {"protocol": entry.protocol, "metaData": entry.metadata}
    left = {name: fault for name, fault in faults.items() if sound[name] is None}
    return {**left, **entry.faults}


def _with_domains(
    domains: Mapping[str, DomainMetadata], newer: Sequence[DomainMetadata]
) -> Mapping[str, DomainMetadata]:
    merged = {**domains, **{domain.domain: domain for domain in newer}}
    return {name: domain for name, domain in merged.items() if not domain.removed}


def _pushed(tail: tuple[pa.Table, ...], table: pa.Table) -> tuple[pa.Table, ...]:
    """The tail with a table at its end; tables no larger than what follows them are merged into it."""
    tables = list(tail)
    while tables and tables[-1].num_rows <= table.num_rows:
        table = pa.concat_tables([tables.pop(), table]).combine_chunks()
    return (*tables, table)


ALL_COLUMNS: Sequence[str] = tuple(FILES.names)
"""The names of all columns of `columns.FILES`."""
