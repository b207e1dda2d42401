import json
from pathlib import Path

import pyarrow as pa
import pytest

from atomic_manifest.errors import CorruptLog, UnsupportedTableFeature
from atomic_manifest.log.actions import Metadata, Protocol
from atomic_manifest.log.metadata import features
from atomic_manifest.log.metadata.features import (
    check_readable,
    check_writable,
    is_append_only,
    required_protocol,
    upgraded,
)
from atomic_manifest.log.metadata.schema import to_arrow, to_delta

PLAIN = pa.schema([("x", pa.int64())])


def _metadata(configuration=None, **column_metadata):
    fields = [{"name": "x", "type": "long", "nullable": True, "metadata": column_metadata}]
    schema = json.dumps({"type": "struct", "fields": fields})
    return Metadata(id="t", schema_string=schema, configuration=configuration or {})


def _protocol(reader, writer, reader_features=None, writer_features=None):
    return Protocol(
        min_reader_version=reader,
        min_writer_version=writer,
        reader_features=reader_features,
        writer_features=writer_features,
    )


@pytest.mark.parametrize(
    "protocol",
    [
        _protocol(1, 2),
        _protocol(2, 5),
        _protocol(1, 7, None, ["domainMetadata"]),
        _protocol(3, 7, [], []),
        _protocol(3, 7, ["timestampNtz", "vacuumProtocolCheck"], ["rowTracking"]),
        _protocol(3, 7, ["deletionVectors", "columnMapping", "v2Checkpoint"], ["clustering"]),
        _protocol(3, 7, ["typeWidening", "variantType"], ["icebergCompatV2", "unheardOf"]),
    ],
)
def test_tables_whose_readers_need_nothing_we_lack_are_readable(protocol):
    check_readable(protocol, _metadata({"delta.columnMapping.mode": "none"}))


@pytest.mark.parametrize(
    ("protocol", "names"),
    [
        (_protocol(4, 7), ("minReaderVersion 4",)),
        (_protocol(3, 7, ["x", "deletionVectors", "y"], []), ("x", "y")),
        (_protocol(3, 7, ["catalogManaged", "timestampNtz"], []), ("catalogManaged",)),
        (_protocol(3, 7, ["variantShredding-preview"], []), ("variantShredding-preview",)),
    ],
)
def test_what_a_reader_lacks_is_named(protocol, names):
    with pytest.raises(UnsupportedTableFeature) as caught:
        check_readable(protocol, _metadata())
    assert caught.value.names == names
    for name in names:
        assert name in str(caught.value)


@pytest.mark.parametrize("mode", ["name", "id"])
def test_column_mapping_that_is_on_is_read_and_written(mode):
    metadata = _metadata({"delta.columnMapping.mode": mode})
    check_readable(_protocol(2, 5), metadata)
    check_writable(_protocol(2, 5), metadata)


def test_a_mode_of_column_mapping_that_there_is_not_is_corrupt():
    with pytest.raises(CorruptLog, match="colour"):
        check_readable(_protocol(2, 5), _metadata({"delta.columnMapping.mode": "colour"}))


def test_feature_versions_without_a_list_of_features_are_corrupt():
    with pytest.raises(CorruptLog, match="reader features"):
        check_readable(_protocol(3, 7), _metadata())
    with pytest.raises(CorruptLog, match="writer features"):
        check_writable(_protocol(1, 7), _metadata())


@pytest.mark.parametrize("writer", [1, 2, 3, 4, 5, 6])
def test_legacy_writer_versions_are_writable_while_nothing_is_active(writer):
    check_writable(_protocol(1, writer), _metadata({"delta.appendOnly": "true"}))


KEPT = [
    "appendOnly",
    "invariants",
    "timestampNtz",
    "vacuumProtocolCheck",
    "checkConstraints",
    "generatedColumns",
    "identityColumns",
    "changeDataFeed",
    "columnMapping",
    "allowColumnDefaults",
    "deletionVectors",
    "domainMetadata",
    "icebergCompatV1",
    "icebergCompatV2",
    "inCommitTimestamp",
    "typeWidening",
    "v2Checkpoint",
]


