"""Intents that other processes posted: sound ones are committed, and no others stop or spoil anything."""

import dataclasses
import datetime as dt

import msgspec
import pytest

from atomic_manifest.commit.combine import Candidate, combine, render
from atomic_manifest.commit.driver import run
from atomic_manifest.commit.messages import Budget, Committed
from atomic_manifest.commit.posted import FOLDER, LIFETIME_SECONDS, decode_intent
from atomic_manifest.commit.progress import Memory
from atomic_manifest.commit.sound import same_table
from atomic_manifest.log.actions import DeletionVector, Protocol
from atomic_manifest.testing import CountingDriver, FakeEnv
from tests.commit.foreign import (
    METADATA,
    VALUES,
    changed,
    check_readable,
    damaged,
    file,
    posted,
    read_all,
    table,
    wanted,
    with_file,
)

ADD = posted()[1].split(b"\n")[1]
DEEP = b"[" * 3000 + b"]" * 3000
CONTENDED = Memory(contended=True, unit_seconds=0.01)


def with_raw(name, value):
    """An intent whose header has a member of these bytes."""
    key, data = posted()
    return key, b'{"' + name + b'":' + value + b"," + data[1:]


MALFORMED = {
    "partitions that are numbers": changed({"reads": {"kind": "partitions", "partitions": [1]}}),
    "partitions of numbers": changed({"reads": {"kind": "partitions", "partitions": [{"p": 1}]}}),
    "partitions that are no list": changed(
        {"reads": {"kind": "partitions", "partitions": {"p": "1"}}}
    ),
    "types that are a list": changed(
        {"reads": {"kind": "rows", "predicate": {"is": "everything"}, "types": ["x"]}}
    ),
    "reads that are text": changed({"reads": "table"}),
    "no kind": changed({"reads": {"partitions": []}}),
    "a number of 5,000 digits in the info": with_raw(b"info", b'{"n":' + b"9" * 5000 + b"}"),
    "info nested deeply": with_raw(b"info", b'{"n":' + DEEP + b"}"),
    "a base below zero": changed({"base": -1}),
    "a base beyond 64 bits": changed({"base": 1 << 70}),
    "an expiry far away": changed({"expires": 1 << 40}),
    "no metadata": changed({"metadata": None}),
    "no protocol": changed({"protocol": None}),
    "metadata of a wrong type": changed({"metadata": 1}),
    "members without the commit": changed({"members": [{"id": "somebody", "operation": "WRITE"}]}),
    "the same member twice": changed({"members": [{"id": "theirs", "operation": "WRITE"}] * 2}),
    "no last newline": changed(body=ADD),
    "a blank line": changed(body=b"\n" + ADD + b"\n"),
    "spaces around": changed(body=b" " + ADD + b"\n"),
    "two actions on a line": changed(body=ADD[:-1] + b',"remove":{"path":"a"}}\n'),
    "two objects on a line": changed(body=ADD + ADD + b"\n"),
    "a key twice": changed(body=ADD[:-2] + b',"path":"b"}}\n'),
    "an action twice": changed(body=ADD[:-1] + b',"add":' + ADD[7:] + b"\n"),
    "an unknown field": changed(body=ADD[:-2] + b',"unheardOf":1}}\n'),
    "an unknown action": changed(body=ADD + b'\n{"unheardOf":{}}\n'),
    "a commitInfo": changed(body=ADD + b'\n{"commitInfo":{}}\n'),
    "change data": changed(
        body=ADD + b'\n{"cdc":{"path":"c","partitionValues":{},"size":1,"dataChange":false}}\n'
    ),
    "a domain": changed(
        body=ADD + b'\n{"domainMetadata":{"domain":"m","configuration":"","removed":false}}\n'
    ),
    "a path out of the table": with_file(path="../up.parquet"),
    "an encoded path out of the table": with_file(path="%2e%2e/up.parquet"),
    "an absolute path": with_file(path="/etc/passwd"),
    "a path of another store": with_file(path="s3://b/x.parquet"),
    "no path": with_file(path=""),
    "a path that is no UTF-8": with_file(path="%ff"),
    "a removed path out of the table": changed(
        body=b'{"remove":{"path":"../up","dataChange":true}}\n'
    ),
    "an unknown partition column": with_file(partitionValues={"p": "1", "q": "1"}),
    "one more partition column": with_file(partitionValues=VALUES | {"q": "1"}),
    "a missing partition column": with_file(partitionValues={"p": "1"}),
    "a partition column in another case": with_file(partitionValues={"P": "1", "d": "2024-02-29"}),
    "a partition value of another type": with_file(partitionValues=VALUES | {"d": "yesterday"}),
    "a partition value out of range": with_file(partitionValues=VALUES | {"p": "128"}),
    "a partition value that is a number": with_file(partitionValues=VALUES | {"p": 1}),
    "statistics that are no JSON": with_file(stats="{"),
    "statistics that are no object": with_file(stats="[1]"),
    "statistics of fewer rows than none": with_file(stats='{"numRecords":-1}'),
    "statistics of half a row": with_file(stats='{"numRecords":1.5}'),
    "statistics beyond 64 bits": with_file(stats='{"numRecords":99999999999999999999}'),
    "bounds that are a list": with_file(stats='{"minValues":[1]}'),
    "a size below zero": with_file(size=-1),
    "a size that is text": with_file(size="1"),
    "no size": with_file(size=None),
    "a deletion vector": posted(
        "theirs",
        file(
            "f",
            deletion_vector=DeletionVector(
                storage_type="p", path_or_inline_dv="/etc/passwd", size_in_bytes=1, cardinality=1
            ),
        ),
    ),
}


