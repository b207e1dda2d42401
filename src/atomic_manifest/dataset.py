"""`write_dataset`: pyarrow's function of that name, committing atomically.

Same arguments, same meaning of `existing_data_behavior` (see `ops.write_dataset`). What differs: readers
see the whole write or nothing of it, concurrent writers are serialized, and `base_dir` becomes a Delta
table. `docs/write_dataset.md` goes through the arguments.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from os import PathLike, fspath
from typing import Any, get_args

import pyarrow as pa
import pyarrow.dataset as ds

from atomic_manifest.commit.messages import Budget
from atomic_manifest.commit.result import CommitResult
from atomic_manifest.data.input.conform import BatchConverter, conform
from atomic_manifest.data.input.frame_schema import remembered
from atomic_manifest.data.input.source import open_source
from atomic_manifest.data.names import schema_of
from atomic_manifest.data.write.arrow_options import (
    parquet_arguments,
    partition_columns,
    truncates_timestamps,
)
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.sink import WrittenFile
from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import DataError, TableNotFound
from atomic_manifest.first_write import write_first
from atomic_manifest.handle import Handle, nothing_to_commit
from atomic_manifest.log.metadata.evolution import of_rows
from atomic_manifest.log.metadata.schema import canonical
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.ops.create import TableSpec
from atomic_manifest.ops.write_dataset import (
    ExistingDataBehavior,
    check_empty,
    plan_of,
    with_basenames,
)
from atomic_manifest.progress import watch
from atomic_manifest.staging import (
    Incoming,
    SchemaMode,
    WriteRequest,
    check_partitioning,
    checked_mode,
    incoming,
    stage,
)
from atomic_manifest.store import ObjectStore, open_store

_MAX_PARTITIONS = 1024
_MAX_OPEN_FILES = 1024
_MAX_ROWS_PER_GROUP = 1 << 20


def write_dataset(
    data: Any,
    base_dir: str | PathLike[str],
    *,
    basename_template: str | None = None,
    format: Any = None,
    partitioning: Any = None,
    partitioning_flavor: str | None = None,
    schema: pa.Schema | None = None,
    filesystem: Any = None,
    file_options: Any = None,
    use_threads: bool = True,  # noqa: ARG001 - pyarrow's signature
    preserve_order: bool = False,  # noqa: ARG001 - pyarrow's signature
    max_partitions: int | None = None,
    max_open_files: int | None = None,
    max_rows_per_file: int | None = None,
    min_rows_per_group: int | None = None,
    max_rows_per_group: int | None = None,
    file_visitor: Callable[[ds.WrittenFile], None] | None = None,
    existing_data_behavior: ExistingDataBehavior = "error",
    schema_mode: SchemaMode | None = None,
    create_dir: bool = True,  # noqa: ARG001 - pyarrow's signature
    storage_options: Mapping[str, Any] | None = None,
    callback: Any = None,
    progress: bool = False,
    env: Env = SYSTEM,
) -> CommitResult:
    """Write a dataset as one atomic commit, creating the table if it is not there.

    Args:
        data: As for `Table.append`, which takes all that pyarrow takes.
        base_dir: The table: a path or a URL.
        basename_template: Name of data files; `{i}` counts within a partition. The stored name has the
            commit id in it besides.
        format: `"parquet"`, a `ParquetFileFormat`, or None, which means the same.
        partitioning: A list of columns or a `Partitioning`; its names count, types are the data's.
            Folders are Hive style, if the names need no escapes.
        partitioning_flavor: Accepted with a list; see `partitioning`.
        schema: Schema to write; by default the data's. An existing table's schema decides. The data is
            brought to it without loss, where pyarrow asks for the very same.
        filesystem: None, or a filesystem of fsspec or pyarrow's of local files, on which `base_dir` is a
            path.
        file_options: From `ParquetFileFormat.make_write_options`; all of them count, the defaults too.
            Without, files are as those of `Table.append`. `allow_truncated_timestamps` is
            `coerce_timestamps` of `Table.append`.
        use_threads: Accepted; files are encoded by threads of their own.
        preserve_order: Accepted; the order of rows within a partition is always kept.
        max_partitions: The most partitions that one batch may be written into; 1024 by default.
        max_open_files: The most files open at once; 1024 by default and for 0.
        max_rows_per_file: Rows a file at most; unlimited by default and for 0.
        min_rows_per_group: Rows a row group at least, save a file's last. Small batches are put together
            without it, too.
        max_rows_per_group: Rows a row group at most; 1048576 by default.
        file_visitor: Called once for each file after the commit, with `path`, Parquet `metadata` and
            `size`.
        existing_data_behavior: `"error"`, `"overwrite_or_ignore"` or `"delete_matching"`.
        schema_mode: As for `Table.append`.
        create_dir: Accepted; folders come as they are needed.
        storage_options: As for `Table.create`.
        callback: As for `Table.append`.
        progress: As for `Table.append`.
        env: As for `Table.create`.

    Returns:
        The commit; pyarrow's function returns nothing.

    Raises:
        DataError: The data does not fit, `"error"` met existing data, or an argument cannot be honoured.
        CommitError: As for `Table.append`.
        UnsupportedByStore: A `filesystem` that cannot write on a condition; pyarrow's of buckets.
    """
    if existing_data_behavior not in get_args(ExistingDataBehavior):
        raise DataError(f"no such existing_data_behavior: {existing_data_behavior!r}")
    checked_mode(schema_mode)
    template = _checked_template(basename_template)
    watcher = watch(callback, progress=progress, data=data)
    options = WriteOptions(
        max_rows_per_group=(
            _MAX_ROWS_PER_GROUP if max_rows_per_group is None else max_rows_per_group
        ),
        min_rows_per_group=min_rows_per_group or 0,
        target_file_size=None,
        max_rows_per_file=max_rows_per_file or 0,
        max_open_files=max_open_files or _MAX_OPEN_FILES,
        parquet=parquet_arguments(file_options, format),
    )
    coerce = truncates_timestamps(file_options)
    schema = None if schema is None else schema_of(schema)
    store = open_store(base_dir, storage_options, filesystem=filesystem, env=env)
    handle = _existing(store, env)
    rows = _rows(data, schema, handle, schema_mode, coerce=coerce)
    columns = partition_columns(partitioning, partitioning_flavor, rows.reader.schema)
    rows = replace(rows, reader=_bounded(rows.reader, columns, max_partitions))
    written: list[WrittenFile] = []
    request = WriteRequest(
        options=options,
        coerce_timestamps=coerce,
        file_name=lambda number, commit_id: template.replace("{i}", f"{number}-{commit_id}"),
        on_staged=lambda staged: with_basenames(staged, template),
        on_written=written.extend,
        watch=watcher,
    )
    if handle is None:
        plan = plan_of(existing_data_behavior, partitioned=bool(columns))
        spec = TableSpec(of_rows(rows.schema, columns), columns, remembered(rows.schema))
        result = write_first(store, spec, rows.reader, request, plan, env=env, budget=Budget())
    else:
        result = _write(handle, rows, columns, request, existing_data_behavior)
    if file_visitor is not None:
        for file in written:
            file.footer.set_file_path(file.path)
            path = f"{fspath(base_dir).rstrip('/')}/{file.path}"
            file_visitor(ds.WrittenFile(path, file.footer, file.size))
    return result


def _existing(store: ObjectStore, env: Env) -> Handle | None:
    try:
        return Handle(store, load(store), env, Budget())
    except TableNotFound:
        return None


def _rows(
    data: Any,
    schema: pa.Schema | None,
    handle: Handle | None,
    mode: SchemaMode | None,
    *,
    coerce: bool,
) -> Incoming:
    """The data; the elements of an iterable as `schema` or else the table, if there is one, wants them."""
    if schema is not None:
        given = open_source(data, schema=schema, coerce_timestamps=coerce)
        data = conform(given, schema, coerce_timestamps=coerce)
    if handle is not None:
        snapshot = handle.writable()
        return incoming(data, snapshot, handle.env, schema_mode=mode, coerce_timestamps=coerce)
    reader = open_source(data, coerce_timestamps=coerce)
    return Incoming(reader, reader.schema, grown=False)


def _write(
    handle: Handle,
    rows: Incoming,
    columns: tuple[str, ...],
    request: WriteRequest,
    behavior: ExistingDataBehavior,
) -> CommitResult:
    plan = plan_of(behavior, partitioned=bool(columns))
    snapshot = handle.snapshot
    check_partitioning(snapshot, columns)
    if behavior == "error":
        check_empty(snapshot)
    staged = stage(
        handle.store,
        handle.env,
        rows.reader,
        schema=rows.schema,
        partition_by=snapshot.partition_columns,
        request=request,
        mapping=snapshot.column_mapping,
        configuration=snapshot.configuration,
        grown=rows.grown,
    )
    if not staged.adds and staged.schema is None:
        return nothing_to_commit(snapshot)
    return handle.commit(plan(staged), snapshot, staged)


def _checked_template(given: str | None) -> str:
    template = "part-{i}.parquet" if given is None else str(given)
    if template.count("{i}") != 1 or "/" in template:
        raise DataError(f"basename_template must contain '{{i}}' once and no '/', got {template!r}")
    return template


def _bounded(
    reader: pa.RecordBatchReader, columns: tuple[str, ...], most: int | None
) -> pa.RecordBatchReader:
    """The same batches, refusing one that spreads over too many partitions."""
    most = _MAX_PARTITIONS if most is None else most
    if most < 1:
        raise DataError(f"max_partitions must be at least 1, got {most}")
    if not columns:
        return reader
    # As the table has them: Arrow does not group by all types that data may come in.
    given = pa.schema([reader.schema.field(name) for name in columns])
    target = canonical(of_rows(given, columns))
    convert = BatchConverter(given, target, coerce_timestamps=True)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            found = [
                pa.Table.from_batches([piece]).group_by(columns).aggregate([])
                for piece in convert.all([batch.select(columns)])
            ]
            table = pa.concat_tables(found) if found else target.empty_table()
            count = table.group_by(columns).aggregate([]).num_rows
            if count > most:
                raise DataError(f"a batch has rows of {count} partitions, max_partitions is {most}")
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
