"""Each create strategy on a server that honours that one mechanism, and no other."""

import itertools
import multiprocessing
import threading
from collections import Counter

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import UnsupportedByStore
from atomic_manifest.store import IfAbsent, open_store
from atomic_manifest.store.capabilities import CreateStrategy, Support
from atomic_manifest.store.driver import Contended, Refused, Unanswered, Written
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.probe import probe_creation
from atomic_manifest.store.safety.creating import CreatingByCopy, CreatingByUpload, creating_by
from atomic_manifest.store.safety.remembered import forget
from atomic_manifest.testing import CountingDriver, Fault, FaultyDriver
from atomic_manifest.testing.env import FakeEnv

STRATEGIES = {
    "gcs": CreateStrategy.GCS_HEADER,
    "oss": CreateStrategy.OSS_HEADER,
    "cos": CreateStrategy.COS_HEADER,
    "upload": CreateStrategy.UPLOAD,
    "copy": CreateStrategy.COPY,
}
SCHEMA = pa.schema([("writer", pa.int64()), ("number", pa.int64())])
PROCESSES, THREADS, COMMITS = 2, 3, 3


@pytest.fixture(autouse=True)
def _remembers_nothing():
    forget()
    yield
    forget()


def test_the_probe_chooses_the_one_mechanism(one_mechanism):
    name, server = one_mechanism
    store = open_store(f"s3://{server.new_bucket()}", server.storage_options)
    found = probe_creation(store)
    assert found.create_strategy is STRATEGIES[name]
    unsupported = name in ("oss", "cos")  # they answer 501
    assert found.put_if_absent.support is (Support.REFUSED if unsupported else Support.IGNORED)


