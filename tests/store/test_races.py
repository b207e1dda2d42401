"""Real races of threads and tasks through both stores: one winner, no lost update."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from atomic_manifest import errors
from atomic_manifest.store import AsyncObjectStore, IfAbsent, ObjectStore, Retry
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver

CREATORS, ROUNDS = 16, 50
WRITERS, INCREMENTS = 5, 10
PATIENT = {"attempts": 10_000, "deadline": 120.0}
QUICK = Retry(base_seconds=0.0005, cap_seconds=0.005)


@pytest.fixture(params=["memory", "local"])
def driver(request, tmp_path):
    return MemoryDriver() if request.param == "memory" else LocalDriver(tmp_path)


def increment(data):
    return b"%d" % (int(data or 0) + 1)


def test_one_of_sixteen_creators_wins_each_round(driver):
    store = ObjectStore(driver)
    barrier = threading.Barrier(CREATORS)

    def create(number):
        won = []
        for turn in range(ROUNDS):
            barrier.wait()
            try:
                store.put(f"r/{turn}", b"%d" % number, when=IfAbsent())
            except errors.AlreadyExists:
                continue
            won.append(turn)
        return won

    with ThreadPoolExecutor(CREATORS) as pool:
        won = [*pool.map(create, range(CREATORS))]
    assert sorted(turn for turns in won for turn in turns) == [*range(ROUNDS)]
    for number, turns in enumerate(won):
        assert all(store.get(f"r/{turn}").data == b"%d" % number for turn in turns)


def test_one_of_sixteen_creating_tasks_wins_each_round(driver):
    async def create(store, turn, number):
        try:
            await store.put(f"r/{turn}", b"%d" % number, when=IfAbsent())
        except errors.AlreadyExists:
            return None
        return number

    async def race():
        async with AsyncObjectStore.of(ObjectStore(driver)) as store:
            for turn in range(ROUNDS):
                tasks = [create(store, turn, number) for number in range(CREATORS)]
                won = [number for number in await asyncio.gather(*tasks) if number is not None]
                assert len(won) == 1
                assert (await store.get(f"r/{turn}")).data == b"%d" % won[0]

    asyncio.run(race())


def test_five_times_ten_increments_are_fifty(driver):
    store = ObjectStore(driver, retry=QUICK)

    def work(_number):
        for _ in range(INCREMENTS):
            store.update("counter", increment, **PATIENT)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(work, range(WRITERS)))
    assert store.get("counter").data == b"50"


def test_five_times_ten_increments_of_tasks_are_fifty(driver):
    async def work(store):
        for _ in range(INCREMENTS):
            await store.update("counter", increment, **PATIENT)

    async def race():
        async with AsyncObjectStore.of(ObjectStore(driver, retry=QUICK)) as store:
            await asyncio.gather(*(work(store) for _ in range(WRITERS)))
            return (await store.get("counter")).data

    assert asyncio.run(race()) == b"50"


def test_racing_calls_with_one_key_write_once():
    store = ObjectStore(MemoryDriver(), retry=QUICK)
    barrier = threading.Barrier(CREATORS)

    def put(_number):
        barrier.wait()
        return store.put("k", b"body", idempotency_key="a").etag

    for _ in range(10):
        store.put("k", b"before")
        with ThreadPoolExecutor(CREATORS) as pool:
            assert len({*pool.map(put, range(CREATORS))}) == 1
