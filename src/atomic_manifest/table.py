"""`Table`: the handle users hold.

A handle is a snapshot of the table that moves forward: with every commit made through it, and with
`refresh()`. Threads may share it; other processes open their own.

Error semantics: the input and the table's protocol are checked before anything is uploaded, as far as
they can be without reading all of the input. If an operation raises, nothing of it is in the log and
its files are gone, except with `CommitOutcomeUnknown`, which says that it may be there.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Literal, Self, TypeAlias, TypeVar

import pyarrow as pa

from atomic_manifest.commit.messages import Budget
from atomic_manifest.commit.resolve import resolve, revoke
from atomic_manifest.commit.result import CommitResult, Resolution, ResolutionState
from atomic_manifest.data.filters import Filter
from atomic_manifest.data.options import WriteOptions
from atomic_manifest.data.source import open_source
from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import (
    CommitOutcomeUnknown,
    DataError,
    TableAlreadyExists,
    TableNotFound,
)
from atomic_manifest.first_write import create, write_first
from atomic_manifest.handle import Handle
from atomic_manifest.log import maintenance
from atomic_manifest.log.cleanup import cleanup_metadata
from atomic_manifest.log.history import version_number
from atomic_manifest.log.snapshot import Snapshot, load
from atomic_manifest.ops.append import Append, with_new_columns
from atomic_manifest.ops.create import TableSpec
from atomic_manifest.ops.overwrite import Overwrite, replacing_partitions
from atomic_manifest.ops.staged import Staged
from atomic_manifest.reading import Reading
from atomic_manifest.rerun import RunResult, delete, overwrite_where, run
from atomic_manifest.staging import (
    WriteRequest,
    check_partitioning,
    checked_txn,
    stage,
    write_request,
)
from atomic_manifest.store import ObjectStore, open_store
from atomic_manifest.transaction import Partitions, Transaction, check_scope

Url: TypeAlias = str | PathLike[str]
SchemaMode: TypeAlias = Literal["merge"]
T = TypeVar("T")


class Table(Reading):
    """A Delta table on an object store.

    Made by `Table.create` and `Table.open`. See the module docstring for what a handle is.
    """

    def __init__(self, handle: Handle, budget: Budget) -> None:
        super().__init__(handle)
        self._budget = budget

    # --- getting a handle ---

    @classmethod
    def create(
        cls,
        url: Url,
        schema: pa.Schema,
        *,
        partition_by: Sequence[str] = (),
        configuration: Mapping[str, str] | None = None,
        name: str | None = None,
        description: str | None = None,
        if_not_exists: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        filesystem: Any = None,
        budget: Budget | None = None,
        env: Env = SYSTEM,
    ) -> Self:
        """Create an empty table. Of several that create it at once, exactly one does.

        Args:
            url: `s3://bucket/path`, `gs://`, `az://`, `file://`, a local path, or `memory://name`.
            schema: Columns, types and nullability. Types are stored as the Delta type they map to
                without loss (`large_string` as `string`, `timestamp[ns]` as `timestamp`).
            partition_by: Top-level columns to partition by, in order.
            configuration: Table properties, such as `{"delta.appendOnly": "true"}`.
            name: A name for the table, kept in its metadata.
            description: A description, kept in its metadata.
            if_not_exists: Open the table if it is already there, as it is, instead of raising.
            storage_options: Credentials and endpoint, under the names of s3fs or of deltalake.
            filesystem: A filesystem of fsspec, on which `url` is a path; instead of `storage_options`.
            budget: Bounds on attempts and time of each commit through the handle.
            env: Clock, randomness and ids; for tests.

        Raises:
            TableAlreadyExists: It is there, and `if_not_exists` is false.
            InvalidSchema: A type that Delta lacks, duplicate names, unusable partition columns.
            UnsupportedTableFeature: A property asks for a feature that is not written here.
        """
        store = open_store(url, storage_options, filesystem=filesystem, env=env)
        budget = budget or Budget()
        spec = TableSpec(schema, tuple(partition_by), configuration or {}, name, description)
        created = create(store, spec, env=env, budget=budget)
        if not created and not if_not_exists:
            raise TableAlreadyExists(f"there is a table at {store.url}", url=store.url)
        return cls._load(store, None, env, budget)

    @classmethod
    def open(
        cls,
        url: Url,
        *,
        version: int | datetime | None = None,
        storage_options: Mapping[str, Any] | None = None,
        filesystem: Any = None,
        budget: Budget | None = None,
        env: Env = SYSTEM,
    ) -> Self:
        """Open a table.

        Args:
            url: As for `create`.
            version: A version, or a time (a naive one is local time) whose last commit is meant.
                None opens the latest. A write through the handle moves it to the latest first.
            storage_options: As for `create`.
            filesystem: As for `create`.
            budget: As for `create`.
            env: As for `create`.

        Raises:
            TableNotFound: There is no log at `url`.
            VersionNotFound: The log does not reach `version`.
            UnsupportedTableFeature: Reading the table needs a feature that is not there.
            CorruptLog: The log is damaged.
        """
        store = open_store(url, storage_options, filesystem=filesystem, env=env)
        number = version_number(store, version)
        return cls._load(store, number, env, budget or Budget())

    @classmethod
    def exists(
        cls,
        url: Url,
        *,
        storage_options: Mapping[str, Any] | None = None,
        filesystem: Any = None,
    ) -> bool:
        """Whether there is a table at `url`. Arguments as for `create`."""
        try:
            load(open_store(url, storage_options, filesystem=filesystem))
        except TableNotFound:
            return False
        return True

    @classmethod
    def _load(cls, store: ObjectStore, version: int | None, env: Env, budget: Budget) -> Self:
        snapshot = load(store, version=version)
        handle = Handle(store, snapshot, env, budget, is_latest=version is None)
        return cls(handle, budget)

    def __repr__(self) -> str:
        return f"Table({self.url!r}, version={self.version})"

    # --- writing ---

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
    ) -> CommitResult:
        """Add rows. From an open handle: one PUT for the data, one for the log entry.

        Args:
            data: An Arrow table, batch, reader, dataset or scanner; anything with
                `__arrow_c_stream__` or `__arrow_c_array__`; a pandas frame; an iterable of these. Streams
                are never held whole. Columns go by name; missing nullable ones become null.
            txn: (application id, version). If the table already records this version of the
                application, or a later one, nothing is written and the result says
                `already_committed`.
            commit_info: Fields to keep with the commit, for `history()`.
            options: Parquet and file layout.
            preserve_index: Whether to write a pandas index, as in `pyarrow.Table.from_pandas`; an
                unnamed index is only written if True.
            coerce_timestamps: Truncate timestamps finer than microseconds instead of refusing them.
            schema_mode: `"merge"` adds the columns that the table lacks, nested ones too, in the same
                commit; older rows have null there. By default they are an error.

        Raises:
            SchemaMismatch, NullsInColumn, DataError: The data does not fit. Without `txn`, data
                without rows is refused too.
            UnsupportedTableFeature: A new column needs a feature that the table has not turned on.
            CommitConflict: The table's schema or rules were changed meanwhile.
            CommitContended: Too many lost races; not in the log.
            CommitOutcomeUnknown: The store did not answer; `resolve` tells later.
        """
        request = write_request(txn, commit_info, options, coerce_timestamps=coerce_timestamps)
        if schema_mode not in (None, "merge"):
            raise DataError(f'schema_mode is "merge" or None, got {schema_mode!r}')
        snapshot = self._handle.writable()
        if (done := self._handle.recorded(txn)) is not None:
            return done
        schema = None
        if schema_mode == "merge":
            data = open_source(data, preserve_index=preserve_index)
            schema = with_new_columns(snapshot, data.schema)
        reader = self._reader(data, request, snapshot, preserve_index=preserve_index)
        staged = self._stage(reader, request, snapshot, schema=schema)
        if not staged.adds and txn is None:
            raise DataError("no rows to append")
        return self._handle.commit(Append(staged, schema), snapshot, staged)

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
    ) -> CommitResult:
        """Replace rows in one commit: all of them, or those that `where` or `partitions` name.

        Of an overwrite and a concurrent append, either may come last in the log, and the table is what
        that order gives: an overwrite never fails because of rows it replaces. It takes its effect again
        on what the others left, and uploads `data` once.

        Args:
            data: As for `append`. Without rows it only removes.
            where: Replace the rows for which this is TRUE, as for `delete`. All of `data` must match.
            partitions: `"dynamic"` replaces the partitions that `data` has rows of, and no others.
            txn: As for `append`.
            commit_info: As for `append`.
            options: As for `append`.
            preserve_index: As for `append`.
            coerce_timestamps: As for `append`.

        Raises:
            TableIsAppendOnly: The table forbids removing rows.
            InvalidFilter: As for `delete`.
            DataError: As for `append`; or rows that do not match `where`.
            CommitError: As for `append`.
        """
        request = write_request(txn, commit_info, options, coerce_timestamps=coerce_timestamps)
        snapshot = self._handle.writable()
        check_scope(where, partitions, snapshot)
        if (done := self._handle.recorded(txn)) is not None:
            return done
        if where is not None:
            reader = self._reader(data, request, snapshot, preserve_index=preserve_index)
            return overwrite_where(self._handle, reader, where, request)
        reader = self._reader(data, request, snapshot, preserve_index=preserve_index)
        staged = self._stage(reader, request, snapshot)
        if partitions is not None and not staged.adds and txn is None:
            raise DataError("no rows, and so no partition to overwrite")
        plan = Overwrite(staged) if partitions is None else replacing_partitions(staged)
        return self._handle.commit(plan, snapshot, staged)

    def delete(
        self,
        where: Filter,
        *,
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
        options: WriteOptions | None = None,
    ) -> CommitResult:
        """Delete the rows for which `where` is TRUE; those for which it is NULL stay.

        Files of which all rows match, by their partition or statistics, are removed unread. Files that
        hold other rows too are written again without the matching ones. If no row matches, not in the
        latest version either, nothing is committed and the result names the version. On a conflict the
        rows are looked for again in the latest version, a bounded number of times.

        Args:
            where: Text such as `"day = '2026-01-01' AND trips < 10"`, or tuples as in
                `pyarrow.parquet.read_table`. `"true"` is every row.
            txn: As for `append`.
            commit_info: As for `append`.
            options: Layout of the files that are written again.

        Returns:
            The commit; `rows_deleted` says how many.

        Raises:
            TableIsAppendOnly: The table forbids removing rows.
            InvalidFilter: It does not fit the table, or is an Arrow expression.
            CommitError: As for `append`.
        """
        return delete(
            self._handle,
            where,
            txn=checked_txn(txn),
            commit_info=commit_info or {},
            options=options or WriteOptions(),
        )

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
        return Transaction(self._handle, txn=checked_txn(txn), commit_info=commit_info)

    def run(
        self,
        body: Callable[[Transaction], T],
        attempts: int = 10,
        *,
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
    ) -> RunResult[T]:
        """Call `body` with a transaction and commit it; on a conflict, again with a new one.

        Each transaction sees the latest version after a conflict. `body` may be called several times
        and should have no effects besides the transaction.

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
            self._handle, body, attempts=attempts, txn=checked_txn(txn), commit_info=commit_info
        )

    def _reader(
        self, data: Any, request: WriteRequest, snapshot: Snapshot, *, preserve_index: bool | None
    ) -> pa.RecordBatchReader:
        return open_source(
            data,
            schema=snapshot.schema,
            preserve_index=preserve_index,
            coerce_timestamps=request.coerce_timestamps,
        )

    def _stage(
        self,
        reader: pa.RecordBatchReader,
        request: WriteRequest,
        snapshot: Snapshot,
        *,
        schema: pa.Schema | None = None,
    ) -> Staged:
        return stage(
            self._handle.store,
            self._handle.env,
            reader,
            schema=snapshot.schema if schema is None else schema,
            partition_by=snapshot.partition_columns,
            request=request,
            mapping=snapshot.column_mapping,
        )

    # --- the handle and its log ---

    def refresh(self) -> Self:
        """Move the handle to the latest version."""
        self._handle.refresh()
        return self

    def checkpoint(self) -> None:
        """Write a checkpoint of the handle's version, so that it opens fast."""
        maintenance.checkpoint(self._handle.store, self._handle.snapshot)

    def cleanup_metadata(self) -> None:
        """Remove what the log keeps of versions that are no longer to be reached.

        That is what lies before the newest checkpoint whose version is older than
        `delta.logRetentionDuration`, by default 30 days. Checkpoints do it too, unless
        `delta.enableExpiredLogCleanup` is `false`.

        Raises:
            UnsupportedTableFeature: The table protects its checkpoints, or is not ours to write.
        """
        cleanup_metadata(self._handle.store, self._handle.snapshot)

    def resolve(self, commit: str | CommitOutcomeUnknown, *, settle: bool = False) -> Resolution:
        """What became of a commit whose outcome was unknown. Works from any process.

        Args:
            commit: The commit's id, or the error that was raised for it (which also knows where it may
                be, so that "not committed" can be told).
            settle: If it is not in the log, commit an entry that changes nothing and revokes it.
                Then no delayed request of its can land any more, and the answer is final.
        """
        unknown = commit if isinstance(commit, CommitOutcomeUnknown) else None
        commit_id = commit if isinstance(commit, str) else commit.commit_id
        store = self._handle.store
        # Loaded first: whatever lands after this snapshot, the revocation meets on its way.
        before = load(store) if settle else None
        found = resolve(store, commit_id, unknown.versions if unknown else None)
        if found.state is not ResolutionState.OPEN or before is None:
            return found
        revoke(store, self._handle.env, self._budget, before, commit_id)
        return resolve(store, commit_id)


