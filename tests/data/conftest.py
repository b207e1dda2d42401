"""A store in memory that counts its requests, and rows to write into it."""

from collections.abc import Callable, Mapping

import pyarrow as pa
import pytest

from atomic_manifest.log.actions import Add, Metadata, Protocol
from atomic_manifest.log.entry import encode, entry_path
from atomic_manifest.log.metadata.schema import to_delta
from atomic_manifest.log.state.snapshot import Snapshot, load
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.policy.pacing import Retry
from atomic_manifest.testing.drivers import CountingDriver
from atomic_manifest.testing.env import FakeEnv


@pytest.fixture
def env() -> FakeEnv:
    return FakeEnv()


@pytest.fixture
def driver() -> CountingDriver:
    return CountingDriver(MemoryDriver("table"))


@pytest.fixture
def store(driver: CountingDriver, env: FakeEnv) -> ObjectStore:
    return ObjectStore(driver, env=env, retry=Retry(attempts=2))


@pytest.fixture
def commit() -> Callable[..., Snapshot]:
    """Make a table of files that are in a store already, as version 0."""

    def commit(
        store: ObjectStore,
        schema: pa.Schema,
        adds: tuple[Add, ...],
        *,
        partition_by: tuple[str, ...] = (),
        configuration: Mapping[str, str] | None = None,
    ) -> Snapshot:
        metadata = Metadata(
            id="00000000-0000-0000-0000-000000000000",
            schema_string=to_delta(schema),
            partition_columns=partition_by,
            configuration=configuration or {},
        )
        store.put(entry_path(0), encode([Protocol(1, 2), metadata, *adds]))
        return load(store)

    return commit
