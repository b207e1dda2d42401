"""Services that list in an order of their own, or start a listing where they like."""

import asyncio
from zlib import crc32

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import UnsupportedByStore
from atomic_manifest.log.folder.listing import log_files
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store import AsyncObjectStore, ObjectStore, open_store
from atomic_manifest.store.capabilities import Finding, Support
from atomic_manifest.store.filesystem.driver import FsspecDriver
from atomic_manifest.store.in_threads import InThreads
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.passing import PassingDriver
from atomic_manifest.store.probe import probe, probe_creation
from atomic_manifest.store.safety.endpoint import endpoint_of, known_capabilities


class Listing(PassingDriver):
    """Lists what the inner driver holds in an order of its own; counts listings and their starts."""

    def __init__(self, inner):
        super().__init__(inner)
        self.starts = []

    def list(self, prefix="", *, start_after=None):
        self.starts.append(start_after)
        return iter(self.arranged([*self.inner.list(prefix)], start_after))


class LastSecond(Listing):
    """The last key comes second; a start is heeded."""

    def arranged(self, metas, start_after):
        wanted = [meta for meta in metas if meta.path > (start_after or "")]
        return wanted[:1] + wanted[-1:] + wanted[1:-1]


class Scattered(Listing):
    """By a hash; what is behind a key is what its own order has there."""

    def arranged(self, metas, start_after):
        metas.sort(key=lambda meta: (crc32(meta.path.encode()), meta.path))
        places = [meta.path for meta in metas]
        return metas[places.index(start_after) + 1 if start_after in places else 0 :]


class SortedPages(Listing):
    """Every page is in order, but has keys from everywhere."""

    def arranged(self, metas, start_after):
        wanted = [meta for meta in metas if meta.path > (start_after or "")]
        return wanted[::2] + wanted[1::2]


class NoStart(Listing):
    """In order, and from the beginning whatever is asked for."""

    def arranged(self, metas, start_after):
        return metas


class Inclusive(Listing):
    """In order, and a listing starts with the key itself."""

    def arranged(self, metas, start_after):
        return [meta for meta in metas if meta.path >= (start_after or "")]


class ByParts(Listing):
    """In order of the keys' parts, as folders are walked."""

    def arranged(self, metas, start_after):
        wanted = [meta for meta in metas if meta.path > (start_after or "")]
        return sorted(wanted, key=lambda meta: meta.path.split("/"))


class InOrder(Listing):
    """As it must be."""

    def arranged(self, metas, start_after):
        return [meta for meta in metas if meta.path > (start_after or "")]


UNORDERED = Finding(Support.IGNORED, "listings are not in order of key")
WRONG = [LastSecond, Scattered, SortedPages, NoStart, Inclusive, ByParts]
ALL = [*WRONG, InOrder]


