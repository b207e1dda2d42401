"""Logs whose fields have odd values end in a right answer or in an error of ours."""

import copy
import json
import random
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import AtomicManifestError
from atomic_manifest.log.entry import entry_path

SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": "i", "type": "long", "nullable": True, "metadata": {}},
        {"name": "p", "type": "string", "nullable": True, "metadata": {}},
        {
            "name": "s",
            "type": {
                "type": "struct",
                "fields": [{"name": "x", "type": "decimal(5,2)", "nullable": True, "metadata": {}}],
            },
            "nullable": True,
            "metadata": {},
        },
    ],
}
STATS = {
    "numRecords": 1,
    "minValues": {"i": 1, "s": {"x": 1.5}},
    "maxValues": {"i": 1, "s": {"x": 1.5}},
    "nullCount": {"i": 0, "s": {"x": 0}},
}
VECTOR = {
    "storageType": "u",
    "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^",
    "offset": 4,
    "sizeInBytes": 40,
    "cardinality": 1,
}


def log(path: str) -> list[list[dict]]:
    """Three entries of another engine, with every field that an action can have."""
    file = {
        "path": path,
        "partitionValues": {"p": "a"},
        "size": 100,
        "modificationTime": 1,
        "dataChange": True,
        "stats": STATS,
        "tags": {"a": "b"},
        "baseRowId": 1,
        "defaultRowCommitVersion": 1,
        "clusteringProvider": "x",
    }
    metadata = {
        "id": "t",
        "name": "n",
        "description": "d",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": SCHEMA,
        "partitionColumns": ["p"],
        "createdTime": 1,
        "configuration": {
            "delta.checkpointInterval": "10",
            "delta.logRetentionDuration": "interval 30 days",
            "delta.dataSkippingNumIndexedCols": "32",
            "delta.enableInCommitTimestamps": "false",
            "delta.appendOnly": "false",
            "delta.isolationLevel": "Serializable",
            "delta.columnMapping.mode": "none",
            "delta.targetFileSize": "1",
            "delta.setTransactionRetentionDuration": "interval 1 day",
        },
    }
    return [
        [
            {"commitInfo": {"timestamp": 1, "operation": "WRITE", "inCommitTimestamp": 1}},
            {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
            {"metaData": metadata},
            {"add": file},
        ],
        [
            {"txn": {"appId": "a", "version": 1, "lastUpdated": 1}},
            {"add": file | {"path": "gone.parquet"}},
        ],
        [
            {
                "remove": {
                    "path": "gone.parquet",
                    "dataChange": True,
                    "deletionTimestamp": 1,
                    "partitionValues": {"p": "a"},
                    "size": 1,
                    "deletionVector": VECTOR,
                }
            },
            {"remove": {"path": "gone.parquet", "dataChange": True}},
            {"domainMetadata": {"domain": "d", "configuration": "{}", "removed": False}},
        ],
    ]


DEEP = "@deep"
"""Stands for a type that is nested more deeply than a parser follows."""

_LEVELS = 3000
_DEEP = b'{"type":"array","containsNull":true,"elementType":' * _LEVELS + b'"long"' + b"}" * _LEVELS


ODD = [
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    1e308,
    1.5,
    "",
    "x",
    "\u0000",
    "\u0663",
    "9" * 5000,
    "../x",
    "/etc/passwd",
    "s3://other/x",
    [],
    [None],
    [1],
    {},
    {"": None},
    {"x": {"y": 1}},
    DEEP,
]


def places(node, path=()):
    """Where values stand in a document."""
    if path:
        yield path
    children = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, child in children:
        yield from places(child, (*path, key))


def changed(document, path, value):
    """The document with another value, or none (`KeyError`), in a place."""
    result = copy.deepcopy(document)
    *above, last = path
    node = result
    for key in above:
        node = node[key]
    if value is KeyError:
        del node[last]
    else:
        node[last] = value
    return result


def line(action) -> bytes:
    """An action as it stands in an entry: documents in strings are text."""
    action = copy.deepcopy(action)
    for name, field in (("metaData", "schemaString"), ("add", "stats")):
        fields = action.get(name) if isinstance(action, dict) else None
        if isinstance(fields, dict) and isinstance(fields.get(field), dict | list):
            fields[field] = json.dumps(fields[field])
    data = json.dumps(action).encode()
    data = data.replace(b'\\"@deep\\"', _DEEP.replace(b'"', b'\\"'))
    return data.replace(b'"@deep"', _DEEP)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = pa.table(
        {
            "i": [1],
            "p": ["a"],
            "s": pa.array([{"x": None}], pa.struct([("x", pa.decimal128(5, 2))])),
        }
    )
    am.append(folder / "t", rows, partition_by=["p"])
    (file,) = (folder / "t").rglob("*.parquet")
    return file.read_bytes()


def uses(url: Path):
    """What users do with a table."""
    yield lambda: am.Table.open(url).to_arrow()
    yield lambda: am.read_table(url, filters="i > 0 and p = 'a'")
    yield lambda: am.Table.open(url).files(filter="i = 1").to_pylist()
    yield lambda: list(am.Table.open(url).history())
    yield lambda: am.Table.open(url, version=1).to_arrow()
    yield lambda: am.Table.open(url).checkpoint()
    yield lambda: am.Table.open(url).to_arrow()
    yield lambda: am.Table.open(url).cleanup_metadata()
    yield lambda: am.append(
        url,
        pa.table({"i": [2], "p": ["b"], "s": pa.nulls(1, pa.struct([("x", pa.decimal128(5, 2))]))}),
    )
    yield lambda: am.Table.open(url).delete("i = 2")


def check(url: Path, entries, data: bytes) -> None:
    """Write a log, use it, and see that whatever is raised is an error of ours."""
    (url / "_delta_log").mkdir(parents=True)
    (url / "f.parquet").write_bytes(data)
    (url / "gone.parquet").write_bytes(data)
    for version, actions in enumerate(entries):
        (url / entry_path(version)).write_bytes(
            b"".join(line(action) + b"\n" for action in actions)
        )
    for use in uses(url):
        try:
            use()
        except AtomicManifestError as error:
            assert str(error)  # noqa: PT017


def cases():
    """Every place with every odd value, or without any."""
    entries = log("f.parquet")
    for path in places(entries):
        if len(path) > 2:
            for value in (KeyError, *ODD):
                yield path, value


def _run(tmp_path, data, chosen):
    entries = log("f.parquet")
    for number, (path, value) in enumerate(chosen):
        try:
            check(tmp_path / str(number), changed(entries, path, value), data)
        except BaseException as error:
            error.add_note(f"at {path} stands {str(value)[:80]}")
            raise


@pytest.mark.filterwarnings("ignore:.*damaged checkpoint:RuntimeWarning")
@pytest.mark.parametrize("seed", range(3))
def test_odd_values_end_in_errors_of_ours(tmp_path, data, seed):
    every = list(cases())
    _run(tmp_path, data, random.Random(seed).sample(every, 25))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore:.*damaged checkpoint:RuntimeWarning")
def test_odd_values_everywhere_end_in_errors_of_ours(tmp_path, data):
    _run(tmp_path, data, cases())


def test_the_log_without_odd_values_is_read(tmp_path, data):
    check(tmp_path / "t", log("f.parquet"), data)
    assert am.read_table(tmp_path / "t", columns=["i"]).to_pydict() == {"i": [1]}
    assert msgspec.json.decode((tmp_path / "t" / entry_path(3)).read_bytes().splitlines()[0])
