"""From a user's data to files that a commit can name."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import msgspec
import pyarrow as pa

from atomic_manifest.arguments import plain, whole_number
from atomic_manifest.data.input.conform import conform
from atomic_manifest.data.input.once import Inputs
from atomic_manifest.data.input.source import open_source
from atomic_manifest.data.names import names_of
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.sink import WrittenFile
from atomic_manifest.data.write.writer import write_files
from atomic_manifest.env import Env
from atomic_manifest.errors import DataError, SchemaMismatch, StoreError
from atomic_manifest.log.metadata.column_mapping import NO_MAPPING, ColumnMapping
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.ops.evolve import merged
from atomic_manifest.ops.staged import Staged
from atomic_manifest.progress import NOBODY, Watch, watch
from atomic_manifest.store import ObjectStore

SchemaMode: TypeAlias = Literal["merge"]

_TXN_VERSIONS = 2**63  # the protocol has a `long`


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """How one write is to be done and recorded.

    Attributes:
        txn: (application id, version); a version at or below the recorded one is not written again.
        user_info: The user's own `commitInfo` fields.
        options: Parquet and file layout.
        coerce_timestamps: Truncate timestamps finer than microseconds instead of refusing them.
        file_name: Name of the n-th file, given (n, commit id); None for the library's own names.
        check: Looks at every batch before it is written, and raises if it may not be.
        on_staged: Last word on the staged files before they are planned.
        on_written: Told of the files, with their footers, once all are uploaded.
        watch: Told how far the upload is.
    """

    txn: tuple[str, int] | None = None
    user_info: Mapping[str, Any] = field(default_factory=dict)
    options: WriteOptions = field(default_factory=WriteOptions)
    coerce_timestamps: bool = False
    file_name: Callable[[int, str], str] | None = None
    check: Callable[[pa.RecordBatch], None] | None = None
    on_staged: Callable[[Staged], Staged] | None = None
    on_written: Callable[[Sequence[WrittenFile]], None] | None = None
    watch: Watch = NOBODY


@dataclass(frozen=True, slots=True)
class Incoming:
    """Rows that are to go into a table, and what it is to be by then.

    Attributes:
        reader: The rows.
        schema: The table's schema, with the columns that they bring.
        grown: Whether they bring any.
    """

    reader: pa.RecordBatchReader
    schema: pa.Schema
    grown: bool


def incoming(
    data: Any,
    snapshot: Snapshot,
    env: Env,
    *,
    schema_mode: SchemaMode | None,
    preserve_index: bool | None = None,
    coerce_timestamps: bool = False,
    inputs: Inputs | None = None,
) -> Incoming:
    """Open what a user gave for a table that is there.

    Args:
        data: See `data.input.source.open_source`.
        snapshot: The table.
        env: Ids, for columns of a mapped table.
        schema_mode: `"merge"` to add the columns that the table lacks.
        preserve_index: See `open_source`.
        coerce_timestamps: See `open_source`.
        inputs: See `open_source`.

    Raises:
        DataError: The data cannot be read.
        SchemaMismatch, InvalidSchema, UnsupportedTableFeature: See `ops.evolve.merged`.
    """
    grown: pa.Schema | None = None

    def wanted(given: pa.Schema) -> pa.Schema:
        nonlocal grown
        if schema_mode is not None:
            grown = merged(snapshot, given, env.new_id)
        return snapshot.schema if grown is None else grown

    reader = open_source(
        data,
        schema=snapshot.schema if schema_mode is None else wanted,
        preserve_index=preserve_index,
        coerce_timestamps=coerce_timestamps,
        inputs=inputs,
    )
    schema = wanted(reader.schema) if grown is None else grown
    return Incoming(reader, schema, grown is not None)


def checked_mode(schema_mode: Any) -> None:
    """Refuse what is no way to treat a table's schema.

    Raises:
        DataError: It is not.
    """
    if schema_mode not in (None, "merge"):
        raise DataError(f'schema_mode is "merge" or None, got {schema_mode!r}')


def write_request(
    data: Any,
    *,
    txn: tuple[str, int] | None = None,
    commit_info: Mapping[str, Any] | None = None,
    options: WriteOptions | None = None,
    coerce_timestamps: bool = False,
    callback: Any = None,
    progress: bool = False,
) -> WriteRequest:
    """A request of what the user gave, checked.

    Args:
        data: The rows to be written, which may tell how many there are; None if others come besides.
        txn: As for `Table.append`, and so are the rest.
        commit_info: The user's own fields of the commit.
        options: Parquet and file layout.
        coerce_timestamps: See `WriteRequest`.
        callback: See `progress.watch`.
        progress: See `progress.watch`.

    Raises:
        DataError: See `checked_txn`, `checked_info` and `progress.watch`.
    """
    watcher = watch(callback, progress=progress, data=data)
    return WriteRequest(
        txn=checked_txn(txn),
        user_info=checked_info(commit_info),
        options=options or WriteOptions(),
        coerce_timestamps=coerce_timestamps,
        watch=watcher,
    )


def checked_txn(txn: tuple[str, int] | None) -> tuple[str, int] | None:
    """The transaction as it was given.

    Raises:
        DataError: It is not (application id, version), or the log cannot hold it.
    """
    match txn:
        case None:
            return None
        case (str() as app_id, given) if app_id:
            app_id, version = str(app_id), whole_number("the version of txn", given)
            if not -_TXN_VERSIONS <= version < _TXN_VERSIONS:
                raise DataError(f"txn: a version has 64 bits with its sign, got {version}")
            _check_encodes(app_id, f"txn: the log cannot hold the application id {app_id!r}")
            return app_id, version
        case _:
            raise DataError(f"txn is (application id, version), got {txn!r}")


def checked_info(commit_info: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The user's own fields of a commit, in JSON's types; none if None.

    Raises:
        DataError: They are no mapping, or nothing that JSON can say.
    """
    if not isinstance(commit_info, Mapping | None):
        raise DataError(f"commit_info is a mapping, got {type(commit_info).__name__}")
    message = "commit_info cannot be kept as JSON"
    try:
        info: Mapping[str, Any] = msgspec.to_builtins(
            dict(commit_info or {}), str_keys=True, enc_hook=plain
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{message}: {error}") from error
    _check_encodes(info, message)
    return info


def _check_encodes(value: object, message: str) -> None:
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{message}: {error}") from error


def stage(
    store: ObjectStore,
    env: Env,
    reader: pa.RecordBatchReader,
    *,
    schema: pa.Schema,
    partition_by: Sequence[str],
    request: WriteRequest,
    mapping: ColumnMapping = NO_MAPPING,
    configuration: Mapping[str, str] = MappingProxyType({}),
    grown: bool = False,
) -> Staged:
    """Write `reader`'s rows as data files of a new commit. Nothing names them yet.

    If it raises, no file is left.

    Args:
        store: Rooted at the table.
        env: Clock and ids.
        reader: The rows.
        schema: The table's schema, which the rows are made to fit.
        partition_by: The table's partition columns.
        request: How to write them.
        mapping: What files and log call the table's columns.
        configuration: The table's properties.
        grown: Whether `schema` has columns that the table lacks, to be added by the commit.

    Raises:
        DataError: The rows do not fit the schema.
        StoreError: A file could not be written.
    """
    commit_id = env.new_id()
    unix_ms = int(env.now() * 1000)
    fitting = conform(reader, schema, coerce_timestamps=request.coerce_timestamps)
    if request.check is not None:
        fitting = _checked(fitting, request.check)
    name = request.file_name
    with (
        _all_or_nothing(store) as uploaded,
        request.watch.following("write", store.url) as told,
    ):
        files = write_files(
            store,
            fitting,
            schema=schema,
            partition_by=partition_by,
            file_prefix=commit_id,
            options=request.options,
            env=env,
            mapping=mapping,
            configuration=configuration,
            name=None if name is None else lambda sequence: name(sequence, commit_id),
            progress=told,
        )
        uploaded.extend(files.written)
    if request.on_written is not None:
        request.on_written(files.written)
    staged = Staged(
        commit_id,
        unix_ms,
        files.adds,
        files.rows,
        request.txn,
        request.user_info,
        schema if grown else None,
    )
    return staged if request.on_staged is None else request.on_staged(staged)


@contextmanager
def _all_or_nothing(store: ObjectStore) -> Iterator[list[WrittenFile]]:
    """Delete the files that were put on the list if the block raises."""
    written: list[WrittenFile] = []
    try:
        yield written
    except BaseException as error:
        try:
            if written:
                store.delete_many([file.path for file in written])
        except StoreError as failure:
            error.add_note(f"not all uncommitted data files could be deleted: {failure}")
        raise


def _checked(
    reader: pa.RecordBatchReader, check: Callable[[pa.RecordBatch], None]
) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            check(batch)
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def partition_names(given: Iterable[str]) -> tuple[str, ...]:
    """The partition columns that a user gave.

    Raises:
        DataError: As `names_of`; or what is no name among them.
    """
    names = tuple(names_of("partition_by", given))
    if not all(isinstance(name, str) for name in names):
        raise DataError(f"partition_by is a list of names, got {list(names)!r}")
    return names


def check_partitioning(snapshot: Snapshot, asked: Sequence[str]) -> None:
    """Refuse to write as if the table were partitioned otherwise; an empty `asked` asks nothing.

    Raises:
        SchemaMismatch: Naming both.
    """
    if asked and tuple(asked) != snapshot.partition_columns:
        raise SchemaMismatch(
            f"the table is partitioned by {list(snapshot.partition_columns)}, not by {list(asked)}",
            columns=tuple(asked),
        )
