"""Tables written by Spark, with their expected rows (see the folder's README)."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from atomic_manifest.errors import UnsupportedTableFeature
from atomic_manifest.log.snapshot import load
from atomic_manifest.store.open import open_store

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
LACKING = {
    "data-reader-timestamp_ntz-id-mode": {"columnMapping"},
    "dv-partitioned-with-checkpoint": {"deletionVectors"},
    "dv-with-columnmapping": {"columnMapping", "deletionVectors"},
    "log-replay-dv-key-cases": {"deletionVectors"},
    "table-with-columnmapping-mode-id": {"columnMapping"},
    "v2-checkpoint-json": {"v2Checkpoint"},
}

pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the folder of golden tables is not beside this checkout"
)


def _names():
    if not GOLDEN.is_dir():
        return ["absent"]
    return [entry["table"] for entry in json.loads((GOLDEN / "INDEX.json").read_text())]


def _expected_rows(name):
    parts = (GOLDEN / name / "expected").rglob("*.parquet")
    return sum(pq.read_metadata(part).num_rows for part in parts)


@pytest.mark.parametrize("name", _names())
def test_a_table_of_spark_loads_or_is_refused_by_feature(name):
    store = open_store(GOLDEN / name / "delta")
    if name in LACKING:
        with pytest.raises(UnsupportedTableFeature) as caught:
            load(store)
        assert set(caught.value.names) == LACKING[name]
        return
    snapshot = load(store)
    assert snapshot.schema.names
    texts = snapshot.files()["stats"].to_pylist()
    if None not in texts:
        counted = sum(json.loads(text)["numRecords"] for text in texts)
        assert counted == _expected_rows(name)
