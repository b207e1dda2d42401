"""Files that only make reading shorter: hints, checksums, compacted entries. None may change an answer."""

import json

import pytest

from atomic_manifest.errors import CorruptLog, DataError
from atomic_manifest.log.actions import Add, DeletionVector, DomainMetadata, Remove
from atomic_manifest.log.entry import Entry, entry_path
from atomic_manifest.log.folder.compaction import (
    compact_log,
    compaction_path,
    read_compaction,
    reconciled,
)
from atomic_manifest.log.folder.hint import (
    HINT_PATH,
    Hint,
    decode_hint,
    encode_hint,
    move_hint,
    read_hint,
)
from atomic_manifest.log.maintenance.checkpoint_writer import checkpoint_path
from atomic_manifest.log.state.checksum import checksum_path, decode_checksum, read_checksum
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing import CountingDriver
from tests.log import layouts
from tests.log.corruption import content, stored


@pytest.fixture(scope="module")
def classic():
    return layouts.classic()


def counting(objects):
    driver = CountingDriver(stored(objects).driver)
    return ObjectStore(driver, env=stored({}).env), driver


def got(driver):
    return [request.path for request in driver.requests if request.method == "get"]


# --- compacted entries -----------------------------------------------------------------------------


def test_a_compacted_entry_is_read_in_place_of_its_entries(classic):
    store, driver = counting(classic.objects)
    assert content(store) == classic.versions[layouts.NEWEST]
    assert compaction_path(11, 13) in got(driver)
    assert entry_path(12) not in got(driver)


def test_it_keeps_removes_of_files_that_came_before_it(classic):
    lines = classic.objects[compaction_path(11, 13)].splitlines()
    removed = {line["remove"]["path"] for line in map(json.loads, lines) if "remove" in line}
    assert layouts.add(100).path in removed  # of version 10


def test_files_are_told_apart_by_their_deletion_vectors_and_removed_domains_stay():
    one, two = (
        DeletionVector(storage_type="u", path_or_inline_dv=text, size_in_bytes=1, cardinality=1)
        for text in ("one", "two")
    )
    path = layouts.add(1).path
    gone = DomainMetadata(domain="d", configuration="", removed=True)
    entries = [
        Entry(
            1,
            adds=(layouts.add(1),),
            domain_metadata=(DomainMetadata(domain="d", configuration="x"),),
        ),
        Entry(2, removes=(Remove(path=path),), adds=(layouts.add(1, deletion_vector=one),)),
        Entry(
            3,
            removes=(Remove(path=path, deletion_vector=one),),
            adds=(layouts.add(1, deletion_vector=two),),
            domain_metadata=(gone,),
        ),
    ]
    left = reconciled(entries)
    assert gone in left
    assert sum(isinstance(action, Remove) for action in left) == 2
    assert [action.deletion_vector for action in left if isinstance(action, Add)] == [two]


@pytest.mark.parametrize("damage", [None, b"", b"{}\n", b"?", b'{"commitInfo":{}}\n'])
def test_one_that_is_missing_or_damaged_is_passed_over(classic, damage):
    objects = dict(classic.objects)
    path = compaction_path(11, 13)
    if damage is None:
        del objects[path]
    else:
        objects[path] = damage
    assert content(stored(objects)) == classic.versions[layouts.NEWEST]


def test_one_under_the_name_of_another_range_is_passed_over(classic):
    objects = {**classic.objects, compaction_path(11, 12): classic.objects[compaction_path(11, 13)]}
    assert read_compaction(stored(objects), range(11, 13)) is None


def test_a_compacted_entry_needs_two_versions_that_exist(classic):
    store = stored(classic.objects)
    with pytest.raises(DataError, match="two versions"):
        compact_log(store, 3, 3)
    with pytest.raises(CorruptLog, match=f"{14:020}"):
        compact_log(store, 12, 14)


# --- version checksums -----------------------------------------------------------------------------


def test_a_checksum_has_what_the_protocol_requires(classic):
    found = json.loads(classic.objects[checksum_path(10)])
    state = load(stored(classic.objects), version=10)
    files = state.files()
    assert found["numFiles"] == files.num_rows
    assert found["tableSizeBytes"] == sum(files["size"].to_pylist())
    assert (found["numMetadata"], found["numProtocol"]) == (1, 1)
    assert found["metadata"]["id"] == state.metadata.id
    assert found["protocol"]["minReaderVersion"] == 3
    assert {txn["appId"]: txn["version"] for txn in found["setTransactions"]} == dict(state.txns)
    assert found["numDeletionVectorsOpt"] == len(files["deletion_vector"].drop_null())
    assert "inCommitTimestampOpt" not in found


def test_opening_with_a_checksum_reads_no_checkpoint(classic):
    store, driver = counting(classic.objects)
    state = load(store)
    assert (state.version, state.protocol.min_reader_version) == (layouts.NEWEST, 3)
    assert checkpoint_path(10) not in got(driver)
    assert driver.count("list") == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'"minReaderVersion":3', b'"minReaderVersion":2'),
        lambda data: data[:-1],
        lambda data: data[: data.index(b',"atomicManifest"')] + b"}",  # of another engine
        lambda data: data.replace(b'"numProtocol":1', b'"numProtocol":2'),
        lambda _: b"",
    ],
)
def test_a_checksum_that_contradicts_the_log_is_not_believed(classic, change):
    data = change(classic.objects[checksum_path(10)])
    assert decode_checksum(data, 10) is None
    objects = {**classic.objects, checksum_path(10): data}
    assert content(stored(objects)) == classic.versions[layouts.NEWEST]


def test_the_checksum_of_another_version_is_not_believed(classic):
    data = classic.objects[checksum_path(5)]
    assert decode_checksum(data, 5) is not None
    assert read_checksum(stored({**classic.objects, checksum_path(10): data}), 10) is None


# --- the hint ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hint",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'{"version":-1,"size":1}',
        b'{"version":5,"size":1}',
        b'{"version":7,"size":1}',
        b'{"version":10,"size":1,"parts":3}',
        b'{"version":900,"size":1}',
        b'{"version":10,"size":1,"checksum":"00000000000000000000000000000000"}',
        b'{"version":10,"version":11,"size":1}',
    ],
)
def test_no_hint_changes_the_answer(classic, hint):
    objects = dict(classic.objects)
    del objects[HINT_PATH]
    if hint is not None:
        objects[HINT_PATH] = hint
    for version in (None, 3, 10):
        expected = classic.versions[layouts.NEWEST if version is None else version]
        assert content(stored(objects), version) == expected


def test_the_content_of_a_checkpoint_is_believed_only_of_a_hint_with_a_checksum():
    table = layouts.v2()
    hint = json.loads(table.objects[HINT_PATH])
    assert decode_hint(table.objects[HINT_PATH]).v2_checkpoint is not None
    del hint["checksum"]
    for action in hint["v2Checkpoint"]["nonFileActions"]:
        if "metaData" in action:
            action["metaData"]["schemaString"] = "{}"
    objects = {**table.objects, HINT_PATH: json.dumps(hint).encode()}
    assert decode_hint(objects[HINT_PATH]).v2_checkpoint is None
    assert content(stored(objects)) == table.versions[layouts.NEWEST]


def test_the_hint_moves_forward_only_and_over_damage():
    store = stored({})
    for version, expected in ((5, 5), (3, 5), (9, 9)):
        move_hint(store, Hint(version))
        assert read_hint(store).version == expected
    store.put(HINT_PATH, encode_hint(Hint(99))[:-9])
    assert read_hint(store) is None
    move_hint(store, Hint(4))
    assert read_hint(store).version == 4
