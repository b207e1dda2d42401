"""Tables refuse stores on which several writers could win one version."""

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.commit.messages import Budget
from atomic_manifest.env import SYSTEM
from atomic_manifest.errors import UnsupportedByStore
from atomic_manifest.handle import Handle
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store import ObjectStore, open_store
from atomic_manifest.store.safety.remembered import forget
from tests.servers.one_mechanism import start_one_mechanism
from tests.table.conftest import SCHEMA, rows


@pytest.fixture(scope="module")
def careless():
    """An S3 that ignores every condition."""
    with start_one_mechanism("none") as server:
        yield server


@pytest.fixture(autouse=True)
def _remembers_nothing():
    forget()
    yield
    forget()


def keys(server, bucket: str) -> list[str]:
    return [meta.path for meta in open_store(f"s3://{bucket}", server.storage_options).list()]


def test_create_is_refused_by_name_of_the_failed_check_and_writes_nothing(careless):
    bucket = careless.new_bucket()
    with pytest.raises(UnsupportedByStore) as caught:
        am.Table.create(f"s3://{bucket}/t", SCHEMA, storage_options=careless.storage_options)
    assert caught.value.check == "put_if_absent"
    for told in ("put_if_absent: ignored", "copy_if_absent", "atomic-manifest probe", "assume"):
        assert told in str(caught.value)
    assert careless.secret not in str(caught.value)
    assert keys(careless, bucket) == []


@pytest.mark.parametrize(
    "write", [am.append, lambda url, data, **o: am.write_dataset(data, url, **o)]
)
def test_first_writes_are_refused_before_a_row_is_uploaded(careless, write):
    bucket = careless.new_bucket()
    with pytest.raises(UnsupportedByStore, match="put_if_absent"):
        write(f"s3://{bucket}/t", rows(1), storage_options=careless.storage_options)
    assert keys(careless, bucket) == []


def test_an_unsafe_store_is_probed_once_and_refused_ever_after(careless):
    for attempt in range(3):
        careless.reset()
        bucket = careless.new_bucket()
        with pytest.raises(UnsupportedByStore):
            am.append(f"s3://{bucket}/t", rows(1), storage_options=careless.storage_options)
        puts = [each for each in careless.requests() if each[0] == "PutObject"]
        assert bool(puts) is (attempt == 0)


def test_a_table_that_is_there_can_be_read_but_not_written(careless):
    bucket = careless.new_bucket()
    url, options = f"s3://{bucket}/t", careless.storage_options
    assumed = {**options, "conditional_put": "assume"}
    am.append(url, rows(1, 2), storage_options=assumed)
    table = am.Table.open(url, storage_options=options)
    assert table.to_arrow().num_rows == 2
    before = keys(careless, bucket)
    for write in (lambda: table.append(rows(3)), lambda: table.delete("id = 1")):
        with pytest.raises(UnsupportedByStore):
            write()
    with pytest.raises(UnsupportedByStore), table.transaction() as tx:
        tx.append(rows(3))
    assert keys(careless, bucket) == before


def test_assuming_skips_the_probe(careless):
    careless.reset()
    bucket = careless.new_bucket()
    options = {**careless.storage_options, "conditional_put": "assume"}
    table = am.Table.create(f"s3://{bucket}/t", SCHEMA, storage_options=options)
    table.append(rows(1))
    puts = [key for operation, key, _ in careless.requests() if operation == "PutObject"]
    assert all("probe" not in key for key in puts)
    assert len(puts) == 3


def test_a_safe_endpoint_is_probed_once_whatever_tables_are_written(modelled_s3):
    options = modelled_s3.storage_options

    def puts() -> int:
        return sum(operation == "PutObject" for operation, _, _ in modelled_s3.requests())

    bucket = modelled_s3.new_bucket()
    am.Table.create(f"s3://{bucket}/one", SCHEMA, storage_options=options)
    probed = puts()
    assert probed > 2
    two = am.Table.create(f"s3://{bucket}/two", SCHEMA, storage_options=options)
    two.append(rows(1))
    assert puts() - probed == 3
    opened = am.Table.open(f"s3://{bucket}/one", storage_options=options)
    opened.append(rows(1))
    assert puts() - probed == 5
    assert not [key for key in keys(modelled_s3, bucket) if "probe" in key]


def test_reading_never_probes(modelled_s3):
    options = modelled_s3.storage_options
    url = f"s3://{modelled_s3.new_bucket()}/t"
    am.Table.create(url, SCHEMA, storage_options=options)
    forget()
    modelled_s3.reset(keep_objects=True)
    assert am.Table.open(url, storage_options=options).to_arrow().num_rows == 0
    assert {operation for operation, _, _ in modelled_s3.requests()} <= {
        "GetObject",
        "ListObjectsV2",
    }


def test_a_handle_on_a_known_store_keeps_its_driver():
    url = "memory://unsafe-known"
    am.Table.create(url, pa.schema([("a", pa.int64())]))
    store: ObjectStore = open_store(url)
    assert Handle(store, load(store), SYSTEM, Budget()).store is store
