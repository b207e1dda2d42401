"""How many files a write to a local disk has open."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

import atomic_manifest as am


def test_a_stream_of_many_files_has_few_open(tmp_path: Path) -> None:
    handles = Path("/proc/self/fd")
    if not handles.exists():
        pytest.skip("no way to ask which handles are open")
    schema = pa.schema([("x", pa.binary())])
    counts = []

    def batches():
        for _ in range(120):
            counts.append(len(list(handles.iterdir())))
            yield pa.record_batch([[os.urandom(1000) for _ in range(100)]], schema=schema)

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    options = am.WriteOptions(target_file_size=150_000, max_rows_per_group=100, part_size=10_000)
    am.append(tmp_path / "t", reader, options=options)
    assert am.Table.open(tmp_path / "t").files().num_rows >= 50
    assert max(counts) - counts[0] < 30
