"""The record of a probe under random damage: it counts or it does not, and raises nothing."""

import random

import msgspec
import pytest

from atomic_manifest.store import ObjectStore
from atomic_manifest.store.capabilities import Capabilities, all_safe
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.safety.endpoint import endpoint_of
from atomic_manifest.store.safety.recorded import RECORD_PATH, record, recorded
from atomic_manifest.testing import FakeEnv
from tests.damage import with_another_value, with_other_bytes


class Service(MemoryDriver):
    """A driver that names its service."""

    endpoint = "https://s3.example.com"


FOUND = all_safe(endpoint_of(Service()), "probed")


def store_with(text: bytes | None = None) -> ObjectStore:
    store = ObjectStore(Service(), env=FakeEnv())
    if text is None:
        record(store, FOUND)
    else:
        store.put(RECORD_PATH, text)
    return store


def check_damage(seeds: range) -> None:
    good = store_with().get(RECORD_PATH).data
    for seed in seeds:
        source = random.Random(seed)
        text = source.choice([with_other_bytes, with_another_value])(source, good)
        found = recorded(store_with(text))
        assert found is None or (isinstance(found, Capabilities) and found.safe_for_tables)


def test_a_record_counts():
    assert recorded(store_with()) == FOUND


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[" * 60_000,
        b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"probed_at":' + b"9" * 5000 + b"}",
        b'{"probed_at":' + b'{"a":' * 5000,
        msgspec.json.encode({"probed_at": 1e308, "found": msgspec.to_builtins(FOUND)}),
        msgspec.json.encode({"probed_at": -(1 << 62), "found": msgspec.to_builtins(FOUND)}),
    ],
    ids=lambda text: repr(text[:30]),
)
def test_what_is_no_record_does_not_count(text):
    assert recorded(store_with(text)) is None


def test_a_large_object_is_not_read_whole():
    class Counting(Service):
        def get(self, path, *, range=None, if_none_match=None):
            found = super().get(path, range=range, if_none_match=if_none_match)
            read.append(len(found.data))
            return found

    read: list[int] = []
    store = ObjectStore(Counting(), env=FakeEnv())
    store.put(RECORD_PATH, bytes(64 << 20))
    assert recorded(store) is None
    assert max(read) <= 1 << 16


@pytest.mark.faults
def test_damaged_records_raise_nothing():
    check_damage(range(1500))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_damaged_records_raise_nothing_over_many_seeds(block):
    check_damage(range(block * 1000, (block + 1) * 1000))
