import json

import pytest

from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.actions import (
    Add,
    Cdc,
    CommitInfo,
    DeletionVector,
    DomainMetadata,
    Metadata,
    Protocol,
    Remove,
    Txn,
)
from atomic_manifest.log.entry import CommitRecord, commit_info, decode, encode, entry_path, seal

METADATA = {"id": "t", "schemaString": "{}", "partitionColumns": [], "configuration": {}}
ADD = {"path": "f", "partitionValues": {}, "size": 1, "modificationTime": 2, "dataChange": True}


def _lines(*lines):
    return "\n".join(map(json.dumps, lines)).encode()


def test_every_action_survives_the_way_through_an_entry():
    vector = DeletionVector(
        storage_type="u", path_or_inline_dv="x", size_in_bytes=1, cardinality=2, offset=3
    )
    assert vector.unique_id == "ux@3"
    add = Add(
        path="a",
        partition_values={"p": None},
        size=1,
        modification_time=2,
        data_change=False,
        deletion_vector=vector,
    )
    remove = Remove(path="b", data_change=False, deletion_timestamp=4)
    cdc = Cdc(path="c", partition_values={}, size=1)
    txn = Txn(app_id="app", version=1)
    domain = DomainMetadata(domain="d", configuration="{}")
    protocol = Protocol(min_reader_version=1, min_writer_version=2)
    metadata = Metadata(id="t", schema_string="{}", partition_columns=["p"])
    info = CommitInfo(fields={"isBlindAppend": True})
    entry = decode(encode([info, protocol, metadata, add, remove, cdc, txn, domain]), 3)
    assert (entry.version, entry.protocol, entry.metadata) == (3, protocol, metadata)
    assert (entry.adds, entry.removes, entry.cdcs) == ((add,), (remove,), (cdc,))
    assert (entry.txns, entry.domain_metadata) == ((txn,), (domain,))
    assert entry.commit_info == {"isBlindAppend": True}
    assert entry.blind_append


def test_unknown_fields_of_metadata_and_protocol_survive_a_rewrite():
    lines = [
        {"metaData": METADATA | {"partitionColumns": ["p"], "new": [1]}},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2, "newer": {}}},
    ]
    entry = decode(_lines(*lines, {"unheardOf": {}}), 0)
    again = decode(encode([entry.metadata, entry.protocol]), 0)
    assert (again.metadata, again.protocol) == (entry.metadata, entry.protocol)
    assert entry.metadata.extra == {"new": [1]}
    assert entry.protocol.extra == {"newer": {}}


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"x", "line 1"),
        (b'{"txn":{"appId":"a","version":1}}\n\n{"add":{"path":"a"}}', "line 3"),
        (b'{"commitInfo":{"a":"\xff"}}', "line 1"),
        (_lines({"metaData": METADATA | {"id": 1}}), "metaData.*str"),
        (_lines({"protocol": {"minReaderVersion": 1}}), "protocol.*minWriterVersion"),
    ],
)
def test_bytes_that_are_no_entry_are_refused_naming_file_and_line(data, named):
    with pytest.raises(CorruptLog, match=f"{entry_path(9)}.*{named}") as caught:
        decode(data, 9)
    assert caught.value.version == 9


@pytest.mark.parametrize(
    "number", [{"size": 2**63}, {"modificationTime": -(2**63) - 1}, {"baseRowId": 10**30}]
)
def test_a_number_that_no_column_can_hold_is_refused_with_its_entry(number):
    action = {"path": "f", "partitionValues": {}, "size": 1, "modificationTime": 2}
    data = _lines({"add": {**action, "dataChange": True, **number}})
    with pytest.raises(CorruptLog, match=entry_path(4)):
        decode(data, 4)


@pytest.mark.parametrize("read_version", [None, 4])
def test_an_entry_of_ours_names_its_commits(read_version):
    records = (
        CommitRecord(id="a", operation="WRITE", txn=("app", 3)),
        CommitRecord(id="b", operation="DELETE"),
    )
    info = commit_info(
        records,
        timestamp_ms=1,
        operation="WRITE",
        parameters={"mode": "Append"},
        read_version=read_version,
        isolation="Serializable",
        blind_append=False,
        engine="e",
        user={"note": "mine", "operation": "theirs"},
    )
    entry = decode(seal(encode([info]), 5), 5)
    assert entry.commits == records
    assert entry.holds("b")
    assert not entry.holds("c")
    assert not entry.blind_append
    assert entry.commit_info["note"] == "mine"
    assert entry.commit_info["operation"] == "WRITE"
    assert entry.commit_info.get("readVersion") == read_version


@pytest.mark.parametrize("provenance", [None, 5, {}, {"commits": [{"id": 1}]}, {"commits": "x"}])
def test_odd_provenance_is_no_error(provenance):
    assert decode(_lines({"commitInfo": {"atomicManifest": provenance}}), 0).commits == ()


def _without(action, field):
    return {name: value for name, value in action.items() if name != field}


REQUIRED = {
    "add": ADD,
    "remove": {"path": "f"},
    "txn": {"appId": "a", "version": 1},
    "domainMetadata": {"domain": "d", "configuration": ""},
    "metaData": METADATA,
    "protocol": {"minReaderVersion": 1, "minWriterVersion": 2},
}


