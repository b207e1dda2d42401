"""Small files that expand without end are refused by what they claim, or as soon as they have grown."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import atomic_manifest as am
from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.checkpoint import parts
from atomic_manifest.log.entry import entry_path
from atomic_manifest.log.maintenance.checkpoint_writer import checkpoint_path


@pytest.fixture
def url(tmp_path):
    am.append(tmp_path, pa.table({"i": [1]}))
    am.Table.open(tmp_path).checkpoint()
    for found in (tmp_path / "_delta_log").glob(f"{0:020}.*"):
        if found.name != checkpoint_path(0).rpartition("/")[2]:
            found.unlink()
    return tmp_path


def rewrite(url, change, **options):
    """Let a checkpoint have further rows, each of them an `add`."""
    path = url / checkpoint_path(0)
    table = pq.read_table(path)
    added = change(table.filter(pc.is_valid(table["add"])), table.schema)
    pq.write_table(pa.concat_tables([table, added]), path, compression="zstd", **options)


def nulls(count):
    return lambda _adds, schema: pa.Table.from_arrays(
        [pa.nulls(count, field.type) for field in schema], schema=schema
    )


def repeated(count, length):
    def change(adds, schema):
        (row,) = adds.to_pylist()
        row["add"]["stats"] = "x" * length
        return pa.concat_tables([pa.Table.from_pylist([row], schema=schema)] * count)

    return change


def opened(url):
    return am.Table.open(url).files()


def test_more_rows_than_a_file_of_its_size_can_have_are_refused(url):
    rewrite(url, nulls(3_000_000))
    with pytest.raises(CorruptLog, match=rf"{checkpoint_path(0)}.*3000003 rows") as caught:
        opened(url)
    assert caught.value.version == 0


def test_more_bytes_than_a_file_of_its_size_can_come_to_are_refused(url, monkeypatch):
    rewrite(url, repeated(100, 100_000), use_dictionary=False)
    assert opened(url).num_rows == 101
    monkeypatch.setattr(parts, "_EXPANDED", 2**16)
    with pytest.raises(CorruptLog, match=f"{checkpoint_path(0)}.*claim"):
        opened(url)


def test_a_long_value_that_a_dictionary_repeats_is_read_a_few_rows_at_a_time(url, monkeypatch):
    rewrite(url, repeated(100, 100_000))
    before = opened(url)
    monkeypatch.setattr(parts, "_READ_AT_ONCE", 2**18)
    assert opened(url).equals(before)
    monkeypatch.setattr(parts, "_EXPANDED", 2**20)
    monkeypatch.setattr(parts, "_EXPANSION", 1)
    with pytest.raises(CorruptLog, match=f"{checkpoint_path(0)}.*expands"):
        opened(url)


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory")
def test_an_entry_that_is_one_large_hole_takes_no_memory(url):
    with (url / entry_path(1)).open("wb") as hole:
        hole.truncate(8 * 2**30)
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
import atomic_manifest as am
try:
    am.Table.open({str(url)!r})
except am.errors.CorruptLog as error:
    assert error.version == 1, error.version
    print(error)
"""
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert entry_path(1) in found.stdout
