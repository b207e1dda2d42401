"""What a table is created with makes a table that can be used, or is refused before a write."""

import pyarrow as pa
import pytest

import atomic_manifest as am
from tests.table.conftest import SCHEMA

UNUSABLE = {
    "a property that is a boolean": {"configuration": {"delta.appendOnly": True}},
    "a property that is a number": {"configuration": {"delta.checkpointInterval": 10}},
    "a property without value": {"configuration": {"delta.appendOnly": None}},
    "a property whose name is a number": {"configuration": {1: "x"}},
    "properties that are no mapping": {"configuration": [("delta.appendOnly", "true")]},
    "half of a surrogate pair": {"configuration": {"owner": "\ud800"}},
    "a name that is a number": {"name": 5},
    "a description that is a number": {"description": 5},
    "no duration for the log": {"configuration": {"delta.logRetentionDuration": "for ever"}},
    "no duration for files": {"configuration": {"delta.deletedFileRetentionDuration": "1 month"}},
    "partition columns that are numbers": {"partition_by": [1]},
    "partition columns that are none": {"partition_by": None},
}


@pytest.mark.parametrize("wrong", UNUSABLE.values(), ids=UNUSABLE)
def test_properties_that_no_writer_could_use_are_refused_and_nothing_is_written(tmp_path, wrong):
    with pytest.raises(am.errors.DataError):
        am.Table.create(tmp_path / "t", SCHEMA, **wrong)
    assert not (tmp_path / "t").exists()
    table = am.Table.create(tmp_path / "t", SCHEMA)
    assert table.append(pa.table({"id": [1], "name": ["x"]})).version == 1