@pytest.mark.parametrize("value", ["nothing", None, [1]])
@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, action in REQUIRED.items() for field in action]
)
def test_a_required_field_is_required(kind, field, value):
    action = _without(REQUIRED[kind], field)
    if value != "nothing":
        action[field] = value
    if field == "partitionColumns" and value == [1]:
        value = [[1]]
    with pytest.raises(CorruptLog, match=entry_path(5)) as caught:
        decode(_lines({kind: action}), 5)
    assert caught.value.version == 5


VECTOR = {"storageType": "u", "pathOrInlineDv": "x", "sizeInBytes": 3, "cardinality": 1}


@pytest.mark.parametrize("field", list(VECTOR))
def test_a_required_field_of_a_deletion_vector_is_required(field):
    with pytest.raises(CorruptLog, match=field):
        decode(_lines({"add": ADD | {"deletionVector": _without(VECTOR, field)}}), 5)


def test_of_several_actions_that_replace_each_other_the_last_one_counts():
    old = {"minReaderVersion": 1, "minWriterVersion": 2}
    new = {"minReaderVersion": 1, "minWriterVersion": 4}
    lines = [{"metaData": METADATA}, {"protocol": old}, {"protocol": new}]
    entry = decode(_lines(*lines, {"metaData": METADATA | {"id": "u"}}), 0)
    assert (entry.metadata.id, entry.protocol.min_writer_version) == ("u", 4)


def test_what_is_wrong_with_a_replaced_action_is_of_no_concern():
    broken = {"metaData": {"id": "t"}}
    assert decode(_lines(broken, {"metaData": METADATA}), 0).metadata.id == "t"
    entry = decode(_lines(broken, {"protocol": {}}), 3, superseded=True)
    assert list(entry.faults) == ["protocol", "metaData"]
    for fault in entry.faults.values():
        assert (fault.path, fault.version) == (entry_path(3), 3)
    with pytest.raises(CorruptLog, match="metaData"):
        decode(_lines({"metaData": METADATA}, broken), 0)


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"commitInfo": None},
        {"commitInfo": "x"},
        {"commitInfo": [1]},
        {"future": [1]},
        {"future": 1},
        {"future": None},
        {"add": None},
        {"cdc": {"path": 1}},
        {"add": None, "commitInfo": {"timestamp": 1.5}},
        {"metaData": METADATA | {"configuration": {"x": None, "y": 10, "z": True, "w": {"a": 1}}}},
        {"metaData": METADATA | {"createdTime": 1.7e12, "name": 5, "description": [1]}},
        {"metaData": METADATA | {"createdTime": "x", "format": None}},
        {"metaData": METADATA | {"createdTime": 10**30, "format": {}}},
        {"txn": {"appId": "a", "version": 1, "lastUpdated": 1.7e12}},
        {"txn": {"appId": "a", "version": 1, "lastUpdated": 10**30}},
        {"remove": {"path": "f", "deletionTimestamp": 1.5, "tags": {"a": 1}, "size": "x"}},
        {"remove": {"path": "f", "deletionTimestamp": 10**30}},
    ],
    ids=str,
)
def test_what_no_reader_needs_makes_no_entry_unreadable(line):
    entry = decode(_lines({"add": ADD}, line, {"add": ADD | {"path": "g"}}), 0)
    assert [add.path for add in entry.adds] == ["f", "g"]
    assert decode(encode([*entry.adds, *entry.txns, *entry.removes]), 0).adds == entry.adds


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"modificationTime": 1.7e12}, "modification_time", 1_700_000_000_000),
        ({"modificationTime": 1.5}, "modification_time", 1),
        (
            {"tags": {"V": True, "n": 1, "x": None, "t": "t"}},
            "tags",
            {"V": "true", "n": "1", "t": "t"},
        ),
        ({"tags": "x"}, "tags", None),
        ({"stats": {"numRecords": 1}}, "stats", None),
        ({"clusteringProvider": 1}, "clustering_provider", None),
    ],
)
def test_what_no_reader_needs_of_a_file_is_mended_or_left_out(fields, name, value):
    (add,) = decode(_lines({"add": ADD | fields}), 0).adds
    assert getattr(add, name) == value


def test_properties_that_are_no_text_are_taken_as_json_spells_them():
    configuration = {"x": None, "delta.checkpointInterval": 10, "y": True, "z": "text"}
    entry = decode(_lines({"metaData": METADATA | {"configuration": configuration}}), 0)
    assert entry.metadata.configuration == {
        "delta.checkpointInterval": "10",
        "y": "true",
        "z": "text",
    }


@pytest.mark.parametrize(
    "line",
    [
        {"version": 3, "size": 5},
        {"add": ADD, "remove": {"path": "f"}},
        {"checkpointMetadata": {"version": 1}},
        {"sidecar": {"path": "x"}},
        [1],
        5,
        {"add": [1]},
        {"add": "x"},
        {"add": ADD | {"partitionValues": {"p": 1}}},
        {"add": ADD | {"deletionVector": {}}},
        {"metaData": 1},
    ],
    ids=str,
)
def test_what_decides_the_rows_of_a_table_is_as_the_protocol_says(line):
    with pytest.raises(CorruptLog, match=entry_path(0)):
        decode(_lines({"commitInfo": None}, line), 0)


@pytest.mark.parametrize("depth", [500, 100_000])
@pytest.mark.parametrize("kind", ["future", "add", "commitInfo"])
def test_deep_nesting_is_nothing_or_an_error_that_names_the_entry(kind, depth):
    data = b'{"%s":' % kind.encode() + b"[" * depth + b"]" * depth + b"}"
    try:
        found = decode(data, 2)
    except CorruptLog as error:
        found = error
    assert found.version == 2
