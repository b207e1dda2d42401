"""What a handle does to its table: the writing half of `Table`."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from atomic_manifest.commit.result import CommitResult
from atomic_manifest.data.filter.filters import Filter
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.handle import nothing_to_commit
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.ops.append import Append
from atomic_manifest.ops.overwrite import Overwrite, replacing_partitions
from atomic_manifest.ops.staged import Staged
from atomic_manifest.reading import Reading
from atomic_manifest.rerun import RunResult, delete, overwrite_where, run
from atomic_manifest.staging import (
    Incoming,
    SchemaMode,
    WriteRequest,
    checked_info,
    checked_mode,
    checked_txn,
    incoming,
    stage,
    write_request,
)
from atomic_manifest.transaction import Partitions, Transaction, check_scope

T = TypeVar("T")


class Writing(Reading):
    """See `Table`."""

    def append(
        self,
        data: Any,
        *,
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
        options: WriteOptions | None = None,
        preserve_index: bool | None = None,
        coerce_timestamps: bool = False,
        schema_mode: SchemaMode | None = None,
        callback: Any = None,
        progress: bool = False,
    ) -> CommitResult:
        """Add rows. From an open handle: one PUT for the data, one for the log entry.

        Data without rows is nothing to commit, and the result names the handle's version; a `txn` is
        recorded all the same.

        Args:
            data: An Arrow table, batch, reader, dataset or scanner; anything with
                `__arrow_c_stream__` or `__arrow_c_array__`; a pandas frame; an iterable of these. Streams
                are never held whole, and one that was read before is refused. Columns go by name; missing
                nullable ones become null.
            txn: (application id, version), for a sequence of writes that may be tried again. If the
                table records this version of the application already, nothing is written and the
                result says `already_committed`. A table keeps the highest version alone, so a lower
                one is an error: pieces of work that may come in any order are no versions of one
                application, but applications of their own, such as `("backfill/2026-01-01", 1)`.
            commit_info: Fields to keep with the commit, for `history()`.
            options: Parquet and file layout.
            preserve_index: Whether to write a pandas index, as in `pyarrow.Table.from_pandas`; an
                unnamed index is only written if True.
            coerce_timestamps: Truncate timestamps finer than microseconds instead of refusing them.
            schema_mode: `"merge"` adds the columns that the table lacks, nested ones too, in the same
                commit, and turns on the features that they need; older rows have null there. A column
                that had no type (`void`) gets one. By default new columns are an error, save those of
                which nothing tells the type, for all is null: they are left out.
            callback: Told how far the upload is, as those of fsspec: rows by `set_size` (if the input
                tells) and `relative_update`, bytes by the child that `branched` gives. It may raise to
                stop the write; once the commit begins it is not called any more.
            progress: Draw a bar of that on the terminal, with rich.

        Raises:
            SchemaMismatch, NullsInColumn, DataError: The data does not fit.
            TransactionOutOfOrder: The table records a later version of the application.
            UnsupportedTableFeature: A new column needs a feature that is not written here.
            CommitConflict: The table's schema or rules were changed meanwhile.
            CommitContended: Too many lost races; not in the log.
            CommitOutcomeUnknown: The store did not answer; `resolve` tells later.
        """
        request = write_request(
            data,
            txn=txn,
            commit_info=commit_info,
            options=options,
            coerce_timestamps=coerce_timestamps,
            callback=callback,
            progress=progress,
        )
        checked_mode(schema_mode)
        snapshot = self._handle.writable()
        if (done := self._handle.recorded(txn)) is not None:
            return done
        rows = self._incoming(data, request, snapshot, schema_mode, preserve_index=preserve_index)
        staged = self._stage(rows, request, snapshot)
        if not staged.adds and txn is None and staged.schema is None:
            return nothing_to_commit(snapshot)
        return self._handle.commit(Append(staged), snapshot, staged)

    def overwrite(
        self,
        data: Any,
        *,
        where: Filter = None,
        partitions: Partitions | None = None,
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
        options: WriteOptions | None = None,
        preserve_index: bool | None = None,
        coerce_timestamps: bool = False,
        schema_mode: SchemaMode | None = None,
        callback: Any = None,
        progress: bool = False,
    ) -> CommitResult:
        """Replace rows in one commit: all of them, or those that `where` or `partitions` name.

        Of an overwrite and a concurrent append, either may come last in the log, and the table is what
        that order gives: an overwrite never fails because of rows it replaces. It takes its effect again
        on what the others left, and uploads `data` once.

        Args:
            data: As for `append`. Without rows it only removes.
            where: Replace the rows for which this is TRUE, as for `delete`. All of `data` must match.
            partitions: `"dynamic"` replaces the partitions that `data` has rows of, and no others: of
                none, there is nothing to commit.
            txn: As for `append`.
            commit_info: As for `append`.
            options: As for `append`.
            preserve_index: As for `append`.
            coerce_timestamps: As for `append`.
            schema_mode: As for `append`; rows that stay have null in the columns that are added.
            callback: As for `append`; with `where`, of rows that are written again too.
            progress: As for `append`.

        Raises:
            TableIsAppendOnly: The table forbids removing rows.
            InvalidFilter: As for `delete`.
            DataError: As for `append`; or rows that do not match `where`.
            CommitError: As for `append`.
        """
        # With `where`, rows of the table are written again, nobody knows how many.
        request = write_request(
            data if where is None else None,
            txn=txn,
            commit_info=commit_info,
            options=options,
            coerce_timestamps=coerce_timestamps,
            callback=callback,
            progress=progress,
        )
        checked_mode(schema_mode)
        snapshot = self._handle.writable()
        check_scope(where, partitions, snapshot.partition_columns)
        if (done := self._handle.recorded(txn)) is not None:
            return done
        rows = self._incoming(data, request, snapshot, schema_mode, preserve_index=preserve_index)
        if where is not None:
            return overwrite_where(self._handle, rows, where, request)
        staged = self._stage(rows, request, snapshot)
        nothing = not staged.adds and txn is None and staged.schema is None
        if partitions is not None and nothing:
            return nothing_to_commit(snapshot)
        plan = Overwrite(staged) if partitions is None else replacing_partitions(staged)
        return self._handle.commit(plan, snapshot, staged)

    def delete(
        self,
        where: Filter = None,
        *,
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
        options: WriteOptions | None = None,
        callback: Any = None,
        progress: bool = False,
    ) -> CommitResult:
        """Delete the rows for which `where` is TRUE; those for which it is NULL stay.

        Files of which all rows match, by their partition or statistics, are removed unread. Files that
        hold other rows too are written again without the matching ones. If no row matches, not in the
        latest version either, nothing is committed and the result names the version. On a conflict the
        rows are looked for again in the latest version, a bounded number of times.

        Args:
            where: Text such as `"day = '2026-01-01' AND trips < 10"`, or tuples as in
                `pyarrow.parquet.read_table`. `"true"` is every row; there is no default.
            txn: As for `append`.
            commit_info: As for `append`.
            options: Layout of the files that are written again.
            callback: As for `append`, of the rows that are written again.
            progress: As for `append`.

        Returns:
            The commit; `rows_deleted` says how many.

        Raises:
            DataError: There is no filter.
            TableIsAppendOnly: The table forbids removing rows.
            InvalidFilter: It does not fit the table, or is an Arrow expression.
            CommitError: As for `append`.
        """
        request = write_request(
            None,
            txn=txn,
            commit_info=commit_info,
            options=options,
            callback=callback,
            progress=progress,
        )
        return delete(self._handle, where, request)

    def transaction(
        self,
        *,
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
    ) -> Transaction:
        """Read and write in one commit, for one `with` block.

        As in:

            with table.transaction() as tx:
                left = tx.read(filter="item = 7")["stock"].to_pylist()
                tx.overwrite({"item": [7], "stock": [left[0] - 1]}, where="item = 7")

        The commit is made when the block ends, and refused if what was read has changed meanwhile; `run`
        tries again by itself. An error in the block commits nothing.

        Args:
            txn: As for `append`; `tx.already_committed` tells whether the table records it.
            commit_info: As for `append`.

        Raises:
            CommitConflict: At the end of the block: a concurrent commit changed what was read.
            CommitError: At the end of the block, as for `append`.
        """
        return Transaction(
            self._handle, txn=checked_txn(txn), commit_info=checked_info(commit_info)
        )

    def run(
        self,
        body: Callable[[Transaction], T],
        attempts: int = 20,
        *,
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
    ) -> RunResult[T]:
        """Call `body` with a transaction and commit it; on a conflict, again with a new one.

        Each transaction sees the latest version after a conflict. `body` may be called several times
        and should have no effects besides the transaction. It makes what can be read once (iterators,
        generators, readers) itself: one from outside is used up by the first call, and refused by name
        in the second.

        Args:
            body: Takes the `Transaction`.
            attempts: How often to call it at most.
            txn: As for `append`; if the table records it, `body` is not called.
            commit_info: As for `append`.

        Returns:
            What `body` returned at last, and the commit.

        Raises:
            CommitConflict, CommitContended: Of the last attempt.
            CommitOutcomeUnknown: At once: the attempt may be in the log.
            Exception: What `body` raises; nothing of it is committed.
        """
        return run(
            self._handle,
            body,
            attempts=attempts,
            txn=checked_txn(txn),
            commit_info=checked_info(commit_info),
        )

    def _incoming(
        self,
        data: Any,
        request: WriteRequest,
        snapshot: Snapshot,
        schema_mode: SchemaMode | None,
        *,
        preserve_index: bool | None,
    ) -> Incoming:
        return incoming(
            data,
            snapshot,
            self._handle.env,
            schema_mode=schema_mode,
            preserve_index=preserve_index,
            coerce_timestamps=request.coerce_timestamps,
        )

    def _stage(self, rows: Incoming, request: WriteRequest, snapshot: Snapshot) -> Staged:
        return stage(
            self._handle.store,
            self._handle.env,
            rows.reader,
            schema=rows.schema,
            partition_by=snapshot.partition_columns,
            request=request,
            mapping=snapshot.column_mapping,
            configuration=snapshot.configuration,
            grown=rows.grown,
        )
