"""A process that finds a table's probe recorded makes none."""

import json

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.store.open import open_store
from atomic_manifest.store.safety.recorded import DAYS, RECORD_PATH
from atomic_manifest.store.safety.remembered import forget

SCHEMA = pa.schema([("id", pa.int64())])
DAY_SECONDS = 24 * 60 * 60


@pytest.fixture(autouse=True)
def _remembers_nothing():
    forget()
    yield
    forget()


@pytest.fixture
def url(modelled_s3):
    url = f"s3://{modelled_s3.new_bucket()}/t"
    am.Table.create(url, SCHEMA, storage_options=modelled_s3.storage_options)
    forget()
    return url


@pytest.fixture
def append(modelled_s3, url):
    """Append as a new process would, and tell which requests that took."""

    def appended():
        forget()
        modelled_s3.reset(keep_objects=True)
        am.append(url, pa.table({"id": [1]}), storage_options=modelled_s3.storage_options)
        requests = modelled_s3.requests()
        return sum(operation == "PutObject" for operation, _, _ in requests), requests

    return appended


@pytest.fixture
def change(modelled_s3, url):
    """Change the record."""

    def changed(**fields):
        store = open_store(url, modelled_s3.storage_options)
        record = json.loads(store.get(RECORD_PATH).data)
        found = record["found"] | {k: v for k, v in fields.items() if k in record["found"]}
        record |= {"found": found} | {k: v for k, v in fields.items() if k in record}
        store.put(RECORD_PATH, json.dumps(record).encode())
        return record

    return changed


def test_a_process_that_finds_the_record_makes_no_probe(append):
    puts, requests = append()
    assert puts == 2
    assert sum(key.endswith(RECORD_PATH) for _, key, _ in requests) == 1


def test_a_record_of_another_service_does_not_count(append, change):
    change(endpoint="https://s3.example.org")
    assert append()[0] > 2
    assert append()[0] == 2


def test_an_old_record_does_not_count(append, change):
    probed_at = change()["probed_at"]
    change(probed_at=probed_at - DAYS * DAY_SECONDS - 60)
    assert append()[0] > 2


def test_a_record_of_an_unsafe_store_does_not_count(append, change):
    change(create_strategy=None)
    assert append()[0] > 2


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"probed_at": null, "found": 1}', b"\xff"])
def test_a_damaged_record_is_as_good_as_none(modelled_s3, url, append, text):
    open_store(url, modelled_s3.storage_options).put(RECORD_PATH, text)
    assert append()[0] > 2


def test_other_engines_read_the_table_all_the_same(modelled_s3, url, append):
    deltalake = pytest.importorskip("deltalake")
    append()
    table = deltalake.DeltaTable(url, storage_options=modelled_s3.deltalake_options)
    assert table.to_pyarrow_table().num_rows == 1