def test_listed_features_that_are_not_active_bind_nobody():
    check_writable(_protocol(3, 7, ["timestampNtz"], KEPT), _metadata())


@pytest.mark.parametrize(
    "name",
    ["rowTracking", "clustering", "checkpointProtection", "variantType", "collations", "unheardOf"],
)
def test_other_listed_writer_features_are_refused_by_name(name):
    with pytest.raises(UnsupportedTableFeature) as caught:
        check_writable(_protocol(1, 7, None, ["appendOnly", name]), _metadata())
    assert caught.value.names == (name,)


ACTIVE = [
    ({"delta.constraints.positive": "x > 0"}, {}, "checkConstraints"),
    ({"delta.enableChangeDataFeed": "true"}, {}, "changeDataFeed"),
    ({"delta.enableIcebergCompatV2": "TRUE"}, {}, "icebergCompatV2"),
    ({"delta.enableRowTracking": "true"}, {}, "rowTracking"),
    ({"delta.enableInCommitTimestamps": "true"}, {}, "inCommitTimestamp"),
    ({"delta.universalFormat.enabledFormats": "iceberg"}, {}, "universalFormat"),
    ({}, {"delta.invariants": "{}"}, "invariants"),
    ({}, {"delta.generationExpression": "1"}, "generatedColumns"),
    ({}, {"delta.identity.start": 1}, "identityColumns"),
    ({}, {"CURRENT_DEFAULT": "1"}, "allowColumnDefaults"),
]


@pytest.mark.parametrize(("configuration", "column", "name"), ACTIVE)
def test_active_features_that_ask_more_of_writers_are_refused_by_name(configuration, column, name):
    metadata = _metadata(configuration, **column)
    with pytest.raises(UnsupportedTableFeature) as caught:
        check_writable(_protocol(1, 6), metadata)
    assert caught.value.names == (name,)
    with pytest.raises(UnsupportedTableFeature) as caught:
        required_protocol(to_arrow(metadata.schema_string), configuration)
    assert caught.value.names == (name,)


@pytest.mark.parametrize(
    ("configuration", "name"),
    [
        ({"delta.enableDeletionVectors": "TRUE"}, "deletionVectors"),
        ({"delta.columnMapping.mode": "name"}, "columnMapping"),
        ({"delta.enableTypeWidening": "true"}, "typeWidening"),
    ],
)
def test_what_binds_writers_to_what_ours_do_is_written_but_no_new_table_gets_it(
    configuration, name
):
    metadata = _metadata(configuration)
    check_writable(_protocol(1, 7, None, [name]), metadata)
    with pytest.raises(UnsupportedTableFeature) as caught:
        required_protocol(PLAIN, configuration)
    assert caught.value.names == (name,)


def test_all_that_is_lacking_is_named_at_once():
    protocol = _protocol(1, 8, None, ["rowTracking"])
    with pytest.raises(UnsupportedTableFeature) as caught:
        check_writable(
            protocol, _metadata({"delta.constraints.a": "1", "delta.constraints.b": "1"})
        )
    assert caught.value.names == ("checkConstraints", "minWriterVersion 8")


def test_a_schema_that_cannot_be_read_is_a_corrupt_log():
    with pytest.raises(CorruptLog, match="not Delta schema JSON"):
        check_writable(_protocol(1, 2), Metadata(id="t", schema_string="x"))


def test_a_plain_new_table_needs_the_least_protocol():
    configuration = {"delta.enableDeletionVectors": "false", "delta.checkpointPolicy": "classic"}
    assert required_protocol(PLAIN, configuration) == _protocol(1, 2)


