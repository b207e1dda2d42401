"""What this library understands of the protocol's versions, features and table properties.

Invariants: nothing is ignored. A feature that cannot be honoured is refused by name, before anything
is touched. A feature that a table merely lists, and whose metadata is absent, binds nobody
(protocol, "Active Features"), so a listed name is refused only if being listed is enough to matter;
a property or column metadata that would make a feature active is refused whatever the protocol says.

Error semantics: `UnsupportedTableFeature`, its `names` holding every feature that is lacking; a
protocol or schema that contradicts itself is `CorruptLog`.
"""

from collections.abc import Iterator, Mapping

import msgspec
import pyarrow as pa

from atomic_manifest.errors import CorruptLog, InvalidSchema, UnsupportedTableFeature
from atomic_manifest.log.actions import Metadata, Protocol
from atomic_manifest.log.entry import LOG_FOLDER
from atomic_manifest.log.metadata.column_mapping import column_mapping
from atomic_manifest.log.metadata.schema import is_variant, to_arrow, walk

_FEATURE_READER = 3
_FEATURE_WRITER = 7

_READ = frozenset(
    {
        "columnMapping",
        "deletionVectors",
        "timestampNtz",
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",
        "variantType",
        "variantType-preview",
    }
)
_WRITTEN = frozenset(
    {
        "allowColumnDefaults",
        "appendOnly",
        "changeDataFeed",
        "checkConstraints",
        "columnMapping",
        "deletionVectors",
        "domainMetadata",
        "generatedColumns",
        "icebergCompatV1",
        "icebergCompatV2",
        "identityColumns",
        "inCommitTimestamp",
        "invariants",
        "timestampNtz",
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",
    }
)

# Active, these bind writers to what ours do: they write no deletion vector, change no type, and write
# checkpoints of the kind that the table asks for.
_KEPT = frozenset({"columnMapping", "deletionVectors", "typeWidening", "v2Checkpoint"})

_FLAGS = {
    "delta.enableChangeDataFeed": "changeDataFeed",
    "delta.enableDeletionVectors": "deletionVectors",
    "delta.enableIcebergCompatV1": "icebergCompatV1",
    "delta.enableIcebergCompatV2": "icebergCompatV2",
    "delta.enableIcebergCompatV3": "icebergCompatV3",
    "delta.enableInCommitTimestamps": "inCommitTimestamp",
    "delta.enableRowTracking": "rowTracking",
    "delta.enableTypeWidening": "typeWidening",
    "delta.enableVariantShredding": "variantShredding",
}
_PREFIXES = {
    "delta.constraints.": "checkConstraints",
    "delta.coordinatedCommits.": "coordinatedCommits",
}
_COLUMN_KEYS = {
    b"delta.invariants": "invariants",
    b"delta.generationExpression": "generatedColumns",
    b"CURRENT_DEFAULT": "allowColumnDefaults",
}
_MAPPING_READER = 2
_MAPPING = ("columnMapping",)
# The writer versions that imply a feature each (protocol, "Valid Feature Names in Table Features").
_IMPLIED = {
    "appendOnly": 2,
    "invariants": 2,
    "checkConstraints": 3,
    "changeDataFeed": 4,
    "generatedColumns": 4,
    "columnMapping": 5,
    "identityColumns": 6,
}
_IDENTITY_PREFIX = b"delta.identity."
_FEATURE_PREFIX = "delta.feature."
_VERSION_PROPERTIES = ("delta.minReaderVersion", "delta.minWriterVersion")


def check_readable(protocol: Protocol, metadata: Metadata) -> None:
    """Check that we know how to read what the table's log and files hold.

    Raises:
        UnsupportedTableFeature: A reader version or feature we lack.
        CorruptLog: Reader version 3 without a list of features, or no such mode of column mapping.
    """
    version = protocol.min_reader_version
    names = []
    if version > _FEATURE_READER:
        names.append(f"minReaderVersion {version}")
    if version == _FEATURE_READER:
        names += [name for name in _listed(protocol, "reader_features") if name not in _READ]
    _refuse(names, "read")
    column_mapping(protocol, metadata)


def check_writable(protocol: Protocol, metadata: Metadata) -> None:
    """Check that a commit of ours would keep every rule the table asks its writers to keep.

    Raises:
        UnsupportedTableFeature: A version or feature we lack, or one that is active and asks more of
            writers than we do (constraints, generated columns, change data feed, ...).
        CorruptLog: Writer version 7 without a list of features, or a schema that cannot be read.
    """
    check_readable(protocol, metadata)
    version = protocol.min_writer_version
    active = _active(_schema(metadata), metadata.configuration)
    names = [name for name in active if name not in _KEPT]
    if version > _FEATURE_WRITER:
        names.append(f"minWriterVersion {version}")
    if version == _FEATURE_WRITER:
        names += [name for name in _listed(protocol, "writer_features") if name not in _WRITTEN]
    _refuse(names, "written")


