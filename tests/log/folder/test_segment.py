from datetime import UTC, datetime

import pytest

from atomic_manifest.errors import (
    CorruptLog,
    TableNotFound,
    VersionNotFound,
)
from atomic_manifest.log.folder.hint import HINT_PATH
from atomic_manifest.log.folder.segment import choose, find_segment, parse_listing
from atomic_manifest.store.driver import ObjectMeta

UUID = "6374b053-df23-479b-b2cf-c9c550132b49"


def _name(name):
    version, _, rest = name.partition(".")
    return f"_delta_log/{int(version):020}.{rest}"


def _listing(*names, seconds=0):
    moment = datetime.fromtimestamp(seconds, UTC)
    return parse_listing(ObjectMeta(_name(name), 1, last_modified=moment) for name in names)


def _entries(*versions):
    return [f"{version}.json" for version in versions]


def _part(version, part, parts):
    return f"{version}.checkpoint.{part:010}.{parts:010}.parquet"


def test_without_a_checkpoint_every_entry_is_replayed():
    segment = choose(_listing(*_entries(0, 1, 2), seconds=3), None, "u")
    assert (segment.version, segment.checkpoint) == (2, None)
    assert segment.entries == range(3)
    assert segment.modified_ms == 3000


def test_the_newest_checkpoint_not_above_the_version_is_chosen():
    names = [*_entries(*range(6)), "2.checkpoint.parquet", "4.checkpoint.parquet"]
    listing = _listing(*names)
    assert choose(listing, None, "u").entries == range(5, 6)
    assert choose(listing, 4, "u").entries == range(5, 5)
    at_3 = choose(listing, 3, "u")
    assert at_3.checkpoint.version == 2
    assert at_3.entries == range(3, 4)
    assert choose(listing, 1, "u").checkpoint is None


def test_a_multi_part_checkpoint_counts_only_when_it_is_complete():
    names = [*_entries(0, 1, 2), _part(1, 2, 2), _part(1, 1, 2), _part(2, 1, 3), _part(2, 3, 3)]
    checkpoint = choose(_listing(*names), None, "u").checkpoint
    assert checkpoint.version == 1
    assert checkpoint.paths == (_name(_part(1, 1, 2)), _name(_part(1, 2, 2)))


def test_of_two_checkpoints_of_a_version_the_single_file_is_chosen():
    names = [_part(1, 1, 2), _part(1, 2, 2), "1.checkpoint.parquet"]
    assert len(choose(_listing(*names), None, "u").checkpoint.files) == 1


def test_a_checkpoint_without_its_entry_is_a_version():
    segment = choose(_listing("7.checkpoint.parquet", seconds=2), None, "u")
    assert (segment.version, segment.modified_ms) == (7, 2000)


def test_all_other_files_are_ignored():
    noise = [
        "9.crc",
        "9.json.tmp",
        "3.9.compacted.json",
        f"9.checkpoint.{UUID}.parquet.tmp",
        "9.checkpoint.parquet.bak",
    ]
    listing = parse_listing(
        ObjectMeta(path, 1)
        for path in [
            *map(_name, [*_entries(0), *noise]),
            HINT_PATH,
            "_delta_log/_sidecars/00000000000000000009.json",
            "_delta_log/9.json",
        ]
    )
    assert choose(listing, None, "u").version == 0


@pytest.mark.parametrize(
    ("names", "version", "missing"),
    [
        (_entries(0, 2), None, 1),
        (_entries(1, 2), None, 0),
        (_entries(0, 1, 3), 2, 2),
        ([*_entries(0, 1, 3), "1.checkpoint.parquet"], None, 2),
        ([*_entries(0, 1, 2, 4), "1.checkpoint.parquet"], None, 3),
    ],
)
def test_a_hole_names_the_missing_entry(names, version, missing):
    with pytest.raises(CorruptLog, match=f"{missing:020}.json") as caught:
        choose(_listing(*names), version, "u")
    assert caught.value.version == missing


@pytest.mark.parametrize("version", [3, 10**25, -1])
def test_a_version_beyond_the_log_names_what_exists(version):
    with pytest.raises(VersionNotFound, match="its newest is 2") as caught:
        choose(_listing(*_entries(0, 1, 2)), version, "u")
    assert caught.value.version == version


def test_a_version_that_log_cleanup_took_is_not_found():
    listing = _listing(*_entries(3, 4, 5, 6), "5.checkpoint.parquet")
    with pytest.raises(VersionNotFound, match="its oldest is 5"):
        choose(listing, 3, "u")


@pytest.mark.parametrize("version", range(3, 10))
def test_versions_in_a_gap_behind_an_old_checkpoint_are_not_found(version):
    kept = [*_entries(1, 2, 3, 7, 8, 9, 10, 11), "2.checkpoint.parquet", "10.checkpoint.parquet"]
    listing = _listing(*kept)
    assert choose(listing, None, "u").checkpoint.version == 10
    if version == 3:
        assert choose(listing, version, "u").entries == range(3, 4)
        return
    with pytest.raises(VersionNotFound, match="the next one is 10") as caught:
        choose(listing, version, "u")
    assert caught.value.version == version


