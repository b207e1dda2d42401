"""Tables written by Spark, with their expected rows (see the folder's README)."""

import datetime as dt
import json
import math
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import atomic_manifest as am

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"

# The log of this table writes a timestamp as "2021-09-08 11:11:11", without a zone: "interpreted using
# the time zone of the system which wrote to the table" (protocol, "Partition Value Serialization"), of
# which nothing in log or files tells. We read UTC, as every engine but Spark does; its writer was here:
WRITTEN_IN = {"data-reader-partition-values": ("as_timestamp", ZoneInfo("America/Los_Angeles"))}

pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the folder of golden tables is not beside this checkout"
)


def names():
    if not GOLDEN.is_dir():
        return ["absent"]
    return [entry["table"] for entry in json.loads((GOLDEN / "INDEX.json").read_text())]


def expected_rows(name, schema):
    parts = sorted((GOLDEN / name / "expected").rglob("*.parquet"))
    tables = [pq.ParquetFile(part, coerce_int96_timestamp_unit="us").read() for part in parts]
    return pa.concat_tables(tables).select(schema.names)


def comparable(value):
    match value:
        case dict():
            return {key: comparable(each) for key, each in value.items()}
        case list() | tuple():
            return [comparable(each) for each in value]
        case float():
            return "NaN" if math.isnan(value) else repr(value)
        case dt.datetime(tzinfo=dt.tzinfo()):
            return value.astimezone(dt.UTC)
    return value


def sorted_rows(table):
    return sorted((comparable(row) for row in table.to_pylist()), key=repr)


def in_zone_of_the_writer(name, table):
    if name not in WRITTEN_IN:
        return table
    column, zone = WRITTEN_IN[name]
    values = [
        None if value is None else value.replace(tzinfo=zone).astimezone(dt.UTC)
        for value in table[column].to_pylist()
    ]
    field = table.schema.field(column)
    return table.set_column(table.schema.get_field_index(column), field, [values])


@pytest.mark.parametrize("name", names())
def test_a_table_of_spark_reads_as_exactly_its_expected_rows(name):
    table = am.Table.open(GOLDEN / name / "delta")
    found = in_zone_of_the_writer(name, table.to_arrow())
    expected = expected_rows(name, found.schema)
    assert len(expected.schema) == len(found.schema)
    assert sorted_rows(found) == sorted_rows(expected)
    for field in found.schema:
        assert plain(field.type) == plain(expected.schema.field(field.name).type), field.name


def plain(type_):
    """A type without the names of what lists and maps hold, and without nullability."""
    if pa.types.is_struct(type_):
        return {field.name: plain(field.type) for field in type_}
    if pa.types.is_map(type_):
        return ["map", plain(type_.key_type), plain(type_.item_type)]
    if pa.types.is_list(type_):
        return ["list", plain(type_.value_type)]
    return type_


@pytest.mark.parametrize("name", names())
def test_every_path_gives_the_same_rows(name):
    table = am.Table.open(GOLDEN / name / "delta")
    everything = sorted_rows(table.to_arrow())
    assert sorted_rows(table.to_batches().read_all()) == everything
    assert sorted_rows(table.to_dataset().to_table()) == everything
    assert table.to_dataset().count_rows() == len(everything)
    assert sorted_rows(pa.table(table)) == everything
    for column in table.schema.names:
        alone = table.to_arrow([column]).to_pylist()
        assert sorted(map(repr, map(comparable, alone))) == sorted(
            repr({column: row[column]}) for row in everything
        )
