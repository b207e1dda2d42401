import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from atomic_manifest.errors import InvalidSchema
from atomic_manifest.log.metadata.schema import (
    canonical,
    check_partition_columns,
    is_variant,
    to_arrow,
    to_delta,
    walk,
)

PRIMITIVES = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "decimal(38,18)": pa.decimal128(38, 18),
    "decimal(3,0)": pa.decimal128(3, 0),
    "void": pa.null(),
}

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
decimals = st.integers(1, 38).flatmap(
    lambda p: st.integers(0, p).map(lambda s: f"decimal({p},{s})")
)


def _field(name, **more):
    return {"name": name, "type": "long", "nullable": True, "metadata": {}} | more


def _not_void(type_):
    return type_ != "void"


def _fields(types):
    field = st.fixed_dictionaries(
        {
            "name": names,
            "type": types,
            "nullable": st.booleans(),
            "metadata": st.dictionaries(names, json_values, max_size=3),
        }
    ).filter(lambda field: field["nullable"] or field["type"] != "void")
    return st.lists(
        field, min_size=1, max_size=4, unique_by=lambda field: field["name"].lower()
    ).map(lambda fields: {"type": "struct", "fields": fields})


types = st.recursive(
    st.sampled_from([*PRIMITIVES, "variant"]) | decimals,
    lambda inner: (
        _fields(inner)
        | st.builds(
            lambda t, n: {"type": "array", "elementType": t, "containsNull": n},
            inner.filter(_not_void),
            st.booleans(),
        )
        | st.builds(
            lambda k, v, n: {
                "type": "map",
                "keyType": k,
                "valueType": v,
                "valueContainsNull": n,
            },
            inner.filter(_not_void),
            inner.filter(_not_void),
            st.booleans(),
        )
    ),
    max_leaves=6,
)


@given(_fields(types))
@example({"type": "struct", "fields": [_field("c", metadata={"pandas": "kept"})]})
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_delta_schema_survives_the_way_through_arrow(document):
    assert json.loads(to_delta(to_arrow(json.dumps(document)))) == document


@given(_fields(types))
def test_canonical_is_idempotent(document):
    schema = to_arrow(json.dumps(document))
    assert canonical(schema).equals(schema, check_metadata=True)


@pytest.mark.parametrize(("name", "type_"), PRIMITIVES.items())
def test_primitive_names_mean_their_arrow_types(name, type_):
    schema = to_arrow(_document(name))
    assert schema.field("c").type == type_
    assert json.loads(to_delta(schema))["fields"][0]["type"] == name


def _document(type_, name="c", **more):
    field = _field(name, type=type_, **more)
    return json.dumps({"type": "struct", "fields": [field]})


@pytest.mark.parametrize(
    ("given_type", "name"),
    [
        (pa.large_string(), "string"),
        (pa.string_view(), "string"),
        (pa.large_binary(), "binary"),
        (pa.binary_view(), "binary"),
        (pa.binary(16), "binary"),
        (pa.uuid(), "binary"),
        (pa.uint8(), "short"),
        (pa.uint16(), "integer"),
        (pa.uint32(), "long"),
        (pa.float16(), "float"),
        (pa.date64(), "date"),
        (pa.timestamp("ns"), "timestamp_ntz"),
        (pa.timestamp("s", "Asia/Tokyo"), "timestamp"),
        (pa.decimal32(5, 2), "decimal(5,2)"),
        (pa.decimal64(15, 2), "decimal(15,2)"),
        (pa.decimal256(38, 2), "decimal(38,2)"),
        (pa.dictionary(pa.int8(), pa.string()), "string"),
        (pa.run_end_encoded(pa.int32(), pa.float64()), "double"),
    ],
)
def test_arrow_types_without_a_name_of_their_own_map_to_the_plain_one(given_type, name):
    assert json.loads(to_delta(pa.schema([("c", given_type)])))["fields"][0]["type"] == name


@pytest.mark.parametrize(
    "make", [pa.list_, pa.large_list, pa.list_view, pa.large_list_view, lambda f: pa.list_(f, 3)]
)
def test_every_kind_of_list_is_an_array(make):
    schema = pa.schema([("c", make(pa.field("item", pa.large_string(), nullable=False)))])
    expected = pa.list_(pa.field("element", pa.string(), nullable=False))
    assert canonical(schema).field("c").type == expected


@pytest.mark.parametrize(
    "type_",
    [
        pa.uint64(),
        pa.time32("s"),
        pa.time64("us"),
        pa.duration("us"),
        pa.month_day_nano_interval(),
        pa.decimal256(39, 0),
        pa.decimal128(5, -2),
        pa.struct([]),
        pa.dense_union([pa.field("a", pa.int64())]),
        pa.dictionary(pa.int8(), pa.uint64()),
    ],
)
def test_types_without_a_delta_counterpart_are_refused_by_name(type_):
    with pytest.raises(InvalidSchema, match=r"\bc: ") as caught:
        to_delta(pa.schema([("c", type_)]))
    assert caught.value.columns == ("c",)


