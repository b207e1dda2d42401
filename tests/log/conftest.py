from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from atomic_manifest.log.actions import Add, CommitInfo, Metadata, Protocol
from atomic_manifest.log.entry import encode, entry_path
from atomic_manifest.log.metadata.schema import to_delta
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore

Commit = Callable[..., None]


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore(MemoryDriver())


@pytest.fixture
def protocol() -> Protocol:
    return Protocol(min_reader_version=1, min_writer_version=2)


@pytest.fixture
def metadata() -> Metadata:
    return Metadata(id="t", schema_string=to_delta(pa.schema([("x", pa.int64())])))


@pytest.fixture
def add() -> Callable[..., Add]:
    def make(path: str, **fields: Any) -> Add:
        known = {"partition_values": {}, "size": 1, "modification_time": 2, "data_change": True}
        return Add(path=path, **(known | fields))

    return make


@pytest.fixture
def commit() -> Commit:
    def write(store: ObjectStore, version: int, *actions: Any, **info: Any) -> None:
        lines = [*actions, CommitInfo(fields=info)] if info else actions
        store.put(entry_path(version), encode(lines))

    return write


@pytest.fixture
def created(
    store: ObjectStore, commit: Commit, protocol: Protocol, metadata: Metadata
) -> ObjectStore:
    """A store with a table at version 0, without files."""
    commit(store, 0, protocol, metadata)
    return store
