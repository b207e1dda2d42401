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
        {"metaData": {"id": "t", "schemaString": "{}", "partitionColumns": ["p"], "new": [1]}},
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
        (_lines({"metaData": {"id": 1, "schemaString": ""}}), "str"),
        (_lines(*[{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}] * 2), "protocol"),
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