def test_all_bad_columns_are_named_by_dotted_path():
    schema = pa.schema(
        [
            ("a", pa.uint64()),
            ("s", pa.struct([("l", pa.list_(pa.time32("s")))])),
            ("m", pa.map_(pa.duration("s"), pa.struct([("v", pa.uint64())]))),
            ("ok", pa.int64()),
        ]
    )
    with pytest.raises(InvalidSchema) as caught:
        to_delta(schema)
    assert caught.value.columns == ("a", "s.l.element", "m.key", "m.value.v")


def test_names_that_differ_only_in_case_are_refused_both_ways_at_any_depth():
    schema = pa.schema([("s", pa.struct([("a", pa.int64()), ("A", pa.int64())]))])
    with pytest.raises(InvalidSchema) as caught:
        to_delta(schema)
    assert caught.value.columns == ("s.A",)
    fields = json.loads(_document("long"))["fields"] + json.loads(_document("long", "C"))["fields"]
    with pytest.raises(InvalidSchema, match="C"):
        to_arrow(json.dumps({"type": "struct", "fields": fields}))


def test_metadata_of_arrow_and_parquet_is_left_out_and_the_rest_kept():
    metadata = {
        b"ARROW:extension:name": b"x",
        b"PARQUET:field_id": b"1",
        b"comment": b"free text",
        b"id": b"7",
    }
    schema = pa.schema([pa.field("c", pa.int64(), metadata=metadata)], metadata={b"pandas": b"{}"})
    assert json.loads(to_delta(schema))["fields"][0]["metadata"] == {
        "comment": "free text",
        "id": 7,
    }
    assert canonical(schema).metadata is None


def test_metadata_that_is_not_text_is_refused():
    schema = pa.schema([pa.field("c", pa.int64(), metadata={b"k": b"\xff"})])
    with pytest.raises(InvalidSchema, match="c: metadata"):
        to_delta(schema)


def test_variant_is_told_from_a_struct_of_the_same_shape():
    variant = to_arrow(_document("variant")).field("c").type
    twin = pa.struct(
        [
            pa.field("metadata", pa.binary(), nullable=False),
            pa.field("value", pa.binary(), nullable=False),
        ]
    )
    assert variant == twin
    assert is_variant(variant)
    assert not is_variant(twin)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "not Delta schema JSON"),
        ("[" * 100_000, "not Delta schema JSON"),
        ('{"type":"array"}', "top level"),
        ('{"type":"struct"}', "list of fields"),
        ('{"type":"struct","fields":[{}]}', "without a name"),
        (_document("money"), "c: .*money"),
        (_document({"type": "array", "elementType": "long"}), "c: .*array"),
        (_document("decimal(39,1)"), "c: .*decimal"),
        (_document("decimal(3,4)"), "c: .*decimal"),
        (_document("void", nullable=False), "c: void"),
        (_document({"type": "array", "elementType": "void", "containsNull": False}), "c.element"),
        (_document("long", nullable=None), "c: .*nullable"),
        (_document("long", metadata=[]), "c: .*metadata"),
        (_document({"type": "struct", "fields": [{"name": "d", "nullable": True}]}), r"c\.d: "),
    ],
)
def test_a_malformed_schema_is_refused_naming_the_field(text, named):
    with pytest.raises(InvalidSchema, match=named):
        to_arrow(text)


def test_a_bare_decimal_has_sparks_default_precision():
    assert to_arrow(_document("decimal")).field("c").type == pa.decimal128(10, 0)


def test_walk_gives_every_field_parents_first():
    schema = pa.schema(
        [
            ("a", pa.list_(pa.struct([("b", pa.int64())]))),
            ("m", pa.map_(pa.string(), pa.int64())),
        ]
    )
    assert [".".join(path) for path, _ in walk(schema)] == [
        "a",
        "a.element",
        "a.element.b",
        "m",
        "m.key",
        "m.value",
    ]


PARTITIONED = pa.schema(
    [
        ("d", pa.date32()),
        ("b", pa.binary()),
        ("l", pa.list_(pa.int64())),
        ("v", pa.null()),
        ("x", pa.int64()),
    ]
)


def test_primitive_columns_can_partition():
    check_partition_columns(PARTITIONED, ["d", "b"])
    check_partition_columns(PARTITIONED, [])


@pytest.mark.parametrize(
    ("columns", "at_fault"),
    [
        (["nope"], ("nope",)),
        (["d", "d"], ("d",)),
        (["l"], ("l",)),
        (["v"], ("v",)),
        (["x", "l", "nope"], ("l", "nope")),
    ],
)
def test_columns_that_cannot_partition_are_named(columns, at_fault):
    with pytest.raises(InvalidSchema) as caught:
        check_partition_columns(PARTITIONED, columns)
    assert caught.value.columns == at_fault


def test_partitioning_by_every_column_is_refused():
    with pytest.raises(InvalidSchema, match="all columns"):
        check_partition_columns(pa.schema([("a", pa.int64())]), ["a"])
