"""pyarrow's ways to say how a dataset is written, read as ours.

Error semantics: what cannot be honoured raises `DataError` naming the argument.
"""

import ast
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from atomic_manifest.errors import DataError


def partition_columns(partitioning: Any, flavor: str | None, schema: pa.Schema) -> tuple[str, ...]:
    """The partition columns that a `partitioning` argument asks for.

    A table records partition values in its log, so the flavor, which only shapes folder names, is
    accepted and has no effect: folders are always Hive style.

    Args:
        partitioning: None, a list of names, or a `pyarrow.dataset.Partitioning`.
        flavor: `partitioning_flavor`, only with a list.
        schema: Of the data.

    Raises:
        DataError: A partitioning factory, a flavor beside a Partitioning, or unknown names.
    """
    if isinstance(partitioning, ds.PartitioningFactory):
        raise DataError("partitioning needs a schema: a PartitioningFactory cannot write")
    if isinstance(partitioning, ds.Partitioning):
        if flavor:
            raise DataError(
                "partitioning_flavor goes with a list of names, not with a Partitioning"
            )
        names: Sequence[str] = partitioning.schema.names
    elif partitioning is None or isinstance(partitioning, list | tuple):
        names = partitioning or ()
    else:
        raise DataError(
            f"partitioning must be a Partitioning or a list of names, got {partitioning!r}"
        )
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise DataError(
            f"partitioning names columns the data lacks: {', '.join(map(repr, missing))}"
        )
    return tuple(names)


def parquet_arguments(file_options: Any, format: Any) -> dict[str, Any]:
    """What `file_options` changes from the defaults, as arguments of a Parquet writer.

    Args:
        file_options: None or the result of `ParquetFileFormat.make_write_options`.
        format: None, `"parquet"` or a `ParquetFileFormat`.

    Raises:
        DataError: Another format than Parquet, or options that cannot be read back.
    """
    if format is not None and format != "parquet" and not isinstance(format, ds.ParquetFileFormat):
        raise DataError(f"a table holds Parquet files; format {format!r} cannot be written")
    if file_options is None:
        return {}
    if not isinstance(file_options.format, ds.ParquetFileFormat):
        raise DataError(
            f"file_options are for {file_options.format!r}, a table holds Parquet files"
        )
    defaults = _properties(ds.ParquetFileFormat().make_write_options())
    return {
        name: value
        for name, value in _properties(file_options).items()
        if defaults.get(name) != value
    }


def _properties(file_options: Any) -> dict[str, Any]:
    """The options' properties. pyarrow shows them, but only in their `repr`."""
    text = repr(file_options)
    try:
        properties = ast.literal_eval(text[text.index("{") : text.rindex("}") + 1])
    except (ValueError, SyntaxError) as error:
        raise DataError(f"file_options that cannot be read back: {text}") from error
    return dict(properties)
