"""Faults on the wire of WebDAV, and on the asyncio driver of a commit."""

import asyncio
import random

import pytest
from aiohttp import web

from atomic_manifest import errors
from atomic_manifest.commit import aio
from atomic_manifest.commit.driver import run
from atomic_manifest.commit.messages import Budget, Committed, Unknown
from atomic_manifest.log.entry import decode, encode, entry_path
from atomic_manifest.store import IfAbsent, IfMatch, ObjectStore
from atomic_manifest.store.http.driver import HttpDriver
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import (
    CountingDriver,
    Damage,
    DamagingDriver,
    FakeEnv,
    Fault,
    FaultyDriver,
)
from tests.commit.actions import add, intent
from tests.commit.test_aio import AsyncFakeEnv
from tests.faults.test_commit import requests_of_a_commit, table, versions_of
from tests.servers.webdav import AtomicDav
from tests.store.test_truth import MINE, NOT_WRITTEN, OLD

pytestmark = pytest.mark.faults

USUAL = False
"""An answer that the server gives as ever."""
LOST_AFTER = None
"""The connection is reset after the request was carried out."""


def wire_answer(kind):
    """A new answer for the server to give; each can be sent once."""
    return kind if kind in (USUAL, LOST_AFTER) else web.Response(status=kind)


@pytest.fixture
def dav():
    with AtomicDav() as server:
        yield server


@pytest.fixture
def driver(dav):
    return HttpDriver(f"{dav.url}/table")


def filled(driver):
    for version in range(5):
        driver.put(entry_path(version), b'{"commitInfo":{}}\n')
    driver.put(entry_path(5), encode([add("x", "9")]))
    return driver


def places(driver, versions=range(5, 9)):
    found = []
    for version in versions:
        try:
            data = driver.get(entry_path(version)).data
        except errors.NotFound:
            break
        if decode(data, version).holds("mine"):
            found.append(version)
    return found


@pytest.mark.parametrize("kind", [LOST_AFTER, 500, 502, 503, 429], ids=str)
def test_one_fault_on_the_wire_of_webdav_loses_and_doubles_no_commit(dav, driver, kind):
    filled(driver)
    for number in range(12):
        dav.requests.clear()
        dav.manners.answers[:] = [*[USUAL] * number, wire_answer(kind)]
        outcome = run(intent(add()), driver, FakeEnv(), Budget()).outcome
        was_hit = not dav.manners.answers
        dav.manners.answers.clear()
        assert isinstance(outcome, Committed), f"{kind} at request {number}"
        assert places(driver) == [outcome.version] == [6]
        driver.delete(entry_path(6))
        if not was_hit:
            return
    pytest.fail("a commit makes fewer requests")


def test_what_put_says_over_webdav_is_so_while_the_wire_fails(dav, driver):
    store = ObjectStore(driver, env=FakeEnv())
    answers = []
    for seed in range(150):
        dice, key = random.Random(seed), f"k{seed}"
        old = driver.put(key, OLD).meta.etag if dice.random() < 0.5 else None
        kinds = [dice.choice([LOST_AFTER, 500, 503, 429]) for _ in range(dice.randint(1, 4))]
        dav.manners.answers[:] = [wire_answer(kind) for kind in kinds]
        when = IfAbsent() if old is None or dice.random() < 0.3 else IfMatch(old)
        told = "written"
        try:
            store.put(key, MINE, when=when)
        except (*NOT_WRITTEN, errors.StoreUnavailable, errors.WriteOutcomeUnknown) as error:
            told = type(error).__name__
        dav.manners.answers.clear()
        try:
            landed = driver.get(key).data == MINE
        except errors.NotFound:
            landed = False
        if told == "written":
            assert landed, seed
        elif told != "WriteOutcomeUnknown":
            assert not landed, (seed, told)
        answers.append(told)
    assert answers.count("written") > 10
    assert len({*answers}) > 1


def by_asyncio(wanted, driver, budget=None):
    return asyncio.run(aio.run(wanted, driver, AsyncFakeEnv(), budget or Budget()))


@pytest.mark.parametrize("fault", Fault)
def test_any_single_fault_is_overcome_by_the_asyncio_driver(fault):
    for number in range(requests_of_a_commit() + 1):
        memory = table()
        report = by_asyncio(intent(add()), FaultyDriver(memory, {number: fault}))
        assert isinstance(report.outcome, Committed), f"{fault} at request {number}"
        assert versions_of(memory, "mine") == [report.outcome.version]


@pytest.mark.parametrize("fault", Fault)
def test_a_store_that_fails_from_some_request_on_gets_no_wrong_answer_of_the_asyncio_driver(fault):
    for healthy in range(requests_of_a_commit() + 1):
        memory = table()
        faulty = FaultyDriver(memory, lambda number, _r, n=healthy: fault if number >= n else None)
        outcome = by_asyncio(intent(add()), faulty, Budget(attempts=5, seconds=30)).outcome
        there = versions_of(memory, "mine")
        if isinstance(outcome, Committed):
            assert there == [outcome.version]
        elif isinstance(outcome, Unknown):
            assert there == [] or there[0] in outcome.versions
        else:
            assert there == [], f"{outcome} after {healthy} requests"


@pytest.mark.parametrize("damage", Damage)
@pytest.mark.parametrize("times", [1, 3])
def test_a_lost_answer_and_damaged_reads_are_overcome_by_the_asyncio_driver(damage, times):
    memory = MemoryDriver()
    for version in range(5):
        memory.put(entry_path(version), b'{"commitInfo":{}}\n')
    damaging = DamagingDriver(memory, lambda number, _path: damage if number < times else None)
    driver = CountingDriver(FaultyDriver(damaging, {0: Fault.LOST_AFTER}))
    report = by_asyncio(intent(add()), driver)
    assert report.outcome == Committed(5)
    assert report.attempts == 1
