"""Create: the first entry of a table, with or without data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from atomic_manifest.commit.intent import NO_TABLE, Intent
from atomic_manifest.errors import DataError
from atomic_manifest.log.actions import Metadata
from atomic_manifest.log.metadata.features import required_protocol
from atomic_manifest.log.metadata.protocol_keys import is_of_files, without_protocol_keys
from atomic_manifest.log.metadata.retention import check as check_retention
from atomic_manifest.log.metadata.schema import check_partition_columns, to_arrow, to_delta
from atomic_manifest.log.stats.indexed import check_indexed
from atomic_manifest.ops.staged import Staged


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What a new table is to be.

    Attributes:
        schema: Arrow schema, stored as the Delta schema it maps to.
        partition_by: Names of top-level columns, in partitioning order.
        configuration: Table properties.
        name: The user's name for the table.
        description: The user's words about it.
    """

    schema: pa.Schema
    partition_by: Sequence[str] = ()
    configuration: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    description: str | None = None

    def metadata(self, table_id: str, unix_ms: int) -> Metadata:
        """The `metaData` action.

        Raises:
            InvalidSchema: A type Delta lacks, duplicate names, or unusable partition columns.
            DataError: A property, the name or the description is not text, or a property that every
                writer reads has a value that it cannot have.
        """
        _check_texts(self)
        check_retention(self.configuration)
        # Names and ids in another table's files are none of this one's.
        schema_string = to_delta(without_protocol_keys(self.schema, is_of_files))
        check_partition_columns(to_arrow(schema_string), self.partition_by)
        check_indexed(to_arrow(schema_string), self.partition_by, self.configuration)
        return Metadata(
            id=table_id,
            schema_string=schema_string,
            partition_columns=tuple(self.partition_by),
            # NumPy's texts are encoded by no one.
            configuration={str(name): str(text) for name, text in self.configuration.items()},
            name=self.name and str(self.name),
            description=self.description and str(self.description),
            created_time=unix_ms,
        )


def _check_texts(spec: TableSpec) -> None:
    """Refuse what would be in the log as something else than text: no reader takes such a log."""
    if not isinstance(spec.configuration, Mapping):
        raise DataError(f"configuration maps names to texts, got {spec.configuration!r}")
    for name, value in spec.configuration.items():
        if not _is_text(name) or not _is_text(value):
            raise DataError(f"a table property is text named by text, got {name!r}: {value!r}")
    for what, words in (("name", spec.name), ("description", spec.description)):
        if words is not None and not _is_text(words):
            raise DataError(f"the {what} of a table is text, got {words!r}")


def _is_text(value: object) -> bool:
    """Whether a value is a string that UTF-8 has, as it does not half of a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def create_intent(spec: TableSpec, staged: Staged, table_id: str) -> Intent:
    """The intent of version 0.

    Args:
        spec: The table.
        staged: Files to begin with, if any; they were written for `spec`.
        table_id: A fresh GUID.

    Raises:
        InvalidSchema, DataError: See `TableSpec.metadata`.
        UnsupportedTableFeature: A property asks for a feature that is not written here.
    """
    metadata = spec.metadata(table_id, staged.unix_ms)
    protocol = required_protocol(to_arrow(metadata.schema_string), spec.configuration)
    return Intent(
        commit_id=staged.commit_id,
        base_version=NO_TABLE,
        actions=(protocol, metadata, *staged.txn_actions, *staged.adds),
        operation="CREATE TABLE AS SELECT" if staged.adds else "CREATE TABLE",
        parameters={
            "isManaged": "false",
            "description": metadata.description or "",
            "partitionBy": json.dumps(list(spec.partition_by)),
            "properties": json.dumps(dict(metadata.configuration)),
        },
        txn=staged.txn,
        user_info=staged.user_info,
    )
