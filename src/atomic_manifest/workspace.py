"""The uncommitted changes of one transaction on one snapshot.

Invariants: changes are net: a file that was staged and dropped again is in no action, and a file of the
snapshot is removed once. Each operation takes effect whole or, if it raises, not at all. Whatever
depends on the table's rows says which in the read set, before it reads.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TypeAlias

import pyarrow as pa

from atomic_manifest.commit.conflicts import both_remove
from atomic_manifest.commit.intent import ReadSet
from atomic_manifest.commit.messages import Conflicted
from atomic_manifest.commit.result import version_or_raise
from atomic_manifest.data.filter.filters import type_names
from atomic_manifest.data.read.physical import physical_predicate
from atomic_manifest.data.read.planning import pruner
from atomic_manifest.data.read.rows import Tally, rows_except, rows_where, tally_where
from atomic_manifest.errors import NotFound
from atomic_manifest.handle import Handle
from atomic_manifest.log.actions import Add, Metadata, Protocol, Remove
from atomic_manifest.log.columns import keys
from atomic_manifest.log.entry import Entry
from atomic_manifest.log.folder.entries import read_entry
from atomic_manifest.log.pruning.predicate import Everything, Predicate
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.ops.change import rows_in, union
from atomic_manifest.ops.evolve import schema_actions
from atomic_manifest.ops.overwrite import partitions_of
from atomic_manifest.ops.removal import check_may_remove, removes_of
from atomic_manifest.ops.selection import Selection, records, select
from atomic_manifest.ops.staged import Staged
from atomic_manifest.staging import Incoming, WriteRequest, stage
from atomic_manifest.store.batch import batched

Count: TypeAlias = Callable[[pa.Table], Tally]


class Tallies:
    """How many rows of each file match, of the files that were read for that: a file never changes.

    Attributes:
        refused: Whether an attempt at the same work was refused. Then others are at the same files, and
            what may be done in vain is worth a look at the log before.
    """

    def __init__(self) -> None:
        self.refused = False
        self._known: dict[tuple[Predicate, str], dict[str, tuple[int, int]]] = {}

    def of(self, snapshot: Snapshot, predicate: Predicate, files: pa.Table, count: Count) -> Tally:
        """The tally of these files, of which `count` is asked for those not counted before.

        Args:
            snapshot: Whose schema says what the predicate means.
            predicate: Which rows.
            files: Rows of `snapshot.files()`.
            count: Counts.
        """
        known = self._known.setdefault((predicate, snapshot.metadata.schema_string), {})
        names = keys(files).to_pylist()
        paths = files["path"].to_pylist()
        missing = pa.array([name not in known for name in names], pa.bool_())
        found = count(files.filter(missing))
        tally = Tally()
        for name, path in zip(names, paths, strict=True):
            if name not in known:
                known[name] = found.rows[path], found.matching[path]
            tally.rows[path], tally.matching[path] = known[name]
        return tally


class Workspace:
    """See the module docstring.

    Args:
        handle: Of the table.
        snapshot: What the changes are made to.
        commit_id: For error messages.
        unix_ms: Stamp of the removals, milliseconds since the Unix epoch.
        tallies: What was counted before, by other attempts at the same work.

    Attributes:
        snapshot: What the changes are made to.
        base: The same with the columns that were added.
        schema: The table's schema, if columns were added to it.
        rows_added: Rows that were given, whatever became of them.
        rows_deleted: Rows that a predicate took out.
    """

    def __init__(
        self,
        handle: Handle,
        snapshot: Snapshot,
        commit_id: str,
        unix_ms: int,
        tallies: Tallies,
    ) -> None:
        self.snapshot = self.base = snapshot
        self.schema: pa.Schema | None = None
        self.rows_added = 0
        self.rows_deleted = 0
        self._handle = handle
        self._commit_id = commit_id
        self._unix_ms = unix_ms
        self._tallies = tallies
        self._batch = batched(handle.store)
        self._adds: dict[str, Add] = {}
        self._removes: dict[tuple[str, str | None], Remove] = {}  # by path and deletion vector
        self._uploaded: list[Add] = []
        self._read: list[Predicate] = []  # in the names of the log
        self._current: Snapshot | None = snapshot
        self._grown = Entry(snapshot.version + 1)

    @property
    def adds(self) -> tuple[Add, ...]:
        """The net new files."""
        return tuple(self._adds.values())

    @property
    def removes(self) -> tuple[Remove, ...]:
        """The files of the snapshot to remove."""
        return tuple(self._removes.values())

    @property
    def reads(self) -> ReadSet:
        """What was read of the snapshot."""
        return union(self._read, self.types)

    @property
    def uploaded(self) -> tuple[Add, ...]:
        """The files uploaded here that are still there."""
        return tuple(self._uploaded)

    @property
    def types(self) -> Mapping[str, str]:
        """Delta's names of types by dotted column, as the log names it."""
        return type_names(self.base.physical_schema)

    @property
    def current(self) -> Snapshot:
        """The snapshot with the changes made to it, at a version that is nobody's."""
        if self._current is None:
            entry = replace(self._grown, adds=self.adds, removes=self.removes)
            self._current = self.snapshot.advance([entry])
        return self._current

    # --- operations ---

    def read(self, predicate: Predicate, columns: Sequence[str] | None) -> pa.Table:
        """The rows that match."""
        physical = self._physical(predicate)
        self._read.append(physical)
        current = self.current
        chosen = self._select(predicate, physical)
        files = pa.concat_tables([chosen.whole, chosen.partly])
        return rows_where(self._handle.store, current, files, predicate, columns)

    def read_opaque(self, read: Callable[[Snapshot], pa.Table]) -> pa.Table:
        """What a function makes of the changed snapshot; counts as having read all of it."""
        self._read.append(Everything())
        return read(self.current)

    def stage(self, rows: Incoming, request: WriteRequest) -> Staged:
        """Upload rows. They are not among the changes before `add`, within `grown`."""
        staged = stage(
            self._batch.store,
            self._handle.env,
            rows.reader,
            schema=rows.schema,
            partition_by=self.base.partition_columns,
            request=request,
            mapping=self.base.column_mapping,
            configuration=self.base.configuration,
            grown=rows.grown,
        )
        self._uploaded += staged.adds
        return staged

    @contextmanager
    def grown(self, staged: Staged) -> Iterator[None]:
        """Add the columns that staged files bring, if the block does not raise.

        Raises:
            SchemaMismatch: See `ops.evolve.schema_actions`.
        """
        before = self.schema, self.base, self._grown
        self._grow(staged.schema)
        try:
            yield
        except BaseException:
            self.schema, self.base, self._grown = before
            self._current = None
            raise

    def _grow(self, schema: pa.Schema | None) -> None:
        actions = schema_actions(schema, self.snapshot)
        if not actions:
            return
        self.schema = schema
        self._grown = Entry(
            self.snapshot.version + 1,
            metadata=next(each for each in actions if isinstance(each, Metadata)),
            protocol=next((each for each in actions if isinstance(each, Protocol)), None),
        )
        self.base = self.snapshot.advance([self._grown])
        self._current = None

    def add(self, staged: Staged) -> None:
        """Add the rows of staged files."""
        self.rows_added += staged.rows
        self._put(staged.adds)

    def remove_all(self) -> None:
        """Remove every row."""
        self._read.append(Everything())
        self._remove(self.current.files())

    def remove_partitions_of(self, staged: Staged) -> None:
        """Remove all rows of the partitions that staged files are in."""
        partitions = partitions_of(staged.adds)
        schema = self.snapshot.physical_schema
        self._read.append(rows_in(partitions, schema))
        files = self.current.files()
        self._drop(
            removes_of(files, self._unix_ms, schema=schema, partitions=partitions, stats=True)
        )

    def remove_where(self, predicate: Predicate, request: WriteRequest) -> int:
        """Remove the rows that match; files that hold others too are written again without them.

        Args:
            predicate: Which rows.
            request: How to write files.

        Returns:
            How many rows.

        Raises:
            TableIsAppendOnly: The table forbids it.
        """
        check_may_remove(self.snapshot, self._commit_id)
        physical = self._physical(predicate)
        self._read.append(physical)
        store, current = self._handle.store, self.current
        chosen = self._select(predicate, physical)
        tally = self._tallies.of(
            current,
            predicate,
            chosen.partly,
            lambda files: tally_where(store, current, files, predicate),
        )
        paths = chosen.partly["path"].to_pylist()
        left = [tally.rows[path] - tally.matching[path] for path in paths]
        hit = [tally.matching[path] > 0 for path in paths]
        deleted = self._rows(chosen.whole) + tally.matching.total()
        touched = chosen.partly.filter(
            pa.array([h and n > 0 for h, n in zip(hit, left, strict=True)], pa.bool_())
        )
        removed = pa.concat_tables([chosen.whole, chosen.partly.filter(pa.array(hit, pa.bool_()))])
        self._check_still_there({*removed["path"].to_pylist()})
        kept = self._rewrite(touched, predicate, request)
        self._remove(removed)
        self._put(kept)
        self.rows_deleted += deleted
        return deleted

    def settle(self) -> None:
        """Make the uploaded files durable, before an entry names them.

        Whoever is refused before has forced nothing to a disk.

        Raises:
            CommitConflict: Somebody has removed a file that is removed here; see `_check_still_there`.
            StoreError: They cannot be made durable.
        """
        self._check_still_there({remove.path for remove in self.removes})
        self._batch.settle()

    # --- files that nothing names ---

    def discard_dropped(self) -> None:
        """Delete uploaded files that did not stay among the changes."""
        self._discard([add for add in self._uploaded if add.path not in self._adds])

    def discard(self) -> None:
        """Delete every uploaded file."""
        self._discard(self._uploaded)

    def _discard(self, adds: Sequence[Add]) -> None:
        self._handle.discard(adds, self._batch.store)
        gone = {add.path for add in adds}
        self._uploaded = [add for add in self._uploaded if add.path not in gone]

    # --- parts ---

    def _check_still_there(self, paths: AbstractSet[str]) -> None:
        """After a refusal: refuse early, rather than to write what will be refused again.

        Raises:
            CommitConflict: Somebody has removed one of the files meanwhile.
        """
        if not self._tallies.refused:
            return
        version = self.snapshot.version + 1
        with suppress(NotFound):
            while True:
                entry = read_entry(self._handle.store, version)
                if gone := [remove.path for remove in entry.removes if remove.path in paths]:
                    version_or_raise(Conflicted(version, both_remove(entry, gone)), self._commit_id)
                version += 1

    def _physical(self, predicate: Predicate) -> Predicate:
        return physical_predicate(predicate, self.base.schema, self.base.column_mapping)

    def _select(self, predicate: Predicate, physical: Predicate) -> Selection:
        """The files that a predicate concerns; others are not read of the log."""
        if isinstance(predicate, Everything):
            files = self.current.files()
            return Selection(files, files.slice(0, 0))
        if self.current.has_few_files:
            return select(self.current.files(), physical, self.types)
        chooses = pruner(self.current, predicate)
        return select(self.current.files(pruner=chooses), physical, self.types, chooses)

    def _rewrite(
        self, files: pa.Table, predicate: Predicate, request: WriteRequest
    ) -> Sequence[Add]:
        if not files.num_rows:
            return ()
        rest = rows_except(self._handle.store, self.current, files, predicate)
        rows = Incoming(rest, self.base.schema, grown=False)
        return self.stage(rows, replace(request, check=None)).adds

    def _rows(self, files: pa.Table) -> int:
        """How many rows files hold; those without statistics are asked."""
        known = records(files)
        unknown = files.filter(pa.array([count is None for count in known], pa.bool_()))
        asked = tally_where(self._handle.store, self.current, unknown, Everything())
        return sum(count or 0 for count in known) + asked.rows.total()

    def _remove(self, files: pa.Table) -> None:
        schema = self.snapshot.physical_schema
        self._drop(removes_of(files, self._unix_ms, schema=schema, stats=True))

    def _drop(self, removes: Sequence[Remove]) -> None:
        base = [remove for remove in removes if remove.path not in self._adds]
        if base:
            check_may_remove(self.snapshot, self._commit_id)
        for remove in base:
            vector = remove.deletion_vector
            self._removes[remove.path, vector.unique_id if vector else None] = remove
        for remove in removes:
            self._adds.pop(remove.path, None)
        self._current = None

    def _put(self, adds: Sequence[Add]) -> None:
        self._adds.update((add.path, add) for add in adds)
        self._current = None