def append(
    url: Url,
    data: Any,
    *,
    partition_by: Sequence[str] = (),
    txn: tuple[str, int] | None = None,
    commit_info: Mapping[str, Any] | None = None,
    options: WriteOptions | None = None,
    preserve_index: bool | None = None,
    coerce_timestamps: bool = False,
    schema_mode: SchemaMode | None = None,
    storage_options: Mapping[str, Any] | None = None,
    filesystem: Any = None,
    env: Env = SYSTEM,
) -> CommitResult:
    """Append to the table at `url`, creating it from the data if it is not there.

    The first commit creates the table and adds the rows in one entry. If several do so at once, one
    creates it and the others append to it.

    Args:
        url: As for `Table.create`.
        data: As for `Table.append`; its schema becomes the table's if the table is new.
        partition_by: For a new table; an existing one must have the same, unless left empty.
        txn: As for `Table.append`.
        commit_info: As for `Table.append`.
        options: As for `Table.append`.
        preserve_index: As for `Table.append`.
        coerce_timestamps: As for `Table.append`.
        schema_mode: As for `Table.append`.
        storage_options: As for `Table.create`.
        filesystem: As for `Table.create`.
        env: As for `Table.create`.

    Raises:
        SchemaMismatch: The table is there with other partition columns.
        DataError, CommitError: As for `Table.append`.
    """
    request = write_request(txn, commit_info, options, coerce_timestamps=coerce_timestamps)
    try:
        table = Table.open(url, storage_options=storage_options, filesystem=filesystem, env=env)
    except TableNotFound:
        reader = open_source(data, preserve_index=preserve_index)
        spec = TableSpec(reader.schema, tuple(partition_by))
        store = open_store(url, storage_options, filesystem=filesystem, env=env)
        return write_first(store, spec, reader, request, Append, env=env, budget=Budget())
    check_partitioning(table._handle.snapshot, partition_by)  # noqa: SLF001 - same module
    return table.append(
        data,
        txn=txn,
        commit_info=commit_info,
        options=options,
        preserve_index=preserve_index,
        coerce_timestamps=coerce_timestamps,
        schema_mode=schema_mode,
    )