STRAY = ["9" * 20, f"{2**63:020}", f"{10**15:020}"]
KINDS = ["json", "crc", "checkpoint.parquet", f"{10**16:020}.compacted.json"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", STRAY)
def test_a_stray_file_of_a_version_that_no_log_comes_to_changes_nothing(store, number, kind):
    _write(store, *_entries(*range(4)), "2.checkpoint.parquet")
    before = find_segment(store)
    store.put(f"_delta_log/{number}.{kind}", b"?")
    assert find_segment(store) == before
    assert find_segment(store, 1).entries == range(2)
    assert parse_listing(store.list("_delta_log")).newest == 3
    with pytest.raises(VersionNotFound, match="its newest is 3"):
        find_segment(store, int(number))


def test_no_log_is_no_table(store):
    store.put("part-0.parquet", b"")
    with pytest.raises(TableNotFound, match="memory"):
        find_segment(store)


def test_a_v2_checkpoint_is_preferred_to_a_classic_one_and_that_to_parts():
    v2 = f"2.checkpoint.{UUID}.parquet"
    names = [*_entries(0, 1, 2), _part(2, 1, 2), _part(2, 2, 2), "2.checkpoint.parquet", v2]
    assert choose(_listing(*names), None, "u").checkpoint.paths == (_name(v2),)
    assert choose(_listing(*names[:-1]), None, "u").checkpoint.paths == (_name(names[-2]),)


def test_compactions_stand_for_the_longest_runs_of_entries_that_are_replayed():
    compacted = ["3.8.compacted.json", "3.5.compacted.json", "6.9.compacted.json"]
    compacted += ["9.10.compacted.json", "0.2.compacted.json", "10.12.compacted.json"]
    names = [*_entries(*range(11)), "2.checkpoint.parquet"]
    names += [f"{n.split('.')[0]}.{int(n.split('.')[1]):020}.compacted.json" for n in compacted]
    segment = choose(_listing(*names), None, "u")
    assert segment.compactions == (range(3, 9), range(9, 11))
    assert choose(_listing(*names), 7, "u").compactions == (range(3, 6),)


def test_checksums_between_the_checkpoint_and_the_version_are_named_newest_first():
    names = [*_entries(*range(6)), "2.checkpoint.parquet", *(f"{n}.crc" for n in range(8))]
    assert choose(_listing(*names), 4, "u").checksums == (4, 3, 2)


def _write(store, *names):
    for name in names:
        store.put(_name(name), b"")


class Recording:
    """Passes everything on and keeps where listings start."""

    def __init__(self, driver):
        self.driver = driver
        self.starts = []

    def __getattr__(self, name):
        return getattr(self.driver, name)

    def list(self, prefix="", *, start_after=None):
        self.starts.append(start_after)
        return self.driver.list(prefix, start_after=start_after)


@pytest.fixture
def recording(store):
    store.driver = Recording(store.driver)
    _write(store, *_entries(*range(8)), "2.checkpoint.parquet", "5.checkpoint.parquet")
    return store


def test_the_hint_lets_one_list_start_near_the_end(recording):
    recording.put(HINT_PATH, b'{"version":2,"size":3,"checkpointSchema":{}}')
    assert find_segment(recording).checkpoint.version == 5
    assert find_segment(recording, 4).checkpoint.version == 2
    assert recording.driver.starts == [f"_delta_log/{2:020}"] * 2


@pytest.mark.parametrize(
    "hint", [b"", b"{}", b"[1]", b"\xff", b'{"version":"2"}', b'{"version":-1}']
)
def test_an_unusable_hint_costs_nothing_but_a_longer_list(recording, hint):
    recording.put(HINT_PATH, hint)
    assert find_segment(recording).checkpoint.version == 5
    assert recording.driver.starts == [None]


@pytest.mark.parametrize("version", [6, 7, 100])
def test_a_hint_that_points_to_nothing_leads_to_the_whole_list(recording, version):
    recording.put(HINT_PATH, b'{"version":%d,"size":3}' % version)
    assert find_segment(recording).checkpoint.version == 5
    assert recording.driver.starts == [f"_delta_log/{version:020}", None]


def test_a_hint_beyond_the_asked_version_is_not_used(recording):
    recording.put(HINT_PATH, b'{"version":5,"size":3}')
    assert find_segment(recording, 4).checkpoint.version == 2
    assert find_segment(recording, 0).checkpoint is None
    assert recording.driver.starts == [None, None]


def test_rejected_checkpoints_are_passed_over(recording):
    recording.put(HINT_PATH, b'{"version":5,"size":3}')
    rejected = {_name("5.checkpoint.parquet")}
    assert find_segment(recording, rejected=rejected).checkpoint.version == 2
    rejected.add(_name("2.checkpoint.parquet"))
    assert find_segment(recording, rejected=rejected).entries == range(8)