def required_protocol(schema: pa.Schema, configuration: Mapping[str, str]) -> Protocol:
    """The least protocol a new table of ours needs.

    Returns:
        Versions 1 and 2; or 3 and 7 with `timestampNtz`, if a column has that type at any depth, and
        with `v2Checkpoint`, if `delta.checkpointPolicy` asks for it.

    Raises:
        UnsupportedTableFeature: The schema or a property asks for a feature we lack.
    """
    active = set(_active(schema, configuration))
    names = [name for name in _active(schema, configuration) if name != "v2Checkpoint"]
    names += [
        key.removeprefix(_FEATURE_PREFIX)
        for key in configuration
        if key.startswith(_FEATURE_PREFIX)
    ]
    names += [key for key in _VERSION_PROPERTIES if key in configuration]
    _refuse(names, "created")
    needed: tuple[str, ...] = ("timestampNtz",) if _has_timestamp_ntz(schema) else ()
    if "v2Checkpoint" in active:
        needed = (*needed, "v2Checkpoint")
    if not needed:
        return Protocol(min_reader_version=1, min_writer_version=2)
    return Protocol(
        min_reader_version=_FEATURE_READER,
        min_writer_version=_FEATURE_WRITER,
        reader_features=needed,
        writer_features=("appendOnly", "invariants", *needed),
    )


def upgraded(protocol: Protocol, schema: pa.Schema) -> Protocol:
    """The protocol with the features that columns of a schema need.

    Versions that imply features become lists of them, which say the same (protocol, "Table Features").

    Args:
        protocol: The table's, which is written already.
        schema: What its schema is to be.

    Returns:
        `protocol` itself if it has them all.

    Raises:
        UnsupportedTableFeature: A column needs a feature we lack.
    """
    plain = pa.schema([field.remove_metadata() for field in schema])
    needed = required_protocol(plain, {}).reader_features or ()
    readers, writers = _reader_features(protocol), _writer_features(protocol)
    if {*needed} <= {*readers} & {*writers}:
        return protocol
    return msgspec.structs.replace(
        protocol,
        min_reader_version=_FEATURE_READER,
        min_writer_version=_FEATURE_WRITER,
        reader_features=tuple(dict.fromkeys((*readers, *needed))),
        writer_features=tuple(dict.fromkeys((*writers, *needed))),
    )


def _reader_features(protocol: Protocol) -> tuple[str, ...]:
    if protocol.min_reader_version >= _FEATURE_READER:
        return _listed(protocol, "reader_features")
    return _MAPPING if protocol.min_reader_version == _MAPPING_READER else ()


def _writer_features(protocol: Protocol) -> tuple[str, ...]:
    version = protocol.min_writer_version
    if version >= _FEATURE_WRITER:
        return _listed(protocol, "writer_features")
    names = tuple(name for name, since in _IMPLIED.items() if since <= version)
    # A feature of readers and writers is on both lists or on none.
    mapped = protocol.min_reader_version >= _MAPPING_READER
    return names if mapped else tuple(name for name in names if name not in _MAPPING)


def is_append_only(protocol: Protocol, metadata: Metadata) -> bool:
    """Whether commits may only add rows (protocol, "Append-only Tables")."""
    if not _is_true(metadata.configuration.get("delta.appendOnly")):
        return False
    if protocol.min_writer_version >= _FEATURE_WRITER:
        return "appendOnly" in (protocol.writer_features or ())
    return protocol.min_writer_version > 1


def _active(schema: pa.Schema, configuration: Mapping[str, str]) -> Iterator[str]:
    if configuration.get("delta.columnMapping.mode", "none") != "none":
        yield "columnMapping"
    for key, value in configuration.items():
        if key in _FLAGS and _is_true(value):
            yield _FLAGS[key]
        if key == "delta.checkpointPolicy" and value != "classic":
            yield "v2Checkpoint"
        if key == "delta.universalFormat.enabledFormats" and value:
            yield "universalFormat"
        yield from (name for prefix, name in _PREFIXES.items() if key.startswith(prefix))
    yield from _active_in(schema)


def _active_in(schema: pa.Schema) -> Iterator[str]:
    for _, field in walk(schema):
        if is_variant(field.type):
            yield "variantType"
        for key in field.metadata or ():
            if key in _COLUMN_KEYS:
                yield _COLUMN_KEYS[key]
            elif key.startswith(_IDENTITY_PREFIX):
                yield "identityColumns"


def _listed(protocol: Protocol, field: str) -> tuple[str, ...]:
    names = getattr(protocol, field)
    if names is None:
        raise CorruptLog(
            f"{LOG_FOLDER}: a protocol of versions {protocol.min_reader_version} and "
            f"{protocol.min_writer_version} without its {field.replace('_', ' ')}",
            path=LOG_FOLDER,
            version=None,
        )
    return tuple(names)


def _schema(metadata: Metadata) -> pa.Schema:
    try:
        return to_arrow(metadata.schema_string)
    except InvalidSchema as error:
        raise CorruptLog(f"{LOG_FOLDER}: {error}", path=LOG_FOLDER, version=None) from error


def _has_timestamp_ntz(schema: pa.Schema) -> bool:
    return any(
        pa.types.is_timestamp(field.type) and field.type.tz is None for _, field in walk(schema)
    )


def _is_true(value: str | None) -> bool:
    return value is not None and value.lower() == "true"


def _refuse(names: list[str], verb: str) -> None:
    if names:
        unique = tuple(dict.fromkeys(names))
        raise UnsupportedTableFeature(
            f"the table cannot be {verb}: it needs {', '.join(unique)}", names=unique
        )
