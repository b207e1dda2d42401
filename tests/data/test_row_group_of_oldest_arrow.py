from pathlib import Path

import pyarrow as pa
import pytest

from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.row_group import RowGroup, spill

SCHEMA = pa.schema([("x", pa.int64()), ("s", pa.string())])


def test_rows_are_joined_by_what_the_oldest_arrow_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delattr(pa, "concat_batches", raising=False)  # pyarrow 19 brought it
    rows = pa.table({"x": range(1000), "s": [str(x) for x in range(1000)]}, schema=SCHEMA)
    (batch,) = rows.to_batches()
    group = RowGroup(WriteOptions())
    group.add(batch.slice(10, 3))
    group.compact()
    assert group.joined().get_total_buffer_size() < batch.nbytes // 10
    group.add(batch.slice(13, 4))
    run = spill([group])
    assert group.take().take().equals(rows.slice(10, 7))
    run.close()
