"""Adding columns to a schema."""

import pyarrow as pa
import pytest

from atomic_manifest.errors import InvalidSchema, SchemaMismatch
from atomic_manifest.log.metadata.evolution import extended, holds

TABLE = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False, metadata={b"comment": b'"key"'}),
        pa.field("who", pa.struct([pa.field("name", pa.string())])),
        pa.field("tags", pa.list_(pa.field("element", pa.struct([pa.field("k", pa.string())])))),
    ]
)


def test_rows_that_bring_nothing_new_leave_the_very_schema():
    for given in (TABLE, pa.schema([("id", pa.int32())]), pa.schema([("who", pa.large_string())])):
        assert extended(TABLE, given) is TABLE


def test_a_new_column_comes_last_is_nullable_and_has_a_type_of_delta():
    given = pa.schema([pa.field("n", pa.uint16(), nullable=False), ("id", pa.int64())])
    grown = extended(TABLE, given)
    assert grown.names == ["id", "who", "tags", "n"]
    assert grown.field("n") == pa.field("n", pa.int32(), nullable=True)
    assert grown.field("id").metadata == {b"comment": b'"key"'}


def test_new_columns_are_found_in_structs_and_lists_of_structs():
    given = pa.schema(
        [
            ("who", pa.struct([("name", pa.string()), ("age", pa.int8())])),
            ("tags", pa.large_list(pa.struct([("v", pa.float64())]))),
        ]
    )
    grown = extended(TABLE, given)
    assert grown.field("who").type.names == ["name", "age"]
    assert grown.field("tags").type.value_type.names == ["k", "v"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (pa.schema([("ID", pa.int64())]), "ID"),
        (pa.schema([("x", pa.null())]), "x"),
        (pa.schema([("who", pa.struct([("Name", pa.string())]))]), "who.Name"),
    ],
)
def test_a_column_that_cannot_be_added_is_named(given, named):
    with pytest.raises(SchemaMismatch) as caught:
        extended(TABLE, given)
    assert caught.value.columns == (named,)


def test_a_type_that_delta_lacks_is_refused():
    with pytest.raises(InvalidSchema, match="t"):
        extended(TABLE, pa.schema([("t", pa.time64("us"))]))


def test_files_fit_a_schema_that_only_grew():
    given = pa.schema([("who", pa.struct([("age", pa.int8())])), ("n", pa.int64())])
    grown = extended(TABLE, given)
    assert holds(grown, TABLE)
    assert not holds(TABLE, grown)
    assert holds(TABLE.set(0, TABLE.field(0).with_nullable(True)), TABLE)


@pytest.mark.parametrize(
    "changed",
    [
        TABLE.set(0, TABLE.field(0).with_type(pa.int32())),
        TABLE.set(0, TABLE.field(0).remove_metadata()),
        TABLE.set(1, TABLE.field(1).with_nullable(False)),
        TABLE.append(pa.field("n", pa.int64(), nullable=False)),
        TABLE.remove(1),
    ],
)
def test_files_do_not_fit_a_schema_that_changed_otherwise(changed):
    assert not holds(changed, TABLE)
