"""What opening a table for an append asks of the store does not grow with the table."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import atomic_manifest as am
from atomic_manifest.log.state.snapshot import load, refresh
from atomic_manifest.store.driver import Object
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing.drivers import CountingDriver
from benchmarks.log import tables


class Meter(CountingDriver):
    """Counts the bytes of what was got, too."""

    received = 0

    def get(self, path: str, **options: Any) -> Object | None:
        found = super().get(path, **options)
        self.received += len(found.data) if isinstance(found, Object) else 0
        return found


def _metered(folder: Path) -> tuple[Meter, ObjectStore]:
    driver = Meter(LocalDriver(folder))
    return driver, ObjectStore(driver)


@pytest.fixture(scope="module", params=[200, 4000])
def table(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("opening") / "t"
    tables.make(folder, request.param)
    am.Table.open(folder).checkpoint()
    return folder


def test_opening_from_a_checkpoint_reads_as_much_of_any_table(table):
    driver, store = _metered(table)
    snapshot = load(store)
    assert snapshot.txns == {}
    assert snapshot.schema == tables.SCHEMA
    assert [each.method for each in driver.requests].count("list") == 1
    assert len(driver.requests) <= 4, driver.requests
    assert driver.received < 10_000


def test_without_a_checksum_only_the_rows_that_are_no_files_are_read(table, monkeypatch):
    for checksum in (table / "_delta_log").glob("*.crc"):
        checksum.unlink()
    monkeypatch.setattr("atomic_manifest.log.checkpoint.parts.AT_ONCE", 1000)
    driver, store = _metered(table)
    snapshot = load(store)
    assert snapshot.schema == tables.SCHEMA
    assert len(driver.requests) <= 6, driver.requests
    assert driver.received < 80_000  # the footer, and of the rest two rows
    driver.clear()
    assert snapshot.files().num_rows in (200, 4000)
    assert [each.method for each in driver.requests] == ["get"]  # all of the file, which is checked


def test_rows_are_read_only_after_all_of_a_file_was_checked(table, monkeypatch):
    monkeypatch.setattr("atomic_manifest.log.checkpoint.parts.AT_ONCE", 1000)
    (path,) = (table / "_delta_log").glob("*.checkpoint.parquet")
    sound = path.read_bytes()
    begin = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    try:
        path.write_bytes(sound[:begin] + bytes([sound[begin] ^ 1]) + sound[begin + 1 :])
        snapshot = load(_metered(table)[1])
        with pytest.warns(RuntimeWarning, match="the file's checksum is another"):
            assert snapshot.files().num_rows in (200, 4000)
    finally:
        path.write_bytes(sound)


def test_a_refresh_costs_what_is_new_and_shares_the_rest(table):
    driver, store = _metered(table)
    before = load(store)
    driver.clear()
    assert refresh(store, before) is before
    assert [each.method for each in driver.requests] == ["get"]
    after = before.advance([])
    assert after._replay.base is before._replay.base
