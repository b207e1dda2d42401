"""Uploads: one request when small, parts when large, visible only when closed."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atomic_manifest import errors
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver
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