def test_timestamp_ntz_at_any_depth_needs_its_feature():
    schema = pa.schema([("a", pa.list_(pa.struct([("t", pa.timestamp("us"))])))])
    protocol = required_protocol(schema, {})
    assert (protocol.min_reader_version, protocol.min_writer_version) == (3, 7)
    assert protocol.reader_features == ("timestampNtz",)
    assert set(protocol.writer_features) == {"appendOnly", "invariants", "timestampNtz"}
    check_writable(protocol, Metadata(id="t", schema_string=to_delta(schema)))


def test_a_new_table_with_a_variant_is_refused():
    field = {"name": "v", "type": "variant", "nullable": True, "metadata": {}}
    schema = to_arrow(json.dumps({"type": "struct", "fields": [field]}))
    with pytest.raises(UnsupportedTableFeature, match="variantType"):
        required_protocol(schema, {})


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("delta.feature.rowTracking", "rowTracking"),
        ("delta.minWriterVersion", "delta.minWriterVersion"),
    ],
)
def test_properties_that_ask_for_a_protocol_are_refused_at_creation(key, name):
    with pytest.raises(UnsupportedTableFeature) as caught:
        required_protocol(PLAIN, {key: "supported"})
    assert caught.value.names == (name,)


@pytest.mark.parametrize(
    ("protocol", "value", "expected"),
    [
        (_protocol(1, 2), "true", True),
        (_protocol(1, 2), "false", False),
        (_protocol(1, 2), None, False),
        (_protocol(1, 1), "true", False),
        (_protocol(1, 7, None, ["appendOnly"]), "True", True),
        (_protocol(1, 7, None, []), "true", False),
    ],
)
def test_append_only_needs_the_property_and_a_protocol_that_knows_it(protocol, value, expected):
    configuration = {} if value is None else {"delta.appendOnly": value}
    assert is_append_only(protocol, _metadata(configuration)) is expected


def test_the_docs_tell_of_every_feature_that_is_known_here():
    text = (Path(__file__).parents[3] / "docs" / "features.md").read_text()
    known = features._READ | features._WRITTEN | set(features._FLAGS.values())
    known |= set(features._PREFIXES.values()) | set(features._COLUMN_KEYS.values())
    assert [name for name in sorted(known) if f"`{name}`" not in text] == []


NAIVE = pa.schema([("at", pa.list_(pa.timestamp("us")))])


@pytest.mark.parametrize(
    ("versions", "readers", "writers", "expected_readers", "expected_writers"),
    [
        ((1, 1), None, None, (), ()),
        ((1, 2), None, None, (), ("appendOnly", "invariants")),
        ((1, 3), None, None, (), ("appendOnly", "invariants", "checkConstraints")),
        (
            (1, 4),
            None,
            None,
            (),
            ("appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns"),
        ),
        (
            (2, 5),
            None,
            None,
            ("columnMapping",),
            (
                "appendOnly",
                "invariants",
                "checkConstraints",
                "changeDataFeed",
                "generatedColumns",
                "columnMapping",
            ),
        ),
        (
            (1, 6),
            None,
            None,
            (),
            (
                "appendOnly",
                "invariants",
                "checkConstraints",
                "changeDataFeed",
                "generatedColumns",
                "identityColumns",
            ),
        ),
        ((1, 7), None, ("appendOnly",), (), ("appendOnly",)),
        ((2, 7), None, ("columnMapping",), ("columnMapping",), ("columnMapping",)),
        (
            (3, 7),
            ("deletionVectors",),
            ("deletionVectors", "appendOnly"),
            ("deletionVectors",),
            ("deletionVectors", "appendOnly"),
        ),
    ],
)
def test_versions_that_imply_features_become_lists_that_say_the_same_and_more(
    versions, readers, writers, expected_readers, expected_writers
):
    protocol = _protocol(*versions, readers, writers)
    found = upgraded(protocol, NAIVE)
    assert (found.min_reader_version, found.min_writer_version) == (3, 7)
    assert found.reader_features == (*expected_readers, "timestampNtz")
    assert found.writer_features == (*expected_writers, "timestampNtz")
    assert upgraded(found, NAIVE) is found
    assert upgraded(protocol, pa.schema([("a", pa.int64())])) is protocol