def append_some(url: str, options: dict, writer: int) -> list[tuple[int, str]]:
    """Threads of one process, which share a handle, beside those of other processes."""
    table = am.Table.open(url, storage_options=options)
    acknowledged = []

    def append(thread: int) -> None:
        for number in range(COMMITS):
            row = {"writer": [writer * THREADS + thread], "number": [number]}
            result = table.append(pa.table(row, schema=SCHEMA))
            acknowledged.append((result.version, result.commit_id))

    threads = [threading.Thread(target=append, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return acknowledged


def test_commits_by_each_mechanism_are_in_the_log_exactly_once(one_mechanism):
    _, server = one_mechanism
    url = f"s3://{server.new_bucket()}/t"
    am.Table.create(url, SCHEMA, storage_options=server.storage_options)
    tasks = [(url, server.storage_options, n) for n in range(PROCESSES)]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        acknowledged = [each for some in pool.starmap(append_some, tasks) for each in some]
    table = am.Table.open(url, storage_options=server.storage_options)
    in_log = [
        (entry.version, record.id)
        for entry in table.history()
        for record in entry.commits
        if entry.operation == "WRITE"
    ]
    assert len(acknowledged) == PROCESSES * THREADS * COMMITS
    assert sorted(in_log) == sorted(acknowledged)
    rows = table.to_arrow()
    seen = Counter(zip(rows["writer"].to_pylist(), rows["number"].to_pylist(), strict=True))
    assert seen == Counter((w, n) for w in range(PROCESSES * THREADS) for n in range(COMMITS))
    store = open_store(url, server.storage_options)
    assert list(store.list("_atomic_manifest/creating")) == []


ENTRY_REQUESTS = {
    "gcs": ["PutObject"],
    "oss": ["PutObject"],
    "cos": ["PutObject"],
    "upload": ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"],
    "copy": ["PutObject", "HeadObject", "CopyObject", "DeleteObject"],
}


def one_row(number: int) -> pa.Table:
    return pa.table({"writer": [0], "number": [number]}, schema=SCHEMA)


def test_an_append_costs_the_data_file_and_what_the_mechanism_needs(one_mechanism):
    name, server = one_mechanism
    url = f"s3://{server.new_bucket()}/t"
    table = am.Table.create(url, SCHEMA, storage_options=server.storage_options)
    table.append(one_row(0))  # whose handle has opened all its clients after that
    server.reset(keep_objects=True)
    table.append(one_row(1))
    assert [operation for operation, _, _ in server.requests()] == [
        "PutObject",
        *ENTRY_REQUESTS[name],
    ]


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["lost_before", "lost_after", "500_after", "503", "409"])
def test_a_fault_at_any_request_loses_and_duplicates_nothing(one_mechanism, kind):
    """Lost replies among them: what landed is recognised by its commit id, whatever created it."""
    name, server = one_mechanism
    options = server.storage_options
    for skip in itertools.count():
        server.reset()
        url = f"s3://{server.new_bucket()}/t"
        table = am.Table.create(url, SCHEMA, storage_options=options, env=FakeEnv())
        server.inject({"kind": kind, "method": "PUT" if kind == "409" else "", "skip": skip})
        result = table.append(one_row(skip))
        was_hit = bool(server.stats()["faults"])
        deletions = [status for what, _, status in server.requests() if what == "DeleteObject"]
        server.reset(keep_objects=True)
        after = am.Table.open(url, storage_options=options)
        assert after.to_arrow()["number"].to_pylist() == [skip], (kind, skip)
        assert (after.version, result.version) == (1, 1)
        left = list(open_store(url, options).list("_atomic_manifest/creating"))
        assert not left or any(status != 200 for status in deletions)
        if not was_hit:
            break
    assert skip > (1 if kind == "409" else len(ENTRY_REQUESTS[name]))
    assert left == []


@pytest.mark.parametrize("strategy", [CreateStrategy.UPLOAD, CreateStrategy.COPY])
class TestOnMemory:
    def test_creates_once_with_bytes_and_metadata_and_leaves_nothing_else(self, strategy):
        inner = MemoryDriver()
        driver = creating_by(strategy, inner)
        first = driver.put("log/1", b"mine", when=IfAbsent(), metadata={"id": "1"})
        assert isinstance(first, Written)
        assert isinstance(driver.put("log/1", b"theirs", when=IfAbsent()), Refused)
        assert inner.get("log/1").data == b"mine"
        assert dict(inner.head("log/1").metadata) == {"id": "1"}
        assert [meta.path for meta in inner.list()] == ["log/1"]

    def test_other_writes_go_straight_through(self, strategy):
        inner = CountingDriver(MemoryDriver())
        driver = creating_by(strategy, inner)
        driver.put("k", b"1")
        driver.delete("k")
        assert [request.method for request in inner.requests] == ["put", "delete"]

    def test_each_fault_on_the_way_is_told_as_what_it_proves(self, strategy):
        """Whatever fails at whichever request: a create said to be there is there, one said to be
        certainly not there is not."""
        for fault in Fault:
            for number in range(4):
                inner = MemoryDriver()
                faulty = FaultyDriver(inner, {number: fault})
                env = FakeEnv()
                outcome = creating_by(strategy, faulty, env=env).put("k", b"x", when=IfAbsent())
                there = [meta.path for meta in inner.list() if meta.path == "k"]
                if isinstance(outcome, Written):
                    assert there, (fault, number)
                elif isinstance(outcome, Refused | Contended):
                    assert not there, (fault, number)
                else:
                    assert isinstance(outcome, Unanswered)


def test_a_put_strategy_is_the_driver_itself():
    driver = MemoryDriver()
    assert creating_by(CreateStrategy.PUT, driver) is driver


def test_headers_are_for_buckets_of_s3s_language_alone():
    with pytest.raises(UnsupportedByStore):
        creating_by(CreateStrategy.OSS_HEADER, MemoryDriver())


def test_wrappers_show_what_they_wrap():
    inner = MemoryDriver("shown")
    for driver in (CreatingByUpload(inner), creating_by(CreateStrategy.COPY, inner)):
        assert driver.url == "memory://shown"
        assert "memory://shown" in repr(driver)
    assert isinstance(creating_by(CreateStrategy.COPY, inner), CreatingByCopy)