@pytest.mark.parametrize(("key", "data"), MALFORMED.values(), ids=MALFORMED)
def test_what_readers_would_refuse_is_no_intent_and_stops_nobody(key, data):
    assert decode_intent(key, data) is None
    store = table()
    store.put(key, data)
    report = run(wanted("mine"), store.driver, FakeEnv(), Budget(), CONTENDED)
    assert report.outcome == Committed(1)
    assert read_all(store) == ["p=1/mine.parquet"]


@pytest.mark.parametrize(
    "fields",
    [{}, {"info": {"a": [{}], "n": 10**30}}, {"unheardOf": 1}],
    ids=["as posted", "describes itself", "says more"],
)
def test_a_sound_intent_is_committed_by_whoever_leads(fields):
    key, data = changed(fields)
    store = table()
    store.put(key, data)
    report = run(wanted("mine"), store.driver, FakeEnv(), Budget(), CONTENDED)
    assert report.outcome == Committed(1)
    assert sorted(read_all(store)) == ["p=1/mine.parquet", "p=1/theirs.parquet"]
    assert key in report.litter


@pytest.mark.parametrize(
    ("begin", "end"), [(b'{"is":"not","child":', b"}"), (b'{"is":"or","children":[', b"]}")]
)
@pytest.mark.parametrize("depth", [100, 2000])
def test_a_predicate_nested_deeply_stops_nobody(begin, end, depth):
    predicate = begin * depth + b'{"is":"everything"}' + end * depth
    reads = b'"reads":{"kind":"rows","types":{},"predicate":' + predicate + b"}"
    key, data = posted()
    store = table()
    store.put(key, data.replace(b'"reads":{"kind":"nothing"}', reads))
    report = run(wanted("mine"), store.driver, FakeEnv(), Budget(), CONTENDED)
    assert report.outcome == Committed(1)
    assert "p=1/mine.parquet" in read_all(store)


def test_an_intent_whose_evaluation_raises_is_kept_out_and_no_other():
    mine = Candidate.of(wanted("mine"))
    key, data = posted()
    theirs = decode_intent(key, data)
    theirs = dataclasses.replace(theirs, intent=dataclasses.replace(theirs.intent, actions=None))
    assert combine([mine, theirs], (), 1).accepted == (mine,)


