"""pyarrow's ways to say how a dataset is written, read as ours.

Error semantics: what cannot be honoured raises `DataError` naming the argument.
"""

import ast
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from atomic_manifest.data.names import names_of
from atomic_manifest.errors import DataError

FLAVORS = (None, "hive", "filename")
# What these two say of timestamps is said of the table's as `coerce_timestamps`, not of its files.
_OF_TIMESTAMPS = frozenset({"allow_truncated_timestamps", "coerce_timestamps"})


def partition_columns(partitioning: Any, flavor: str | None, schema: pa.Schema) -> tuple[str, ...]:
    """The partition columns that a `partitioning` argument asks for.

    A table records partition values in its log, so the flavor, which only shapes folder names, is
    accepted and has no effect: folders are always Hive style.

    Args:
        partitioning: None, a list of names, or a `pyarrow.dataset.Partitioning`.
        flavor: `partitioning_flavor`, only with a list.
        schema: Of the data.

    Raises:
        DataError: A partitioning factory, a flavor beside a Partitioning or that is none, unknown names.
    """
    if flavor not in FLAVORS:
        raise DataError(f"no such partitioning_flavor: {flavor!r}")
    if isinstance(partitioning, ds.PartitioningFactory):
        raise DataError("partitioning needs a schema: a PartitioningFactory cannot write")
    if isinstance(partitioning, ds.Partitioning):
        if flavor:
            raise DataError(
                "partitioning_flavor goes with a list of names, not with a Partitioning"
            )
        names: Sequence[str] = partitioning.schema.names
    else:
        names = () if partitioning is None else names_of("partitioning", partitioning)
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise DataError(
            f"partitioning names columns the data lacks: {', '.join(map(repr, missing))}"
        )
    return tuple(names)


def parquet_arguments(file_options: Any, format: Any) -> dict[str, Any]:
    """What `file_options` say, as arguments of a Parquet writer; nothing without them.

    Args:
        file_options: None or the result of `ParquetFileFormat.make_write_options`.
        format: None, `"parquet"` or a `ParquetFileFormat`.

    Raises:
        DataError: Another format than Parquet, or options that cannot be honoured or read back.
    """
    if format is not None and format != "parquet" and not isinstance(format, ds.ParquetFileFormat):
        raise DataError(f"a table holds Parquet files; format {format!r} cannot be written")
    if file_options is None:
        return {}
    if not isinstance(file_options.format, ds.ParquetFileFormat):
        raise DataError(
            f"file_options are for {file_options.format!r}, a table holds Parquet files"
        )
    properties = _properties(file_options)
    if properties.get("coerce_timestamps") not in (None, "us"):
        raise DataError(
            f"file_options: coerce_timestamps {properties['coerce_timestamps']!r}: a table holds "
            "microseconds"
        )
    if properties.get("encryption_config") is not None:
        raise DataError("file_options: encryption_config: readers of a table have no keys")
    # Among the options, None is the default of all but the codec, where it means none.
    properties["compression"] = properties["compression"] or "none"
    return {
        name: value
        for name, value in properties.items()
        if value is not None and name not in _OF_TIMESTAMPS
    }


def truncates_timestamps(file_options: Any) -> bool:
    """Whether `file_options` let digits of timestamps go that a table cannot hold."""
    return bool(
        file_options is not None
        and _properties(file_options).get("allow_truncated_timestamps", False)
    )


def _properties(file_options: Any) -> dict[str, Any]:
    """The options' properties. pyarrow shows them, but only in their `repr`."""
    text = repr(file_options)
    try:
        shown = ast.parse(text[text.index("{") : text.rindex("}") + 1], mode="eval").body
        return _values(shown)
    except (ValueError, SyntaxError, AttributeError, TypeError) as error:
        raise DataError(f"file_options that cannot be read back: {text}") from error


def _values(shown: Any) -> dict[str, Any]:
    found = {}
    for key, value in zip(shown.keys, shown.values, strict=True):
        name = ast.literal_eval(key)
        found[name] = (
            [_sorting_column(each) for each in value.elts]
            if name == "sorting_columns" and isinstance(value, ast.List | ast.Tuple)
            else ast.literal_eval(value)
        )
    return found


def _sorting_column(shown: Any) -> pq.SortingColumn:
    return pq.SortingColumn(**{each.arg: ast.literal_eval(each.value) for each in shown.keywords})