def filled(number):
    driver = MemoryDriver()
    for at in range(number):
        driver.put(f"f/{at % 7}{'-' if at % 3 else '/'}{at:05}", b"")
    return driver


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("number", [1, 2, 5, 999, 1000, 1001, 2500])
def test_listings_are_whole_and_in_order(kind, number):
    driver = filled(number)
    expected = sorted(meta.path for meta in driver.list("f"))
    for start in (None, "f/", expected[0], expected[-1], expected[number // 2], "f/3", "f/9"):
        store = ObjectStore(kind(driver))
        for _ in range(2):  # with what was learnt, too
            listed = [meta.path for meta in store.list("f", start_after=start)]
            assert listed == [path for path in expected if path > (start or "")]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("number", [5, 2500])
def test_asynchronous_listings_are_whole_and_in_order(kind, number):
    driver = filled(number)
    expected = sorted(meta.path for meta in driver.list("f"))

    async def listed(store, start):
        return [meta.path async for meta in store.list("f", start_after=start)]

    for start in (None, expected[0], expected[number // 2], "f/3"):
        store = AsyncObjectStore(InThreads(kind(driver)))
        for _ in range(2):
            wanted = [path for path in expected if path > (start or "")]
            assert asyncio.run(listed(store, start)) == wanted


@pytest.mark.parametrize("kind", ALL)
def test_sub_folders_are_all_found(kind):
    driver = MemoryDriver()
    for folder in ("a", "b", "c"):
        for at in range(1100):
            driver.put(f"{folder}/{at:05}", b"")
    assert [*ObjectStore(kind(driver)).list_dirs()] == ["a", "b", "c"]


def test_a_page_in_order_and_a_start_that_is_heeded_are_believed():
    driver = InOrder(filled(1500))
    store = ObjectStore(driver)
    last = [meta.path for meta in store.list("f")][-1]
    driver.starts.clear()
    assert [*store.list("f", start_after=last)] == []
    assert driver.starts == [last]


def test_an_order_that_ends_later_is_an_error_and_then_known():
    driver = InOrder(filled(1500))
    store = ObjectStore(driver)
    expected = [meta.path for meta in store.list("f")]
    driver.arranged = lambda metas, start_after: metas[5:] + metas[:5]
    with pytest.raises(UnsupportedByStore, match="f: the service stopped listing in order of key"):
        list(store.list("f"))
    assert [meta.path for meta in store.list("f")] == expected


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("commits", [3, 15])
def test_the_newest_version_is_loaded(kind, commits):
    url = f"memory://order-{kind.__name__}-{commits}"
    schema = pa.schema([("i", pa.int64())])
    am.Table.create(url, schema, configuration={"delta.checkpointInterval": "10"})
    for number in range(commits):
        am.append(url, pa.table({"i": [number]}))
    store = open_store(url)
    assert load(ObjectStore(kind(store.driver))).version == commits


@pytest.mark.parametrize("kind", ALL)
def test_a_long_log_is_listed_as_it_is(kind):
    driver = MemoryDriver()
    driver._url = "s3://bucket/long"  # so that parts of the log may be asked for at once
    for version in range(5000):
        driver.put(f"_delta_log/{version:020}.json", b"{}")
    driver.put("_delta_log/_last_checkpoint", b"{}")
    driver.put("_delta_log/_sidecars/a.parquet", b"")
    store = ObjectStore(kind(driver))
    for start in (0, 4990):
        listed = [meta.path for meta in log_files(store, start)]
        assert listed == [f"_delta_log/{version:020}.json" for version in range(start, 5000)]


def test_an_unordered_log_is_listed_once():
    driver = MemoryDriver()
    driver._url = "s3://bucket/long"
    for version in range(3000):
        driver.put(f"_delta_log/{version:020}.json", b"{}")
    unordered = LastSecond(driver)
    assert len([*log_files(ObjectStore(unordered))]) == 3000
    assert unordered.starts == [None]


@pytest.mark.parametrize("kind", WRONG)
def test_the_probe_finds_the_order_out(kind):
    store = ObjectStore(kind(MemoryDriver()))
    found = probe_creation(store)
    assert found.list_order.support is Support.IGNORED
    assert found.safe_for_tables  # they are listed whole


def test_the_probe_finds_order():
    assert probe(ObjectStore(LastSecond(MemoryDriver())), rounds=1).list_order == UNORDERED
    assert probe_creation(ObjectStore(InOrder(MemoryDriver()))).list_order.is_safe


def test_what_a_probe_found_is_used():
    for kind, by_path in ((LastSecond, False), (InOrder, True)):
        driver = kind(MemoryDriver())
        found = probe_creation(ObjectStore(driver))
        store = ObjectStore(driver, capabilities=found)
        driver.starts.clear()
        assert [*store.list("f", start_after="f/1")] == []
        assert driver.starts == (["f/1"] if by_path else [None])


@pytest.mark.parametrize("name", ["b--use1-az4--x-s3", "p--use1-az4--xa-s3"])
def test_directory_buckets_are_not_amazons_known_ones(name):
    options = {"key": "k", "secret": "s", "region": "us-east-1"}
    store = open_store(f"s3://{name}/t", options)
    assert known_capabilities(store.driver) is None
    assert endpoint_of(store.driver) == "Amazon S3 (directory bucket)"
    assert store.order.is_by_path is False
    assert store.driver.as_async().lists_in_order is False
    known = open_store("s3://bucket/t", options)
    assert known_capabilities(known.driver) is not None
    assert known.order.is_by_path


def test_directory_buckets_of_s3fs_are_not_known():
    s3fs = pytest.importorskip("s3fs")
    fs = s3fs.S3FileSystem(key="k", secret="s", skip_instance_cache=True)
    driver = FsspecDriver(fs, "b--use1-az4--x-s3/t")
    assert driver.capabilities is None
    assert driver.lists_in_order is driver.as_async().lists_in_order is False
