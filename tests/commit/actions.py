"""Small actions, entries and intents, and hypothesis strategies of them, for the tests of this folder."""

import json
from typing import Any

from hypothesis import strategies as st

from atomic_manifest.commit.intent import (
    NO_TABLE,
    Intent,
    Isolation,
    ReadNothing,
    ReadPartitions,
    ReadRows,
    ReadTable,
)
from atomic_manifest.log.actions import Add, DomainMetadata, Metadata, Protocol, Remove, Txn
from atomic_manifest.log.entry import Entry
from atomic_manifest.log.pruning.predicate import And, Comparison, IsNull, Or, Predicate

PROTOCOL = Protocol(min_reader_version=1, min_writer_version=2)
METADATA = Metadata(id="t", schema_string="s", partition_columns=["p"])


def add(path: str = "new", p: str | None = "1", **fields: Any) -> Add:
    defaults = {"size": 1, "modification_time": 0, "data_change": True}
    return Add(path=path, partition_values={"p": p}, **(defaults | fields))


def remove(path: str = "old", p: str | None = "1", **fields: Any) -> Remove:
    return Remove(path=path, **({"partition_values": {"p": p}} | fields))


def partitions(*values: str | None) -> ReadPartitions:
    return ReadPartitions(frozenset(frozenset({("p", value)}) for value in values))


def rows(predicate: Predicate) -> ReadRows:
    return ReadRows(predicate, {"p": "string", "x": "long", "s": "string"})


def stats(low: Any, high: Any, *, nulls: int = 0, column: str = "x") -> str:
    """Statistics of a file of ten rows."""
    bounds = {"minValues": {column: low}, "maxValues": {column: high}, "nullCount": {column: nulls}}
    return json.dumps({"numRecords": 10, **bounds})


def intent(*actions: Any, **fields: Any) -> Intent:
    defaults: dict[str, Any] = {
        "commit_id": "mine",
        "base_version": 4,
        "operation": "WRITE",
        "base_metadata": METADATA,
        "base_protocol": PROTOCOL,
    }
    return Intent(actions=actions, **(defaults | fields))


def creation() -> Intent:
    return intent(PROTOCOL, METADATA, base_version=NO_TABLE, base_metadata=None, base_protocol=None)


def entry(*, version: int = 5, blind: bool = False, **fields: Any) -> Entry:
    return Entry(version, commit_info={"isBlindAppend": blind}, **fields)


_paths = st.sampled_from(["a", "b", "c"])
_values = st.sampled_from([None, "", "1", "2"])
_stats = st.none() | st.builds(
    stats, st.integers(0, 2), st.integers(2, 4), nulls=st.sampled_from([0, 10])
)
_adds = st.builds(add, _paths, _values, data_change=st.booleans(), stats=_stats)
_removes = st.builds(
    remove,
    _paths,
    _values,
    data_change=st.booleans(),
    stats=_stats,
    partition_values=st.none() | _values.map(lambda value: {"p": value}),
)
_txns = st.builds(Txn, app_id=st.sampled_from("xy"), version=st.integers(0, 3))
_domains = st.builds(DomainMetadata, domain=st.sampled_from("mn"), configuration=st.just("{}"))
_protocols = st.builds(
    Protocol, min_reader_version=st.just(1), min_writer_version=st.integers(2, 3)
)
_metadatas = st.builds(
    Metadata,
    id=st.just("t"),
    schema_string=st.sampled_from("st"),
    partition_columns=st.just(["p"]),
    configuration=st.dictionaries(
        st.sampled_from(["delta.appendOnly", "delta.logRetentionDuration", "mine"]),
        st.sampled_from(["true", "false"]),
    ),
)
_p1, _x1 = Comparison("p", "=", "1"), Comparison("x", "<=", 1)
_reads = st.sampled_from(
    [
        ReadNothing(),
        ReadTable(),
        partitions("1"),
        partitions(None, "2"),
        rows(And((_p1, _x1))),
        rows(Or((_p1, IsNull("x")))),
    ]
)

intents = st.builds(
    Intent,
    commit_id=st.text(min_size=1, max_size=3),
    base_version=st.just(4),
    actions=st.lists(_adds | _removes | _txns | _domains, max_size=4).flatmap(
        lambda files: st.lists(_metadatas, max_size=1).map(lambda changes: (*changes, *files))
    ),
    operation=st.just("WRITE"),
    reads=_reads,
    isolation=st.sampled_from(Isolation),
    txn=st.none() | st.tuples(st.sampled_from("xy"), st.integers(0, 3)),
    base_metadata=_metadatas,
    base_protocol=_protocols,
    user_info=st.dictionaries(
        st.sampled_from(["who", "atomicManifest", "txnId"]),
        st.none()
        | st.integers()
        | st.text(max_size=3)
        | st.floats(allow_nan=False, allow_infinity=False),
    ),
)

entries = st.builds(
    entry,
    version=st.integers(5, 9),
    blind=st.booleans(),
    protocol=st.none() | _protocols,
    metadata=st.none() | _metadatas,
    adds=st.lists(_adds, max_size=3).map(tuple),
    removes=st.lists(_removes, max_size=3).map(tuple),
    txns=st.lists(_txns, max_size=2).map(tuple),
    domain_metadata=st.lists(_domains, max_size=2).map(tuple),
)
