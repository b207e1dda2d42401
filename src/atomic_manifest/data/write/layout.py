"""Which columns data files hold, and whether their folders tell the others.

They hold those of the table without partition and `void` columns, and lie in folders that tell the values
of the partition. Where folders cannot tell them to everybody, the files hold the partition columns, too,
and lie in no folder: so whoever goes by the log finds them, and whoever goes by the files.

Error semantics: a schema that no data file can be written for (protocol, "Void Type") raises
`InvalidSchema` naming the columns.
"""

from collections.abc import Sequence

import pyarrow as pa
from pyarrow import types

from atomic_manifest.errors import InvalidSchema
from atomic_manifest.log.metadata.column_mapping import ColumnMapping
from atomic_manifest.log.metadata.partition import is_told_by_folders
from atomic_manifest.log.metadata.schema import check_partition_columns, walk

_OF_ARROW = ("__fragment_index", "__batch_index", "__last_in_fragment", "__filename")
"""Columns that Arrow's datasets have besides those of files: one more of the name cannot be read."""


def told_by_folders(schema: pa.Schema, partition_by: Sequence[str], mapping: ColumnMapping) -> bool:
    """Whether folders can tell the values of all partition columns to everybody."""
    return all(
        is_told_by_folders(mapping.physical_name(schema.field(name))) for name in partition_by
    )


def file_schema(
    schema: pa.Schema, partition_by: Sequence[str], *, with_partitions: bool = False
) -> pa.Schema:
    """The schema of a table's data files.

    Args:
        schema: The table's.
        partition_by: Names of its partition columns.
        with_partitions: Whether the files hold these, too.

    Raises:
        InvalidSchema: No column is left, a name that Arrow cannot read, a `void` inside an array, map or
            struct, or partition columns that cannot be.
    """
    check_partition_columns(schema, partition_by)
    if taken := [name for name in schema.names if name in _OF_ARROW]:
        raise InvalidSchema(
            f"no data can be written: Arrow has columns of its own of these names: {', '.join(taken)}",
            columns=tuple(taken),
        )
    nested = [
        ".".join(path)
        for path, field in walk(schema)
        if len(path) > 1 and types.is_null(field.type)
    ]
    if nested:
        raise InvalidSchema(
            f"no data can be written: void inside a nested column: {', '.join(nested)}",
            columns=tuple(nested),
        )
    kept = [
        field
        for field in schema
        if field.name not in partition_by and not types.is_null(field.type)
    ]
    if not kept:
        raise InvalidSchema(
            "no data can be written: "
            + (
                "every column is void or a partition column"
                if schema.names
                else "there are no columns"
            ),
            columns=tuple(schema.names),
        )
    if with_partitions:
        kept = [field for field in schema if field.name in partition_by or field in kept]
    return pa.schema(kept)
