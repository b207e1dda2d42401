"""The asyncio driver runs the same machine without blocking the loop."""

import asyncio

import pytest

import atomic_manifest as am
from atomic_manifest.commit import aio, driver
from atomic_manifest.commit.messages import Budget, Committed
from atomic_manifest.env import SYSTEM
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.ops.append import Append
from atomic_manifest.ops.staged import Staged
from atomic_manifest.testing import CountingDriver, FakeEnv


class AsyncFakeEnv(FakeEnv):
    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)


def intents(url: str, count: int):
    snapshot = load(am.store.open_store(url))
    return [
        Append(Staged(SYSTEM.new_id(), 0, txn=(f"app-{number}", 1))).intent(snapshot)
        for number in range(count)
    ]


@pytest.fixture
def url(request) -> str:
    import pyarrow as pa

    place = f"memory://aio-{request.node.name}"
    am.Table.create(place, pa.schema([("id", pa.int64())]))
    return place


def test_tasks_that_commit_at_once_are_all_in_the_log_once(url):
    store = am.store.open_store(url)
    wanted = intents(url, 16)

    async def commit_all():
        env = AsyncFakeEnv()
        return await asyncio.gather(
            *(aio.run(intent, store.driver, env, Budget()) for intent in wanted)
        )

    reports = asyncio.run(commit_all())
    in_log = {
        record.id: entry.version
        for entry in am.Table.open(url).history()
        for record in entry.commits
    }
    for intent, report in zip(wanted, reports, strict=True):
        assert report.outcome == Committed(in_log[intent.commit_id])


def test_it_makes_the_requests_that_the_blocking_driver_makes(url):
    first, second = intents(url, 2)
    counted = [CountingDriver(am.store.open_store(url).driver) for _ in range(2)]
    one = asyncio.run(aio.run(first, counted[0], AsyncFakeEnv(), Budget()))
    two = driver.run(second, counted[1], FakeEnv(), Budget())
    assert isinstance(one.outcome, Committed)
    assert isinstance(two.outcome, Committed)
    assert [r.method for r in counted[0].requests] == ["put"]
    assert [r.method for r in counted[1].requests] == ["put", "get", "get", "put"]
