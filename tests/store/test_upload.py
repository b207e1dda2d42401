"""Uploads: one request when small, parts when large, visible only when closed."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atomic_manifest import errors
from atomic_manifest.store import IfAbsent, IfMatch, ObjectStore
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver, MemoryUpload
from atomic_manifest.store.open import open_driver
from atomic_manifest.testing import CountingDriver, FakeEnv, Fault, FaultyDriver

PART = 5 * 1024 * 1024


@pytest.fixture(params=["memory", "local", "s3"])
def store(request, tmp_path):
    if request.param == "memory":
        driver = MemoryDriver()
    elif request.param == "local":
        driver = LocalDriver(tmp_path)
    else:
        server = request.getfixturevalue("ministack")
        driver = open_driver(f"s3://{server.new_bucket()}/f", server.storage_options)
    return ObjectStore(CountingDriver(driver), env=FakeEnv())


def methods(store):
    return [request.method for request in store.driver.requests]


def test_small_upload_is_one_put(store):
    with store.upload("k") as upload:
        assert upload.write(b"abc") == 3
        upload.flush()
        upload.write(memoryview(b"defg")[1:])
        assert (upload.tell(), upload.closed, upload.writable()) == (6, False, True)
        assert (upload.readable(), upload.seekable()) == (False, False)
        assert methods(store) == []
    assert methods(store) == ["put"]
    assert upload.closed
    assert (upload.meta.path, upload.meta.size) == ("k", 6)
    assert store.get("k").data == b"abcefg"


def test_empty_upload_makes_an_empty_object(store):
    store.upload("k").close()
    assert store.get("k").data == b""


@pytest.mark.parametrize("size", [PART, 2 * PART, 2 * PART + 5])
@pytest.mark.parametrize("step", [PART // 3, 4 * PART])
def test_large_upload_goes_out_in_parts(store, size, step):
    data = bytes(range(251)) * (size // 251 + 1)
    upload = store.upload("k", part_size=PART, max_in_flight=2)
    for start in range(0, size, step):
        upload.write(data[start : min(start + step, size)])
    assert methods(store) == ["start_upload"]
    assert list(store.driver.inner.list()) == []
    upload.close()
    assert upload.meta.size == size
    assert store.get("k").data == data[:size]


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_exception_in_the_block_leaves_nothing(store, size):
    upload = store.upload("k", part_size=PART)

    def fail():
        with upload:
            upload.write(b"x" * size)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert upload.closed
    assert upload.meta is None
    assert list(store.list()) == []
    upload.close()
    upload.abort()
    assert list(store.list()) == []
    with pytest.raises(errors.StoreError, match="closed"):
        upload.write(b"x")


def test_caller_may_reuse_its_buffer(store):
    buffer = bytearray(b"a" * PART)
    with store.upload("k", part_size=PART) as upload:
        for letter in b"abc":
            buffer[:] = bytes([letter]) * PART
            upload.write(buffer)
    assert store.get("k").data == b"".join(bytes([c]) * PART for c in b"abc")


@pytest.mark.parametrize(
    "steps", [[3 * PART + 5], [5, 3 * PART], [PART - 1, 1, PART], [PART, 2 * PART + 1]]
)
def test_bytes_handed_over_arrive_in_parts(store, steps):
    data = bytes(range(251)) * (sum(steps) // 251 + 1)
    start = 0
    with store.upload("k", part_size=PART) as upload:
        for step in steps:
            assert upload.hand_over(memoryview(data)[start : start + step]) == step
            start += step
    assert upload.tell() == sum(steps)
    assert store.get("k").data == data[: sum(steps)]


def test_whole_parts_of_bytes_handed_over_are_not_copied(monkeypatch):
    store = ObjectStore(MemoryDriver())
    parts = []
    monkeypatch.setattr(MemoryUpload, "write", lambda _, data: parts.append(data))
    data = bytes(5 + 2 * PART)
    with store.upload("k", part_size=PART) as upload:
        upload.hand_over(data[:5])
        upload.hand_over(data)
    assert [len(part) for part in parts] == [PART, PART, 10]
    assert [isinstance(part, memoryview) and part.obj is data for part in parts] == [
        False,
        True,
        False,
    ]


def test_parquet_can_be_written_into_an_upload(store):
    table = pa.table({"x": range(1000)})
    with store.upload("k.parquet") as upload:
        sink = pa.PythonFile(upload, mode="w")
        pq.write_table(table, sink)
    assert pq.read_table(pa.BufferReader(store.get("k.parquet").data)) == table


def test_path_that_is_unusable_is_refused_at_once(store):
    with pytest.raises(errors.InvalidPath):
        store.upload("/k")


def test_upload_that_cannot_be_finished_raises_and_leaves_nothing():
    inner = MemoryDriver()
    faulty = FaultyDriver(
        inner, lambda _n, r: Fault.ERROR_500 if r.method == "finish_upload" else None
    )
    upload = ObjectStore(faulty, env=FakeEnv()).upload("k", part_size=4)
    upload.write(b"12345")
    with pytest.raises(errors.StoreUnavailable):
        upload.close()
    assert upload.closed
    assert list(inner.list()) == []


# --- conditional uploads


def faulty(number, fault):
    """A store whose uploads meet a fault; 0 is their start, 1 their end."""
    return ObjectStore(CountingDriver(FaultyDriver(MemoryDriver(), {number: fault})), env=FakeEnv())


def write(store, size, **options):
    with store.upload("k", part_size=4, **options) as upload:
        upload.write(b"x" * size)
    return upload.meta


@pytest.mark.parametrize("size", [2, 11])
def test_condition_is_evaluated_when_the_upload_is_closed(size):
    store = ObjectStore(MemoryDriver())
    upload = store.upload("k", when=IfAbsent(), part_size=4, metadata={"mine": "1"})
    upload.write(b"x" * size)
    etag = store.put("k", b"theirs").etag
    with pytest.raises(errors.AlreadyExists) as raised:
        upload.close()
    assert (raised.value.current_etag, upload.closed) == (etag, True)
    assert store.get("k").data == b"theirs"
    meta = write(store, size, when=IfMatch(etag), metadata={"mine": "1"})
    assert meta == store.head("k")
    assert (meta.size, meta.metadata["mine"]) == (size, "1")
    with pytest.raises(errors.PreconditionFailed):
        write(store, size, when=IfMatch(etag))


def test_lost_answer_at_the_end_is_settled_by_one_look():
    store = faulty(1, Fault.LOST_AFTER)
    meta = write(store, 11, when=IfAbsent())
    assert meta == store.head("k")
    assert methods(store) == ["start_upload", "head", "head"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.LOST_BEFORE, errors.WriteOutcomeUnknown),
        (Fault.ERROR_500, errors.WriteOutcomeUnknown),
        (Fault.CONFLICT_409, errors.Conflict409),
        (Fault.THROTTLED_429, errors.StoreUnavailable),
    ],
)
def test_upload_that_did_not_land_is_not_repeated(fault, error):
    store = faulty(1, fault)
    with pytest.raises(errors.StoreError) as raised:
        write(store, 11, when=IfAbsent())
    assert type(raised.value) is error
    assert list(store.list()) == []
    assert store.env.slept == []


@pytest.mark.parametrize("theirs", [None, {"atomic-manifest-write": "f" * 32}])
@pytest.mark.parametrize("same", [True, False])
def test_unanswered_end_behind_which_there_is_anothers_object(theirs, same):
    store = faulty(1, Fault.LOST_BEFORE)
    upload = store.upload("k", when=IfAbsent(), part_size=4)
    upload.write(b"x" * 11)
    store.driver.inner.inner.put("k", b"x" * 11 if same else b"theirs", metadata=theirs)
    told = theirs is not None or not same
    with pytest.raises(errors.AlreadyExists if told else errors.WriteOutcomeUnknown):
        upload.close()


def test_unanswered_end_is_unknown_if_the_look_fails_too():
    driver = FaultyDriver(MemoryDriver(), lambda n, _r: Fault.LOST_AFTER if n else None)
    with pytest.raises(errors.WriteOutcomeUnknown):
        write(ObjectStore(driver, env=FakeEnv()), 11, when=IfAbsent())


def test_etag_that_the_end_does_not_tell_is_looked_up():
    class Silent(MemoryDriver):
        def start_upload(self, *args, **options):
            upload = super().start_upload(*args, **options)
            finish = upload.finish

            def silent():
                outcome = finish()
                return replace(outcome, meta=replace(outcome.meta, etag=None))

            upload.finish = silent
            return upload

    store = ObjectStore(CountingDriver(Silent()), multipart_threshold=4)
    assert write(store, 11, when=IfAbsent()) == store.head("k")
    assert store.put("l", b"x" * 11) == store.head("l")
    assert write(store, 11).etag is None


@pytest.mark.parametrize("options", [{"part_size": 0}, {"max_in_flight": 0}])
def test_upload_with_senseless_bounds_is_refused(options):
    with pytest.raises(errors.InvalidRequest):
        ObjectStore(MemoryDriver()).upload("k", **options)
