"""What stays behind when one of several files that are written at the same time fails: nothing."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.writer import write_files
from atomic_manifest.errors import StoreUnavailable
from atomic_manifest.store import ObjectStore, Retry
from atomic_manifest.store.driver import Driver
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.open import open_driver
from atomic_manifest.testing import Fault, FaultyDriver
from atomic_manifest.testing.drivers import Request
from atomic_manifest.testing.env import FakeEnv

FILES = 12
SCHEMA = pa.schema([("p", pa.int32()), ("x", pa.binary())])
PART = 5 << 20
"""The least a part may have on S3."""


class Stopped(BaseException):
    """As KeyboardInterrupt, but pytest does not take it for its own."""


def batches(rows: int, size: int, after: Callable[[], None] = lambda: None) -> Iterator[Any]:
    """Rows of `FILES` partitions that do not compress."""
    for number in range(rows):
        noise = [bytes([number, n]) * (size // 2) for n in range(FILES)]
        yield pa.record_batch([pa.array(range(FILES), pa.int32()), pa.array(noise)], schema=SCHEMA)
    after()


def write(driver: Driver, given: Iterator[Any], **options: Any) -> int:
    chosen = WriteOptions(compression="none", parquet={"use_dictionary": False}, **options)
    staged = write_files(
        ObjectStore(driver, env=FakeEnv(), retry=Retry(attempts=2)),
        pa.RecordBatchReader.from_batches(SCHEMA, given),
        schema=SCHEMA,
        partition_by=("p",),
        file_prefix="f",
        options=chosen,
        env=FakeEnv(),
    )
    return len(staged.adds)


@pytest.fixture(params=["memory", "local"])
def inner(request: pytest.FixtureRequest, tmp_path: Any) -> Driver:
    return MemoryDriver() if request.param == "memory" else LocalDriver(tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize("method", ["put", "start_upload", "finish_upload"])
@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.ERROR_500])
def test_a_file_that_fails_while_others_are_written_leaves_nothing(
    inner: Driver, method: str, fault: Fault
) -> None:
    def fails(_: int, request: Request) -> Fault | None:
        return fault if request.method == method and "p=7/" in request.path else None

    part_size = 1 << 20 if method == "put" else 100
    with pytest.raises(StoreUnavailable):
        write(
            FaultyDriver(inner, fails), batches(4, 1000), part_size=part_size, buffer_size=1 << 14
        )
    assert list(inner.list()) == []


@pytest.mark.parametrize("error", [Stopped, KeyboardInterrupt])
def test_an_interrupt_while_files_are_written_leaves_nothing(
    inner: Driver, error: type[BaseException]
) -> None:
    begun = threading.Event()

    def seen(_: int, request: Request) -> None:
        if request.method == "start_upload":
            begun.set()

    def stop() -> None:
        assert begun.wait(60)
        raise error

    with pytest.raises(error):
        write(FaultyDriver(inner, seen), batches(8, 2000, stop), part_size=100, buffer_size=1 << 14)
    assert list(inner.list()) == []


@pytest.mark.parametrize("error", [Stopped, KeyboardInterrupt])
def test_an_interrupt_while_waiting_for_the_last_files_leaves_nothing(
    inner: Driver, error: type[BaseException]
) -> None:
    """The interrupt comes out of one file's work, as it would out of a wait for it."""

    def interrupt(_: int, request: Request) -> None:
        if request.method == "put" and "p=7/" in request.path:
            raise error

    with pytest.raises(error):
        write(FaultyDriver(inner, interrupt), batches(2, 1000))
    assert list(inner.list()) == []


@pytest.mark.servers
def test_no_parts_stay_behind_in_a_bucket(ministack: Any) -> None:
    import boto3

    bucket = ministack.new_bucket()
    driver = open_driver(f"s3://{bucket}", ministack.storage_options)
    client = boto3.client(
        "s3",
        endpoint_url=ministack.endpoint_url,
        aws_access_key_id=ministack.key,
        aws_secret_access_key=ministack.secret,
        region_name="us-east-1",
    )
    uploads: list[int] = []

    def stop() -> None:
        uploads.append(len(client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())))
        raise Stopped

    with pytest.raises(Stopped):
        write(driver, batches(8, 2 << 20, stop), part_size=PART, buffer_size=48 << 20)
    assert uploads[0] > 1
    assert client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()) == ()
    assert list(driver.list()) == []
