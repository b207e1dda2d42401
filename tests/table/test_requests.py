"""What an operation costs in requests, whatever the size of the table."""

import pytest

import atomic_manifest as am
from atomic_manifest.testing import CountingDriver
from tests.table.conftest import SCHEMA, rows


@pytest.mark.parametrize("files", [0, 1, 50])
def test_append_from_an_open_handle_is_two_requests_one_after_the_other(files, table_on):
    url = f"memory://requests-{files}"
    am.Table.create(url, SCHEMA)
    for number in range(files):
        am.append(url, rows(number))
    driver = CountingDriver(am.store.open_store(url).driver)
    table = table_on(driver)
    driver.clear()
    result = table.append(rows(files))
    assert [request.method for request in driver.requests] == ["put", "put"]
    data, entry = driver.requests
    assert data.path.endswith(".parquet")
    assert entry.path == f"_delta_log/{result.version:020}.json"


def test_a_lost_race_costs_one_look_and_one_more_put(table_on):
    url = "memory://requests-lost"
    am.Table.create(url, SCHEMA)
    driver = CountingDriver(am.store.open_store(url).driver)
    table = table_on(driver)
    am.append(url, rows(1))
    driver.clear()
    table.append(rows(2))
    methods = [request.method for request in driver.requests]
    assert methods == ["put", "put", "get", "get", "put"]


def test_refresh_reads_the_next_entries_and_does_not_list(table_on):
    url = "memory://requests-refresh"
    am.Table.create(url, SCHEMA)
    driver = CountingDriver(am.store.open_store(url).driver)
    table = table_on(driver)
    am.append(url, rows(1))
    driver.clear()
    table.refresh()
    assert {request.method for request in driver.requests} == {"get"}


def test_building_a_dataset_makes_no_request(table_on):
    url = "memory://requests-dataset"
    am.append(url, rows(1))
    driver = CountingDriver(am.store.open_store(url).driver)
    table = table_on(driver)
    driver.clear()
    table.to_dataset()
    assert not driver.requests


def test_importing_the_package_imports_nothing_heavy():
    import subprocess
    import sys

    heavy = {"pyarrow", "pandas", "obstore", "s3fs"}
    code = f"import atomic_manifest, sys; print(sorted({heavy!r} & set(sys.modules)))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"
