"""Tables to and from pandas, under the names that users of `to_parquet` and `read_parquet` know.

Importing this module imports pandas and registers the accessor `DataFrame.atomic`. Importing the package
alone does neither.

Index: its named levels become columns of the table, and come back as its levels; an unnamed one is only
written if asked for. Types that Delta lacks come back as they were where nothing is lost by it (see
`data.input.frame_schema`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import pandas as pd
import pyarrow as pa

from atomic_manifest.commit.result import CommitResult
from atomic_manifest.data.filter.filters import Filter
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import DataError
from atomic_manifest.log.state.history import Version
from atomic_manifest.staging import SchemaMode
from atomic_manifest.table import Table, Url, WriteMode, write
from atomic_manifest.transaction import Partitions

Engine: TypeAlias = Literal["auto", "pyarrow"]
DtypeBackend: TypeAlias = Literal["numpy_nullable", "pyarrow"]

_NULLABLE: Mapping[pa.DataType, Any] = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
    pa.large_string(): pd.StringDtype(),
    pa.float32(): pd.Float32Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.null(): pd.Int64Dtype(),
}


def to_table(
    df: pd.DataFrame,
    path: Url,
    *,
    mode: WriteMode = "error",
    engine: Engine = "auto",
    compression: str | None = "zstd",
    index: bool | None = None,
    partition_cols: str | Iterable[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    filesystem: Any = None,
    txn: tuple[str, int] | None = None,
    commit_info: Mapping[str, Any] | None = None,
    coerce_timestamps: bool = False,
    schema_mode: SchemaMode | None = None,
    callback: Any = None,
    progress: bool = False,
    env: Env = SYSTEM,
    **kwargs: Any,
) -> CommitResult:
    """Write a frame as one commit, as `DataFrame.to_parquet` writes a file.

    Args:
        df: The frame.
        path: The table: a path or a URL, as for `Table.create`.
        mode: What to do if there is a table: refuse (`"error"`), or `"append"`, or `"overwrite"` all of it.
        engine: `"auto"` or `"pyarrow"`, which are the same.
        compression: Parquet codec; None for none.
        index: Whether to write the index. None writes its named levels, and no unnamed one; True
            writes all, False none.
        partition_cols: Columns to partition a new table by.
        storage_options: As for `Table.create`.
        filesystem: As for `Table.create`.
        txn: As for `Table.append`.
        commit_info: As for `Table.append`.
        coerce_timestamps: As for `Table.append`; pyarrow's `"us"` with `allow_truncated_timestamps`.
        schema_mode: As for `Table.append`; not with `mode="error"`.
        callback: As for `Table.append`.
        progress: As for `Table.append`.
        env: As for `Table.create`.
        **kwargs: Further arguments of `pyarrow.parquet.write_table`.

    Raises:
        TableAlreadyExists: There is a table, and `mode` is `"error"`.
        DataError: The frame does not fit, or an argument cannot be honoured.
        CommitError: As for `Table.append`.
    """
    _check_engine(engine)
    _check_frame(df)
    if mode not in ("append", "overwrite", "error"):
        raise DataError(f"mode is 'append', 'overwrite' or 'error', got {mode!r}")
    if schema_mode is not None and mode == "error":
        raise DataError(f"schema_mode is for mode='append' and 'overwrite', got mode={mode!r}")
    if not isinstance(coerce_timestamps, bool):
        raise DataError(
            f"coerce_timestamps is True or False, got {coerce_timestamps!r}; tables hold microseconds"
        )
    columns = [partition_cols] if isinstance(partition_cols, str) else partition_cols
    return write(
        path,
        df,
        mode,
        partition_by=() if columns is None else columns,
        schema_mode=schema_mode,
        preserve_index=index,
        storage_options=storage_options,
        filesystem=filesystem,
        env=env,
        txn=txn,
        commit_info=commit_info,
        options=_options(compression, kwargs),
        coerce_timestamps=coerce_timestamps,
        callback=callback,
        progress=progress,
    )


def read_table(
    path: Url,
    *,
    engine: Engine = "auto",
    columns: Iterable[str] | None = None,
    filters: Filter = None,
    version: Version | None = None,
    dtype_backend: DtypeBackend | None = None,
    types_mapper: Callable[[pa.DataType], Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    filesystem: Any = None,
    to_pandas_kwargs: Mapping[str, Any] | None = None,
    callback: Any = None,
    progress: bool = False,
    env: Env = SYSTEM,
) -> pd.DataFrame:
    """Read a table into a frame, as `pandas.read_parquet` reads a file.

    Args:
        path: The table: a path or a URL, as for `Table.create`.
        engine: `"auto"` or `"pyarrow"`, which are the same.
        columns: Which, besides those of the index; None for all.
        filters: As for `atomic_manifest.read_table`.
        version: As for `Table.open`.
        dtype_backend: `"numpy_nullable"` or `"pyarrow"` for dtypes that know missing values; None for
            pandas' default ones, and those of the frame that the table was made from.
        types_mapper: The dtype for an Arrow type, or None; instead of `dtype_backend`.
        storage_options: As for `Table.create`.
        filesystem: As for `Table.create`.
        to_pandas_kwargs: Further arguments of `pyarrow.Table.to_pandas`.
        callback: As for `Table.to_arrow`.
        progress: As for `Table.to_arrow`.
        env: As for `Table.create`.

    Raises:
        TableNotFound, VersionNotFound: As for `Table.open`.
        InvalidFilter: `filters` does not fit the table.
        DataError: An argument cannot be honoured.
    """
    _check_engine(engine)
    options = dict(to_pandas_kwargs or {})
    if (mapper := _mapper(dtype_backend, types_mapper)) is not None:
        options["types_mapper"] = mapper
    table = Table.open(
        path, version=version, storage_options=storage_options, filesystem=filesystem, env=env
    )
    return table.to_pandas(columns, filter=filters, callback=callback, progress=progress, **options)


@pd.api.extensions.register_dataframe_accessor("atomic")
class Atomic:
    """`DataFrame.atomic`: write the frame to a table in one commit.

    Args:
        frame: The frame.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def append(
        self,
        url: Url,
        *,
        index: bool | None = None,
        partition_by: Iterable[str] = (),
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
        options: WriteOptions | None = None,
        coerce_timestamps: bool = False,
        schema_mode: SchemaMode | None = None,
        callback: Any = None,
        progress: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        filesystem: Any = None,
        env: Env = SYSTEM,
    ) -> CommitResult:
        """Add the frame's rows to the table at `url`, creating it if it is not there.

        Args:
            url: As for `Table.create`.
            index: As for `to_table`.
            partition_by: As for `atomic_manifest.append`.
            txn: As for `Table.append`.
            commit_info: As for `Table.append`.
            options: As for `Table.append`.
            coerce_timestamps: As for `Table.append`.
            schema_mode: As for `Table.append`.
            callback: As for `Table.append`.
            progress: As for `Table.append`.
            storage_options: As for `Table.create`.
            filesystem: As for `Table.create`.
            env: As for `Table.create`.

        Raises:
            DataError, CommitError: As for `Table.append`.
        """
        return write(
            url,
            self._frame,
            "append",
            preserve_index=index,
            partition_by=partition_by,
            txn=txn,
            commit_info=commit_info,
            options=options,
            coerce_timestamps=coerce_timestamps,
            schema_mode=schema_mode,
            callback=callback,
            progress=progress,
            storage_options=storage_options,
            filesystem=filesystem,
            env=env,
        )

    def overwrite(
        self,
        url: Url,
        *,
        where: Filter = None,
        partitions: Partitions | None = None,
        index: bool | None = None,
        partition_by: Iterable[str] = (),
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
        options: WriteOptions | None = None,
        coerce_timestamps: bool = False,
        schema_mode: SchemaMode | None = None,
        callback: Any = None,
        progress: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        filesystem: Any = None,
        env: Env = SYSTEM,
    ) -> CommitResult:
        """Replace rows of the table at `url` by the frame's, creating it if it is not there.

        Args:
            url: As for `Table.create`.
            where: Replace only the rows for which this is TRUE; all of the frame's must match.
            partitions: `"dynamic"` replaces the partitions that the frame has rows of, and no others.
            index: As for `to_table`.
            partition_by: As for `atomic_manifest.append`.
            txn: As for `Table.append`.
            commit_info: As for `Table.append`.
            options: As for `Table.append`.
            coerce_timestamps: As for `Table.append`.
            schema_mode: As for `Table.append`.
            callback: As for `Table.overwrite`.
            progress: As for `Table.append`.
            storage_options: As for `Table.create`.
            filesystem: As for `Table.create`.
            env: As for `Table.create`.

        Raises:
            DataError, CommitError: As for `Table.overwrite`.
        """
        return write(
            url,
            self._frame,
            "overwrite",
            where=where,
            partitions=partitions,
            preserve_index=index,
            partition_by=partition_by,
            txn=txn,
            commit_info=commit_info,
            options=options,
            coerce_timestamps=coerce_timestamps,
            schema_mode=schema_mode,
            callback=callback,
            progress=progress,
            storage_options=storage_options,
            filesystem=filesystem,
            env=env,
        )


def _check_engine(engine: str) -> None:
    if engine not in ("auto", "pyarrow"):
        raise DataError(f"engine is 'auto' or 'pyarrow', got {engine!r}")


def _check_frame(df: Any) -> None:
    if not isinstance(df, pd.DataFrame):
        kind = type(df)
        raise DataError(f"not a pandas DataFrame: {kind.__module__}.{kind.__qualname__}")


def _options(compression: str | None, given: Mapping[str, Any]) -> WriteOptions:
    parquet = dict(given)
    groups = parquet.pop("row_group_size", None)
    options = WriteOptions(compression=compression or "none", parquet=parquet)
    return options if groups is None else replace(options, max_rows_per_group=groups)


def _mapper(
    backend: DtypeBackend | None, given: Callable[[pa.DataType], Any] | None
) -> Callable[[pa.DataType], Any] | None:
    if backend is None:
        return given
    if given is not None:
        raise DataError("dtype_backend and types_mapper cannot both choose the dtypes")
    if backend == "pyarrow":
        return pd.ArrowDtype
    if backend == "numpy_nullable":
        return _NULLABLE.get
    raise DataError(f"dtype_backend is 'numpy_nullable' or 'pyarrow', got {backend!r}")
