"""Listing logs of any length, with few requests or with many at once."""

import pytest

from atomic_manifest.log.entry import LOG_FOLDER, entry_path
from atomic_manifest.log.folder.listing import LAST_VERSION, LISTERS, PAGE, log_files
from atomic_manifest.log.folder.segment import list_log
from atomic_manifest.log.state.history import history
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing import CountingDriver
from tests.log import layouts
from tests.log.corruption import stored


class Paged(CountingDriver):
    """A service whose answers hold `PAGE` objects, each counted as a request of its own."""

    url = "s3://bucket/table"

    def list(self, prefix="", *, start_after=None):
        for number, meta in enumerate(self.inner.list(prefix, start_after=start_after)):
            if number % PAGE == 0:
                self._record("list", prefix)
            yield meta
        if not any(True for _ in self.inner.list(prefix, start_after=start_after)):
            self._record("list", prefix)


@pytest.fixture
def paged():
    driver = Paged(MemoryDriver())
    return ObjectStore(driver)


def fill(store, count, *others):
    for version in range(count):
        store.driver.inner.put(entry_path(version), b"{}")
    for name in others:
        store.driver.inner.put(f"{LOG_FOLDER}/{name}", b"{}")


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 5000])
def test_every_entry_is_listed_once_and_in_order(paged, count):
    fill(paged, count, "_last_checkpoint", "_sidecars/a.parquet", ".tmp")
    listed = [meta.path for meta in log_files(paged)]
    versions = [path for path in listed if path.endswith(".json")]
    assert versions == [entry_path(version) for version in range(count)]


def test_5000_entries_take_a_request_for_each_page_and_few_more(paged):
    fill(paged, 5000)
    assert len(list_log(paged).entries) == 5000
    pages = 5000 // PAGE
    assert paged.driver.count("list") <= 2 * pages + LISTERS + 4


def test_a_short_log_takes_one_request(paged):
    fill(paged, 500)
    assert len(list_log(paged).entries) == 500
    assert paged.driver.count("list") == 1


@pytest.mark.parametrize(("start", "stop"), [(0, 3500), (1200, 1201), (1200, 4800), (4999, None)])
def test_a_range_of_versions_is_listed_without_the_others(paged, start, stop):
    fill(paged, 5000)
    listed = sorted(list_log(paged, start, stop).entries)
    assert listed == list(range(start, stop or 5000))


def test_entries_far_apart_are_all_listed(paged):
    fill(paged, PAGE + 5)
    far = [50_000, 3_000_000, 10**12, LAST_VERSION]
    for version in [*far, LAST_VERSION + 1, 2**63, 10**20 - 1]:
        paged.driver.inner.put(entry_path(version), b"{}")
    assert sorted(list_log(paged).entries)[-4:] == far


@pytest.mark.parametrize("name", [".{:020}.json.crc", "0-{}.tmp"])
def test_pages_of_other_files_hide_no_entry(paged, name):
    fill(paged, 3, *(name.format(number) for number in range(PAGE + 200)))
    assert sorted(list_log(paged).entries) == [0, 1, 2]


@pytest.mark.parametrize("limit", [0, 1, 5, 100])
def test_history_reads_the_entries_it_gives_and_no_more(limit):
    driver = CountingDriver(stored(layouts.plain().objects).driver)
    records = list(history(ObjectStore(driver), limit=limit))
    assert [record.version for record in records] == [
        *range(layouts.NEWEST, layouts.NEWEST - min(limit, layouts.NEWEST + 1), -1)
    ]
    assert driver.count("get") == len(records)
    assert driver.count("list") == 1


def test_history_is_read_as_it_is_used():
    driver = CountingDriver(stored(layouts.plain().objects).driver)
    records = history(ObjectStore(driver))
    assert next(records).version == layouts.NEWEST
    assert driver.count("get") <= 16
