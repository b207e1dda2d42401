"""Datasets that are sent to another process: as a whole, or refused with what to do instead."""

import pickle

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import atomic_manifest as am
from atomic_manifest.data.read.filesystem import to_filesystem
from atomic_manifest.store import open_store

SECRET = "sEcReT"


def test_dataset_of_local_files_is_the_same_elsewhere(tmp_path):
    am.append(tmp_path, pa.table({"i": [1, 2, 3]}))
    dataset = am.Table.open(tmp_path).to_dataset()
    assert pickle.loads(pickle.dumps(dataset)).to_table().num_rows == 3


def test_dataset_with_a_filter_says_what_to_do(tmp_path):
    am.append(tmp_path, pa.table({"i": [1, 2, 3]}))
    dataset = am.Table.open(tmp_path).to_dataset().filter(pc.field("i") > 1)
    with pytest.raises(TypeError, match="pickle it without"):
        pickle.dumps(dataset)


def test_dataset_of_a_store_says_what_to_do(tmp_path):
    url = f"memory://{tmp_path}"
    am.append(url, pa.table({"i": [1, 2, 3]}))
    with pytest.raises(TypeError, match="open the table and its dataset there"):
        pickle.dumps(am.Table.open(url).to_dataset())


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("s3://b/x", {"key": "k", "secret": SECRET}),
        ("gs://b/x", {"bearer_token": SECRET}),
        ("az://c/x", {"account_name": "a", "sas_token": f"sv=1&sig={SECRET}"}),
        ("https://host/x", {"token": SECRET}),
    ],
)
def test_filesystem_of_a_bucket_says_what_to_do(url, options):
    with pytest.raises(TypeError, match="open the table and its dataset there") as raised:
        pickle.dumps(to_filesystem(open_store(url, options)))
    assert SECRET not in str(raised.value)
