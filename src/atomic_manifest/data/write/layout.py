"""Which columns data files hold: those of the table without partition and `void` columns.

Error semantics: a schema that no data file can be written for (protocol, "Void Type") raises
`InvalidSchema` naming the columns.
"""

from collections.abc import Sequence

import pyarrow as pa
from pyarrow import types

from atomic_manifest.errors import InvalidSchema
from atomic_manifest.log.metadata.schema import check_partition_columns, walk

_OF_ARROW = ("__fragment_index", "__batch_index", "__last_in_fragment", "__filename")
"""Columns that Arrow's datasets have besides those of files: one more of the name cannot be read."""


def file_schema(schema: pa.Schema, partition_by: Sequence[str]) -> pa.Schema:
    """The schema of a table's data files.

    Args:
        schema: The table's.
        partition_by: Names of its partition columns.

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
    return pa.schema(kept)
