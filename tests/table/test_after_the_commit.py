"""What fails after a commit is in the log does not make it an error."""

import logging

import msgspec
import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.log.entry import encode, entry_path
from atomic_manifest.log.maintenance import upkeep
from atomic_manifest.log.state.snapshot import Snapshot, load
from atomic_manifest.store import open_store

SCHEMA = pa.schema([("i", pa.int64())])
ROWS = pa.table({"i": [1]})


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 19, "0" * 5000 + "1", "1" + "0" * 4400])
def test_an_interval_of_any_length_is_a_number(tmp_path, digits):
    table = am.Table.create(tmp_path, SCHEMA, configuration={"delta.checkpointInterval": digits})
    assert table.append(ROWS).version == 1
    written = [path.name for path in (tmp_path / "_delta_log").glob("*.checkpoint.parquet")]
    assert len(written) == (1 if digits.endswith("1") else 0)


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "", "\u0663", " ", "0", "\N{SUPERSCRIPT TWO}"])
@pytest.mark.parametrize("name", ["delta.checkpointInterval", upkeep.COMPACTION_INTERVAL])
def test_an_interval_that_is_no_number_is_as_good_as_none(tmp_path, name, text):
    table = am.Table.create(tmp_path, SCHEMA, configuration={name: text})
    for version in range(1, 4):
        assert table.append(ROWS).version == version


NO_DURATION = "interval 1 month"


@pytest.mark.parametrize(
    "name", ["delta.logRetentionDuration", "delta.deletedFileRetentionDuration"]
)
def test_a_retention_that_is_no_duration_stops_nothing_and_is_told(tmp_path, name, caplog):
    table = am.Table.create(tmp_path, SCHEMA, configuration={"delta.checkpointInterval": "2"})
    metadata = load(open_store(table.url)).metadata
    changed = msgspec.structs.replace(
        metadata, configuration={**metadata.configuration, name: NO_DURATION}
    )
    (tmp_path / entry_path(1)).write_bytes(encode([changed]))
    with caplog.at_level(logging.WARNING, "atomic_manifest"):
        for version in range(2, 6):
            assert am.append(tmp_path, ROWS).version == version
    assert (tmp_path / "_delta_log" / f"{4:020}.checkpoint.parquet").exists()
    assert f"{name}: '{NO_DURATION}'" in caplog.text
    am.Table.open(tmp_path).checkpoint()
    assert am.Table.open(tmp_path).cleanup_metadata() is None


STEPS = [
    "checkpoint",
    "cleanup_metadata",
    "compact_log",
    "write_checkpoint",
    "write_checksum",
    "encode_checksum",
    "checkpoint_due",
    "unreadable",
]
ERRORS = [
    RuntimeError("can't start new thread"),
    MemoryError(),
    RecursionError(),
    OSError("no"),
    am.errors.StoreError("no"),
    am.errors.CorruptLog("no", path="p", version=1),
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_in_maintenance_is_a_warning(tmp_path, monkeypatch, caplog, step, error):
    properties = {"delta.checkpointInterval": "2", upkeep.COMPACTION_INTERVAL: "2"}
    table = am.Table.create(tmp_path, SCHEMA, configuration=properties)

    def fail(*_given, **_named):
        raise error

    monkeypatch.setattr(upkeep, step, fail)
    with caplog.at_level(logging.WARNING, "atomic_manifest"):
        for version in range(1, 5):
            assert table.append(ROWS).version == version
    assert caplog.records
    assert am.read_table(tmp_path).num_rows == 4


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_handle_that_cannot_follow_its_own_commit_has_committed(tmp_path, monkeypatch, error):
    table = am.Table.create(tmp_path, SCHEMA)

    def fail(*_given):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Snapshot, "advance", fail)
        assert table.append(ROWS).version == 1
    assert table.append(ROWS).version == 2
    assert am.read_table(tmp_path).num_rows == 2
