"""Seeded damage to logs of all layouts: detected or harmless, never a wrong answer.

Each run is told by the layout and its seeds; `judge` of a seed that failed says what became of what.
"""

import random
from collections import Counter

import pytest

from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.checkpoint import parts
from atomic_manifest.log.entry import entry_path
from atomic_manifest.log.state.snapshot import load
from tests.log import layouts
from tests.log.corruption import Damage, Layout, Verdict, damage, judge, stored

OWN = {
    "plain": layouts.plain,
    "classic": layouts.classic,
    "v2": layouts.v2,
    "cleaned": layouts.cleaned,
}
OTHERS = {"multi_part": layouts.multi_part, "v2_json": layouts.v2_json}
DEFAULT, DEEP = 125, 1250  # for each of eight: 1,000 and 10,000


def run(table: Layout, seeds: range) -> Counter[Verdict]:
    """Damage a table once for each seed, and read its newest or another version."""
    print(f"{table.name}: seeds {seeds.start} to {seeds.stop - 1}")
    verdicts: Counter[Verdict] = Counter()
    for seed in seeds:
        rng = random.Random(seed)
        done = damage(table, rng)
        version = rng.choice([None, None, None, *table.versions])
        verdict, why = judge(table, done, version)
        verdicts[verdict] += 1
        unseen = verdict is Verdict.UNSEEN
        if unseen and table.sealed:
            pytest.fail(f"{table.name}, seed {seed}: {done.kind} {done.path}: {why}")
        if unseen and not _may_be_unseen(table, done):
            pytest.fail(f"{table.name}, seed {seed}: {done.kind} {done.path}: {why}")
    print({verdict.value: count for verdict, count in verdicts.items()})
    return verdicts


def _may_be_unseen(table: Layout, done: Damage) -> bool:
    """Whether a damaged file has nothing that tells: an entry, or a checkpoint, of another engine."""
    paths = {*table.objects, *done.objects}
    changed = [path for path in paths if table.objects.get(path) != done.objects.get(path)]
    return any(path.endswith((".json", ".parquet")) for path in changed)


SIZES = [
    pytest.param(range(DEFAULT), id="1000"),
    pytest.param(range(10_000, 10_000 + DEEP), id="10000", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("seeds", SIZES)
@pytest.mark.parametrize("name", OWN)
def test_damage_to_a_table_of_ours_is_detected_or_harmless(name, seeds):
    verdicts = run(OWN[name](), seeds)
    assert verdicts[Verdict.DETECTED]
    assert verdicts[Verdict.HARMLESS]


@pytest.mark.parametrize("seeds", SIZES)
def test_damage_to_large_checkpoints_of_ours_is_detected_or_harmless(seeds, monkeypatch):
    monkeypatch.setattr(parts, "WHOLE", 0)
    run(layouts.cleaned(), seeds)


@pytest.mark.parametrize("seeds", SIZES)
@pytest.mark.parametrize("name", OTHERS)
def test_damage_to_a_log_without_seals_raises_no_foreign_error(name, seeds):
    verdicts = run(OTHERS[name](), seeds)
    assert verdicts[Verdict.UNSEEN] < verdicts[Verdict.HARMLESS] + verdicts[Verdict.DETECTED]


@pytest.mark.interop
@pytest.mark.parametrize("seeds", SIZES)
def test_damage_to_a_table_of_deltalake_raises_no_foreign_error(seeds, tmp_path):
    verdicts = run(layouts.of_deltalake(tmp_path), seeds)
    assert verdicts[Verdict.UNSEEN] < verdicts[Verdict.HARMLESS] + verdicts[Verdict.DETECTED]


def test_every_single_bit_of_an_entry_of_ours_tells():
    table = layouts.cleaned()
    path = entry_path(layouts.NEWEST)
    sealed = table.objects[path]
    for position in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[position] ^= 1 << position % 8
        objects = {**table.objects, path: bytes(flipped)}
        verdict, why = judge(table, Damage("flipped", path, objects), None)
        assert verdict in (Verdict.DETECTED, Verdict.HARMLESS), (position, why)


def test_an_entry_cut_off_between_two_lines_is_named():
    table = layouts.plain()
    path = entry_path(4)
    whole = table.objects[path]
    cut = whole[: whole.index(b"\n", whole.index(b"\n") + 1) + 1]
    with pytest.raises(CorruptLog, match=f"{4:020}") as caught:
        load(stored({**table.objects, path: cut}), version=4)
    assert caught.value.version == 4


def test_without_its_newest_entry_a_log_is_an_older_version():
    table = layouts.plain()
    objects = {**table.objects}
    del objects[entry_path(layouts.NEWEST)]
    verdict, _ = judge(table, Damage("missing", entry_path(layouts.NEWEST), objects), None)
    assert verdict is Verdict.ROLLED_BACK


@pytest.mark.parametrize("other", ["_last_checkpoint", f"{10:020}.crc"])
def test_another_file_of_the_log_in_place_of_an_entry_is_corrupt(other):
    table = layouts.cleaned()
    objects = {**table.objects, entry_path(12): table.objects[f"_delta_log/{other}"]}
    with pytest.raises(CorruptLog, match=f"{12:020}"):
        load(stored(objects))
