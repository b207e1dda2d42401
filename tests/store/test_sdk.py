"""Panics of obstore's, which are no `Exception`, as this library's errors."""

import asyncio
import traceback

import pytest
from obstore.store import S3Store

from atomic_manifest.errors import StoreError
from atomic_manifest.store import IfAbsent
from atomic_manifest.store.driver import Unanswered
from atomic_manifest.store.failures import Service
from atomic_manifest.store.remote.driver import RemoteDriver
from atomic_manifest.store.remote.terms import Dialect


@pytest.fixture
def panicking():
    """A bucket at an endpoint that obstore cannot take, past all checks of what is given to it."""
    bucket = S3Store(
        "bucket",
        endpoint="nowhere: at all",
        access_key_id="k",
        secret_access_key="s",
        region="r",
        client_options={"allow_http": True},
    )
    return RemoteDriver(
        Dialect(Service.S3), bucket, lambda: bucket, lambda: pytest.fail("asked"), url="s3://bucket"
    )


READS = {
    "get": lambda driver: driver.get("k"),
    "head": lambda driver: driver.head("k"),
    "list": lambda driver: next(driver.list()),
    "delete": lambda driver: driver.delete("k"),
    "delete_many": lambda driver: driver.delete_many(["k", "j"]),
}


@pytest.mark.parametrize("method", READS)
def test_panic_is_a_named_error(panicking, method):
    with pytest.raises(StoreError, match="obstore panicked") as raised:
        READS[method](panicking)
    assert "PanicException" not in "".join(traceback.format_exception(raised.value))


def test_panic_of_a_write_proves_nothing(panicking):
    outcome = panicking.put("k", b"x", when=IfAbsent())
    assert isinstance(outcome, Unanswered)
    assert isinstance(outcome.cause, StoreError)


def test_panic_in_a_task_is_the_same(panicking):
    async def use():
        driver = panicking.as_async()
        assert isinstance(await driver.put("k", b"x", when=IfAbsent()), Unanswered)
        for ask in (driver.get, driver.head, driver.delete):
            with pytest.raises(StoreError, match="obstore panicked"):
                await ask("k")
        with pytest.raises(StoreError, match="obstore panicked"):
            await anext(driver.list())

    asyncio.run(use())


def test_interrupt_is_let_through(panicking):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        panicking.terms.asked("k", interrupted)
