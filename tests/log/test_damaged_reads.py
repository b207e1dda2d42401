"""Reads that come damaged though the objects are sound: they are repeated before any verdict."""

import itertools
import warnings

import pytest

from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.checkpoint import parts
from atomic_manifest.log.checkpoint.reader import Checkpoint
from atomic_manifest.log.entry import decode, entry_path
from atomic_manifest.log.folder.entries import read_entry
from atomic_manifest.log.folder.hint import Hint, encode_hint, move_hint, read_hint
from atomic_manifest.log.rereading import READS
from atomic_manifest.log.state.history import history
from atomic_manifest.log.state.snapshot import load, refresh
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.passing import PassingDriver
from atomic_manifest.testing import CountingDriver, Damage, DamagingDriver, FakeEnv, seeded_damage
from tests.log import layouts
from tests.log.corruption import content, stored

LAYOUTS = {
    "plain": layouts.plain,
    "classic": layouts.classic,
    "v2": layouts.v2,
    "cleaned": layouts.cleaned,
}
FOREIGN = (
    b'{"add":{"path":"a","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}\n'
)


def damaging(objects, damages):
    """A store whose reads are damaged."""
    return ObjectStore(DamagingDriver(stored(objects).driver, damages), env=FakeEnv())


def reads_of(objects):
    driver = DamagingDriver(stored(objects).driver, lambda _number, _path: None)
    seen = []
    driver._damages = lambda _number, path: seen.append(path)
    content(ObjectStore(driver, env=FakeEnv()))
    return len(seen)


@pytest.mark.parametrize("damage", Damage)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "by ranges"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_one_damaged_read_changes_nothing(name, whole, damage, monkeypatch):
    if not whole:
        monkeypatch.setattr(parts, "WHOLE", 0)
    table = LAYOUTS[name]()
    expected = table.versions[max(table.versions)]
    for number in range(reads_of(table.objects)):
        store = damaging(
            table.objects, lambda n, _path, number=number: damage if n == number else None
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert content(store) == expected, f"read {number}"
        assert store.driver.damaged == 1


@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_table_opens_at_every_version_while_many_reads_are_damaged(name, share):
    table = LAYOUTS[name]()
    damaged = 0
    for seed, (version, expected) in itertools.product(range(8), table.versions.items()):
        store = damaging(table.objects, seeded_damage(seed, share))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert content(store, version) == expected
        damaged += store.driver.damaged
    assert damaged


def test_history_and_refresh_repeat_damaged_reads():
    table = layouts.plain()
    newest = max(table.versions)
    expected = [(record.version, record.operation) for record in history(stored(table.objects))]
    for seed in range(20):
        store = damaging(table.objects, seeded_damage(seed, 0.2))
        assert [(r.version, r.operation) for r in history(store)] == expected
        old = load(store, version=1)
        assert refresh(store, old).version == newest


def test_a_lasting_damage_is_told_after_bounded_reads_and_pauses():
    env = FakeEnv()
    counting = CountingDriver(MemoryDriver())
    counting.put(entry_path(0), FOREIGN[:-9])
    with pytest.raises(CorruptLog, match=r"00000\.json") as caught:
        read_entry(ObjectStore(counting, env=env), 0)
    assert caught.value.damaged
    assert len([r for r in counting.requests if r.method == "get"]) == READS
    assert len(env.slept) == READS - 1


@pytest.mark.parametrize(
    "data",
    [b'{"add":{"path":"a"}}\n', b'{"commitInfo":{}}\n{"remove":{"size":1}}\n', b'{"txn":7}\n'],
)
def test_a_whole_entry_of_others_that_is_refused_is_read_twice(data):
    counting = CountingDriver(MemoryDriver())
    counting.put(entry_path(0), data)
    with pytest.raises(CorruptLog) as caught:
        read_entry(ObjectStore(counting, env=FakeEnv()), 0)
    assert not caught.value.damaged
    assert len([r for r in counting.requests if r.method == "get"]) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        FOREIGN[:40],
        b"\0" * 40,
        b'{"add":{"path":"\xff"}}\n',
        b"<html></html>",
        b'{"add":{"path":"a"},"tags":"atomicManifest"}',
        b"[" * 100_000,
    ],
    ids=str,
)
def test_what_cannot_be_all_of_an_entry_is_damage(data):
    with pytest.raises(CorruptLog) as caught:
        decode(data, 0)
    assert caught.value.damaged


class _Growing(PassingDriver):
    """Shows an object a piece at a time, as a writer that is not atomic does."""

    def __init__(self, inner, pieces):
        super().__init__(inner)
        self.pieces = list(pieces)

    def around(self, method, path, act):
        if method == "get" and path == entry_path(1) and self.pieces:
            self.inner.put(path, self.pieces.pop(0))
        return act()


@pytest.mark.parametrize("first", [0, 1, 50, len(FOREIGN) - 2])
def test_an_entry_in_the_making_of_a_writer_that_is_not_atomic_is_waited_for(first):
    memory = MemoryDriver()
    table = layouts.plain()
    memory.put(entry_path(0), table.objects[entry_path(0)])
    growing = _Growing(memory, [FOREIGN[:first], FOREIGN[: first + 1], FOREIGN])
    store = ObjectStore(growing, env=FakeEnv())
    assert refresh(store, load(store, version=0)).version == 1


def test_a_hint_is_not_moved_back_because_it_was_read_damaged():
    memory = MemoryDriver()
    memory.put("_delta_log/_last_checkpoint", encode_hint(Hint(7)))
    for damage in Damage:
        driver = DamagingDriver(memory, lambda n, _path, damage=damage: None if n else damage)
        move_hint(ObjectStore(driver, env=FakeEnv()), Hint(3))
        assert read_hint(ObjectStore(memory, env=FakeEnv())).version == 7


def test_foreign_shortcuts_without_seals_are_not_read_again():
    table = layouts.plain()
    objects = dict(table.objects)
    version = max(table.versions)
    objects[f"_delta_log/{version:020}.crc"] = b'{"tableSizeBytes":1,"numFiles":1}'
    counting = CountingDriver(stored(objects).driver)
    content(ObjectStore(counting, env=FakeEnv()))
    paths = [r.path for r in counting.requests if r.method == "get"]
    assert len(paths) == len(set(paths))


def test_a_scan_of_a_checkpoint_repeats_what_came_damaged():
    table = layouts.classic()
    store = damaging(table.objects, seeded_damage(3, 0.3))
    snapshot = load(store)
    base = snapshot._replay.base
    assert isinstance(base, Checkpoint)
    for _ in range(10):
        again = base.reopened()
        rows = sum(found.num_rows for found in again.scan("add", ["path", "stats"]))
        assert rows == base.adds(["path"]).num_rows
