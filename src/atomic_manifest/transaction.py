"""`Transaction`: reads and writes of one table that commit together or not at all.

A transaction sees the table as it was when its block began, and its own changes. What it reads is kept.
When the block ends its changes become one commit, refused if another commit since the beginning changed
anything that was read, or removed a file that is removed here: so committed transactions are
serializable, in the order of their versions. A transaction that only appends depends on nothing and
never conflicts.

Error semantics: an error in the block, or a refusal, leaves nothing in the log and no file. After
`CommitOutcomeUnknown` the files stay, for the commit may be there.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.commit.intent import ReadNothing
from atomic_manifest.commit.result import CommitResult
from atomic_manifest.data.filter.binding import Binder
from atomic_manifest.data.filter.filters import Filter, to_expression, to_predicate
from atomic_manifest.data.input.once import Inputs
from atomic_manifest.data.read.rows import requirement
from atomic_manifest.data.read.stream import stream
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.errors import CommitOutcomeUnknown, DataError, TransactionEnded
from atomic_manifest.handle import Handle, Instant, recorded
from atomic_manifest.log.pruning.predicate import Predicate
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.ops.append import Append
from atomic_manifest.ops.change import Change
from atomic_manifest.ops.staged import Staged
from atomic_manifest.reading import columns_of
from atomic_manifest.staging import (
    Incoming,
    SchemaMode,
    WriteRequest,
    checked_mode,
    incoming,
    write_request,
)
from atomic_manifest.workspace import Tallies, Workspace

Partitions = Literal["dynamic"]


class Transaction:
    """See the module docstring. Made by `Table.transaction`, for one `with` block of one thread.

    Only what goes through the transaction belongs to it: a commit made through the table in the
    meantime, by the same thread too, counts as somebody else's.

    Args:
        handle: Of the table.
        txn: (application id, version) for idempotent writes.
        commit_info: The user's own `commitInfo` fields.
        commit_id: Of the commit; a fresh one by default.
        binder: Of its filters, if other attempts share them.
        inputs: What other attempts have read of their input.
        tallies: What other attempts have counted.

    Attributes:
        result: The commit, once the block has ended; None if there was nothing to commit.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
        commit_id: str | None = None,
        binder: Binder | None = None,
        inputs: Inputs | None = None,
        tallies: Tallies | None = None,
    ) -> None:
        self.result: CommitResult | None = None
        self._handle = handle
        self._txn = txn
        self._info = commit_info or {}
        self._commit_id = commit_id or handle.env.new_id()
        self._bound = binder or Binder()
        self._inputs = inputs or Inputs()
        self._tallies = tallies or Tallies()
        self._state = "has not begun: use it in a `with` statement"
        self._work: Workspace | None = None
        self._begun_at = Instant(0.0, 0.0)
        self._operations: list[str] = []
        self._parameters: dict[str, str] = {}

    @property
    def commit_id(self) -> str:
        """Names the commit in the log."""
        return self._commit_id

    @property
    def version(self) -> int:
        """The version of the table that the transaction sees.

        Raises:
            TransactionEnded: The block has not begun, or has ended.
        """
        return self._open().snapshot.version

    @property
    def already_committed(self) -> bool:
        """Whether that version records `txn` already: then nothing will be committed.

        Raises:
            TransactionEnded: The block has not begun, or has ended.
        """
        return recorded(self._open().snapshot, self._txn) is not None

    def __repr__(self) -> str:
        return f"Transaction({self._handle.store.url!r}, commit_id={self._commit_id!r})"

    # --- what it does ---

    def read(self, columns: Iterable[str] | None = None, filter: Filter = None) -> pa.Table:
        """Read rows, the transaction's own changes included.

        The commit will depend on the rows that match `filter`, those that are not there yet too; with
        an Arrow expression, which cannot be looked into, on the whole table.

        Args:
            columns: Which, in which order; None for all.
            filter: Only rows that match: text, tuples or an Arrow expression, as for `Table.to_arrow`.

        Raises:
            DataError: There is no such column.
            InvalidFilter: It does not fit the table.
            TransactionEnded: The block has not begun, or has ended.
        """
        work = self._open()
        if isinstance(columns, Iterator):
            columns = list(self._inputs.elements(columns, columns))
        names = columns_of(columns, work.base.schema)
        chosen = self._bound(filter)
        if not isinstance(chosen, pc.Expression):
            return work.read(to_predicate(chosen, work.base.schema), names)
        expression = to_expression(chosen, work.base.schema)

        def scan(snapshot: Snapshot) -> pa.Table:
            store = self._handle.store
            return stream(store, snapshot, columns=names, filter=expression).read_all()

        return work.read_opaque(scan)

    def append(
        self,
        data: Any,
        *,
        options: WriteOptions | None = None,
        preserve_index: bool | None = None,
        coerce_timestamps: bool = False,
        schema_mode: SchemaMode | None = None,
        callback: Any = None,
        progress: bool = False,
    ) -> None:
        """Add rows. They are uploaded now and part of the table when the transaction commits.

        Args:
            data: As for `Table.append`; without rows it adds none.
            options: As for `Table.append`.
            preserve_index: As for `Table.append`.
            coerce_timestamps: As for `Table.append`.
            schema_mode: As for `Table.append`; the transaction sees the columns from then on.
            callback: As for `Table.append`.
            progress: As for `Table.append`.

        Raises:
            DataError: The data does not fit the table.
            TransactionEnded: The block has not begun, or has ended.
        """
        work = self._open()
        request = write_request(
            data,
            options=options,
            coerce_timestamps=coerce_timestamps,
            callback=callback,
            progress=progress,
        )
        rows = self._incoming(data, request, schema_mode, preserve_index=preserve_index)
        staged = work.stage(rows, request)
        with work.grown(staged):
            work.add(staged)
        self._did("WRITE", {"mode": "Append"})

    def delete(
        self,
        where: Filter = None,
        *,
        options: WriteOptions | None = None,
        callback: Any = None,
        progress: bool = False,
    ) -> int:
        """Delete the rows for which `where` is TRUE.

        Args:
            where: Text or tuples; see `Table.delete`.
            options: Layout of the files that are written again.
            callback: As for `Table.delete`.
            progress: As for `Table.delete`.

        Returns:
            How many rows.

        Raises:
            TableIsAppendOnly: The table forbids removing rows.
            InvalidFilter: It does not fit the table, or is an Arrow expression.
            TransactionEnded: The block has not begun, or has ended.
        """
        request = write_request(None, options=options, callback=callback, progress=progress)
        return self.delete_where(where, request)

    def delete_where(self, where: Filter, request: WriteRequest) -> int:
        """Delete rows. Not for users."""
        check_given(where)
        work, where = self._open(), self._bound(where)
        deleted = work.remove_where(deletable(where, work.base.schema), request)
        self._did("DELETE", {"predicate": json.dumps([_text(where)])})
        return deleted

    def overwrite(
        self,
        data: Any,
        *,
        where: Filter = None,
        partitions: Partitions | None = None,
        options: WriteOptions | None = None,
        preserve_index: bool | None = None,
        coerce_timestamps: bool = False,
        schema_mode: SchemaMode | None = None,
        callback: Any = None,
        progress: bool = False,
    ) -> None:
        """Replace all rows, those that match `where`, or those of the partitions that `data` is in.

        Args:
            data: As for `Table.overwrite`.
            where: As for `Table.overwrite`.
            partitions: As for `Table.overwrite`.
            options: As for `Table.append`.
            preserve_index: As for `Table.append`.
            coerce_timestamps: As for `Table.append`.
            schema_mode: As for `Table.append`; the transaction sees the columns from then on.
            callback: As for `Table.overwrite`.
            progress: As for `Table.append`.

        Raises:
            TableIsAppendOnly: The table forbids removing rows.
            DataError: The data does not fit the table or `where`.
            TransactionEnded: The block has not begun, or has ended.
        """
        work, where = self._open(), self._bound(where)
        check_scope(where, partitions, work.snapshot.partition_columns)
        request = write_request(
            data if where is None else None,
            options=options,
            coerce_timestamps=coerce_timestamps,
            callback=callback,
            progress=progress,
        )
        rows = self._incoming(data, request, schema_mode, preserve_index=preserve_index)
        if where is not None:
            check = requirement(deletable(where, rows.schema), rows.schema)
            staged = work.stage(rows, replace(request, check=check))
            self.replace_where(where, staged, request)
            return
        staged = work.stage(rows, request)
        with work.grown(staged):
            if partitions is not None:
                work.remove_partitions_of(staged)
            else:
                work.remove_all()
            work.add(staged)
        self._did("WRITE", {"mode": "Overwrite"})

    def replace_where(self, where: Filter, staged: Staged, request: WriteRequest) -> None:
        """Replace the rows that match by those of files staged before, which do. Not for users."""
        work = self._open()
        with work.grown(staged):
            work.remove_where(deletable(where, work.base.schema), request)
            work.add(staged)
        self._did("WRITE", {"mode": "Overwrite", "predicate": json.dumps([_text(where)])})

    # --- how it begins and ends ---

    def __enter__(self) -> Self:
        if self._work is not None or not self._state.startswith("has not begun"):
            raise self._ended()
        self._begun_at = Instant.now(self._handle.env)
        unix_ms = int(self._begun_at.wall * 1000)
        snapshot = self._handle.writable()
        recorded(
            snapshot, self._txn
        )  # refuses one that is out of order before anything is uploaded
        self._work = Workspace(self._handle, snapshot, self._commit_id, unix_ms, self._tallies)
        self._state = "is open"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        work, self._work = self._open(), None
        if error is not None:
            self._state = "was rolled back"
            work.discard()
            return
        self._state = "has failed"
        try:
            self.result = self._commit(work)
        except CommitOutcomeUnknown:
            self._state = "has an unknown outcome"
            raise
        self._state = "was committed"

    def _commit(self, work: Workspace) -> CommitResult | None:
        work.discard_dropped()
        done = recorded(work.snapshot, self._txn)
        changed = bool(work.adds or work.removes or self._txn or work.schema is not None)
        if done is not None or not changed:
            work.discard()
            return done
        staged = Staged(
            commit_id=self._commit_id,
            unix_ms=int(self._begun_at.wall * 1000),
            adds=work.adds,
            rows=work.rows_added,
            txn=self._txn,
            user_info=self._info,
            schema=work.schema,
        )
        with self._handle.discarding(work.uploaded):
            self._handle.confirm()  # before files are missed that went with the table
            work.settle()
            if isinstance(work.reads, ReadNothing) and not work.removes:
                return self._handle.commit(Append(staged), work.snapshot, staged)
            result = self._handle.commit_pinned(
                self._change(work, staged), work.snapshot, staged, self._begun_at
            )
        if result.already_committed:
            work.discard()
            return result
        return replace(result, rows_deleted=work.rows_deleted)

    def _change(self, work: Workspace, staged: Staged) -> Change:
        alone = len(self._operations) == 1
        return Change(
            staged,
            work.removes,
            work.reads,
            self._operations[0] if alone else "TRANSACTION",
            self._parameters if alone else {"operations": json.dumps(self._operations)},
        )

    def _did(self, operation: str, parameters: Mapping[str, str]) -> None:
        self._operations.append(operation)
        self._parameters = dict(parameters)

    def _incoming(
        self,
        data: Any,
        request: WriteRequest,
        schema_mode: SchemaMode | None,
        *,
        preserve_index: bool | None,
    ) -> Incoming:
        checked_mode(schema_mode)
        return incoming(
            data,
            self._open().base,
            self._handle.env,
            schema_mode=schema_mode,
            preserve_index=preserve_index,
            coerce_timestamps=request.coerce_timestamps,
            inputs=self._inputs,
        )

    def _open(self) -> Workspace:
        if self._work is None:
            raise self._ended()
        return self._work

    def _ended(self) -> TransactionEnded:
        return TransactionEnded(
            f"transaction {self._commit_id} {self._state}; each is for one `with` block",
            commit_id=self._commit_id,
        )


def deletable(where: Filter, schema: pa.Schema) -> Predicate:
    """The predicate of a filter that names rows to delete.

    Raises:
        InvalidFilter: It does not fit the table, or is an Arrow expression.
        DataError: It is None.
    """
    check_given(where)
    return to_predicate(where, schema)


def check_given(where: Filter) -> None:
    """Refuse to take no filter for every row.

    Raises:
        DataError: It is None.
    """
    if where is None:
        raise DataError('a delete needs a filter: give where="true" to delete every row')


def check_scope(
    where: Filter, partitions: Partitions | None, partition_columns: Sequence[str]
) -> None:
    """Refuse an overwrite that does not say clearly what it is to replace.

    Raises:
        DataError: Both are given, or `partitions` is wrong or has no meaning for the table.
    """
    if partitions is None:
        return
    if partitions != "dynamic":
        raise DataError(f"partitions is 'dynamic' or None, got {partitions!r}")
    if where is not None:
        raise DataError("where and partitions='dynamic' cannot both say what to replace")
    if not partition_columns:
        raise DataError("partitions='dynamic' on a table that has no partition columns")


def _text(where: Filter) -> str:
    return where if isinstance(where, str) else repr(where)