@pytest.mark.parametrize(
    "fields",
    [
        {"base_metadata": msgspec.structs.replace(METADATA, id="another")},
        {"base_metadata": msgspec.structs.replace(METADATA, configuration={"delta.x": "y"})},
        {"base_protocol": Protocol(min_reader_version=1, min_writer_version=3)},
    ],
    ids=["another table", "other properties", "another protocol"],
)
def test_an_intent_for_a_table_that_is_not_this_one_is_left_alone(fields):
    store = table()
    store.put(*posted(**fields))
    run(wanted("mine"), store.driver, FakeEnv(), Budget(), CONTENDED)
    assert read_all(store) == ["p=1/mine.parquet"]


def aged(store, seconds):
    """The store's clock goes on."""
    store.driver._env.sleep(seconds)


def test_an_intent_that_is_old_by_the_clock_of_the_store_is_not_committed_but_removed():
    store = table()
    key, data = posted()
    store.put(key, data)
    aged(store, LIFETIME_SECONDS + 1)
    report = run(wanted("mine"), store.driver, FakeEnv(), Budget(), CONTENDED)
    assert report.outcome == Committed(1)
    assert read_all(store) == ["p=1/mine.parquet"]
    assert key in report.litter


def test_an_intent_that_is_old_by_a_wrong_clock_of_its_leader_is_committed():
    store = table()
    store.put(*posted())
    ahead = FakeEnv(start=2_000_000_000.0)
    run(wanted("mine"), store.driver, ahead, Budget(), CONTENDED)
    assert sorted(read_all(store)) == ["p=1/mine.parquet", "p=1/theirs.parquet"]


def test_an_intent_that_is_much_older_than_its_object_was_copied_with_the_table():
    taken = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()
    key, data = changed({"postedMs": int(taken * 1000)})
    assert decode_intent(key, data, taken + 5) is not None
    assert decode_intent(key, data, taken + LIFETIME_SECONDS + 1) is None
    assert decode_intent(key, data, taken - 10_000) is not None, "a clock that is ahead"
    assert decode_intent(key, data, None) is not None, "a store that tells no times"


def test_many_garbage_intents_are_read_once_and_keep_nobody_from_combining():
    store = table()
    for number in range(700):
        store.put(f"{FOLDER}/{0:020}-{number:04}.json", b"garbage")
    key, data = posted("y-theirs")
    store.put(key, data)
    counting = CountingDriver(store.driver)
    first = run(wanted("z-mine"), counting, FakeEnv(), Budget(), CONTENDED)
    assert sorted(read_all(store)) == ["p=1/y-theirs.parquet", "p=1/z-mine.parquet"]
    second = CountingDriver(store.driver)
    later = wanted("z-later", base=1)
    memory = first.memory
    assert run(later, second, FakeEnv(), Budget(), memory).outcome == Committed(2)
    assert len(second.requests) < 10


def test_oversized_objects_are_not_read():
    store = table()
    key = f"{FOLDER}/{0:020}-large.json"
    store.put(key, bytes((16 << 20) + 1))
    counting = CountingDriver(store.driver)
    report = run(wanted("mine"), counting, FakeEnv(), Budget(), CONTENDED)
    assert report.outcome == Committed(1)
    assert not [request for request in counting.requests if request.path == key]


def _passes_or_is_sound(seed):
    key, data = damaged(seed)
    found = decode_intent(key, data)
    mine = Candidate.of(wanted("mine"))
    if found is None or not same_table(mine.intent, found.intent):
        return False
    both = combine([mine, found], (), 1)
    entry = check_readable(render(both.accepted, 1, 0), 1)
    assert [record.id for record in entry.commits][:1] == ["mine"]
    return True


@pytest.mark.faults
def test_damaged_intents_raise_nothing_and_what_passes_is_read_back():
    assert 0 < sum(map(_passes_or_is_sound, range(1500))) < 500


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_damaged_intents_raise_nothing_over_many_seeds(block):
    for seed in range(block * 1000, (block + 1) * 1000):
        _passes_or_is_sound(seed)
