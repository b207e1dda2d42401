"""Adds the columns that rows bring to the table that they go to, in their commit.

The columns are added only if they are still missing in the snapshot that the commit is planned on: one that
turns out to change nothing writes no metadata. What they need of the protocol is turned on along with them.
In a table that maps its columns they get names and ids of their own, which the files already have: if
somebody else changed the schema meanwhile, the files cannot be used.
"""

from collections.abc import Callable

import msgspec
import pyarrow as pa

from atomic_manifest.data.input.frame_schema import PROPERTY, learned
from atomic_manifest.errors import SchemaMismatch
from atomic_manifest.log.actions import Action
from atomic_manifest.log.metadata.column_mapping import named, with_greatest_id
from atomic_manifest.log.metadata.evolution import extended, holds, of_rows, without_metadata
from atomic_manifest.log.metadata.features import upgraded
from atomic_manifest.log.metadata.schema import to_delta
from atomic_manifest.log.state.snapshot import Snapshot


def merged(snapshot: Snapshot, given: pa.Schema, new_name: Callable[[], str]) -> pa.Schema | None:
    """The table's schema with the columns of `given` that it lacks; None if it lacks none.

    Args:
        snapshot: The table.
        given: Of rows that are to be written.
        new_name: Gives names that nobody has, for columns of a mapped table.

    Raises:
        SchemaMismatch, InvalidSchema: See `log.metadata.evolution.extended`.
        UnsupportedTableFeature: A new column needs a feature that is not written here.
    """
    plain = pa.schema(list(map(without_metadata, of_rows(given))))
    schema = extended(snapshot.schema, plain)
    if schema is snapshot.schema:
        return None
    upgraded(snapshot.protocol, schema)
    if snapshot.column_mapping.is_on:
        schema = named(schema, snapshot.configuration, lambda: f"col-{new_name()}")
    # What a frame knows of its columns goes along to where the metadata is planned.
    memory = learned(snapshot.configuration, given, set(schema.names) - set(snapshot.schema.names))
    return schema if memory is None else schema.with_metadata({PROPERTY: memory})


def schema_actions(schema: pa.Schema | None, snapshot: Snapshot) -> tuple[Action, ...]:
    """What adds the columns to the table that it lacks.

    Args:
        schema: What files were written with; None if they bring no columns.
        snapshot: The table, to which others may have added columns since.

    Raises:
        SchemaMismatch: A column is there by now, with another type.
    """
    if schema is None:
        return ()
    grown = extended(snapshot.schema, schema)
    if not holds(grown, schema):
        raise SchemaMismatch(
            "somebody else added columns of the same names with other types meanwhile",
            columns=tuple(schema.names),
        )
    if grown is snapshot.schema:
        return ()
    configuration = dict(snapshot.configuration)
    if (memory := (schema.metadata or {}).get(PROPERTY.encode())) is not None:
        configuration[PROPERTY] = memory.decode()
    if snapshot.column_mapping.is_on:
        configuration = dict(with_greatest_id(configuration, grown))
    metadata = msgspec.structs.replace(
        snapshot.metadata, schema_string=to_delta(grown), configuration=configuration
    )
    protocol = upgraded(snapshot.protocol, grown)
    return (metadata,) if protocol == snapshot.protocol else (protocol, metadata)
