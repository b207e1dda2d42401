"""Columns whose files call them otherwise: by physical name and by field id."""

import datetime as dt
import json

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import atomic_manifest as am
from atomic_manifest.errors import CommitConflict, CorruptLog
from tests.conformance.conftest import HandMade, column, inline
from tests.interop.conftest import read_duckdb, sorted_rows


def mapped(name, type_, number, physical=None, **metadata):
    return column(
        name,
        type_,
        delta__columnMapping__id=number,
        delta__columnMapping__physicalName=physical or f"col-{number}",
        **metadata,
    )


def struct(*fields):
    return {"type": "struct", "fields": list(fields)}


def array(element):
    return {"type": "array", "elementType": element, "containsNull": True}


def map_(key, value):
    return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": True}


# Names that the table uses for other columns than its files do, with dots and spaces among them.
FIELDS = [
    mapped("id", "long", 1, "name"),
    mapped("name", "string", 2, "id"),
    mapped("day", "date", 3),
    mapped("a b.c", struct(mapped("x", "integer", 5), mapped("y", "string", 6, "x")), 4),
    mapped("list", array(struct(mapped("v", "double", 8))), 7),
    mapped("map", map_("string", struct(mapped("w", "long", 10))), 9),
    mapped("added", "string", 11),
]


def field(name, type_, number):
    return pa.field(name, type_, metadata={"PARQUET:field_id": str(number)})


FILE = pa.schema(
    [
        field("name", pa.int64(), 1),
        field("id", pa.string(), 2),
        field("col-4", pa.struct([field("col-5", pa.int32(), 5), field("x", pa.string(), 6)]), 4),
        field("col-7", pa.list_(pa.struct([field("col-8", pa.float64(), 8)])), 7),
        field("col-9", pa.map_(pa.string(), pa.struct([field("col-10", pa.int64(), 10)])), 9),
        field("dropped", pa.int64(), 12),
    ]
)
BY_ID = [
    ("one", pa.int64(), 1),
    ("two", pa.string(), 2),
    ("a b.c", pa.struct([field("y", pa.int32(), 5), field("x", pa.string(), 6)]), 4),
    ("id", pa.list_(pa.struct([field("_", pa.float64(), 8)])), 7),
    ("nine", pa.map_(pa.string(), pa.struct([field("w", pa.int64(), 10)])), 9),
    ("added", pa.int64(), 12),
]


def file_rows(numbers):
    return [
        [number, f"n{number}", (number, f"y{number}"), [number / 2], number, -1]
        for number in numbers
    ]


def stored(numbers, schema):
    def value(column, index, type_):
        if index == 2:
            return (
                None
                if column[0] % 5 == 4
                else dict(zip((f.name for f in type_), column, strict=False))
            )
        if index == 3:
            return [{type_.value_type.field(0).name: each} for each in column]
        if index == 4:
            return [("k", {type_.item_type.field(0).name: column})]
        return column

    return pa.table(
        [
            pa.array([value(row[i], i, f.type) for row in file_rows(numbers)], f.type)
            for i, f in enumerate(schema)
        ],
        schema=schema,
    )


def row(number, day="2026-01-01"):
    return {
        "id": number,
        "name": f"n{number}",
        "day": dt.date.fromisoformat(day) if day else None,
        "a b.c": None if number % 5 == 4 else {"x": number, "y": f"y{number}"},
        "list": [{"v": number / 2}],
        "map": [("k", {"w": number})],
        "added": None,
    }


def by_id(table):
    return table.sort_by("id").to_pylist()


@pytest.fixture(params=["name", "id", "name, legacy", "name, deleted rows"])
def table(request, made: HandMade) -> am.Table:
    mode = request.param.split(",")[0]
    schema = FILE if mode == "name" else pa.schema([field(*each) for each in BY_ID])
    legacy = "legacy" in request.param
    made.create(
        FIELDS,
        features=[] if legacy else ["columnMapping", "deletionVectors"],
        protocol=(2, 5) if legacy else (3, 7),
        partition_by=["day"],
        delta__columnMapping__mode=mode,
        delta__columnMapping__maxColumnId="12",
    )
    vector = inline([20, 21]) if "deleted" in request.param else None
    stats = {"minValues": {"name": 0}, "maxValues": {"name": 19}, "nullCount": {"name": 0}}
    first = stored([*range(20), 97, 98] if vector else range(20), schema)
    made.commit(
        made.file(first, partition={"col-3": "2026-01-01"}, stats=stats, vector=vector),
        made.file(stored(range(20, 30), schema), partition={"col-3": None}),
    )
    return made.open()


ROWS = [row(number) for number in range(20)] + [row(number, None) for number in range(20, 30)]


def test_columns_are_found_at_any_depth_and_in_every_path(table):
    assert by_id(table.to_arrow()) == ROWS
    assert by_id(table.to_batches().read_all()) == ROWS
    assert by_id(table.to_dataset().to_table()) == ROWS
    assert table.to_arrow().schema.equals(table.schema)
    for name in table.schema.names:
        alone = table.to_arrow([name])
        assert alone.column_names == [name]
        assert sorted(map(repr, alone.to_pylist())) == sorted(repr({name: r[name]}) for r in ROWS)


@pytest.mark.parametrize(
    ("where", "test"),
    [
        ("id < 5", lambda r: r["id"] < 5),
        ("name = 'n7'", lambda r: r["name"] == "n7"),
        ("day = '2026-01-01' and id > 10", lambda r: r["day"] is not None and r["id"] > 10),
        ("day is null", lambda r: r["day"] is None),
        ("added is not null", lambda _: False),
    ],
)
def test_filters_are_on_the_names_of_the_schema(table, where, test):
    wanted = [r for r in ROWS if test(r)]
    assert by_id(table.to_arrow(filter=where)) == wanted
    assert by_id(table.to_dataset(where).to_table()) == wanted
    with table.transaction() as transaction:
        assert by_id(transaction.read(filter=where)) == wanted


# --- writing -------------------------------------------------------------------------------------

NEW = [row(number, "2026-02-01") | {"added": "new"} for number in range(100, 103)]


def new_rows(table, rows=NEW):
    return pa.Table.from_pylist(rows, schema=table.schema)


def actions(made, kind):
    version = made.open().version
    text = (made.root / "_delta_log" / f"{version:020}.json").read_text()
    return [line[kind] for line in map(json.loads, text.splitlines()) if kind in line]


def test_appended_rows_are_stored_under_physical_names_with_field_ids(table, made):
    table.append(new_rows(table))
    assert by_id(table.to_arrow()) == ROWS + NEW
    (add,) = actions(made, "add")
    assert add["partitionValues"] == {"col-3": "2026-02-01"}
    stats = json.loads(add["stats"])
    assert stats["minValues"]["name"] == 100
    assert stats["minValues"]["col-4"] == {"col-5": 100, "x": "y100"}
    assert stats["maxValues"]["col-11"] == "new"
    schema = pq.ParquetFile(made.root / add["path"].replace("%25", "%")).schema_arrow
    assert schema.names == ["name", "id", "col-4", "col-7", "col-9", "col-11"]
    ids = [field.metadata[b"PARQUET:field_id"] for field in schema]
    assert ids == [b"1", b"2", b"4", b"7", b"9", b"11"]
    nested = schema.field("col-7").type.value_type.field(0)
    assert (nested.name, nested.metadata[b"PARQUET:field_id"]) == ("col-8", b"8")
    nested = schema.field("col-9").type.item_type.field(0)
    assert (nested.name, nested.metadata[b"PARQUET:field_id"]) == ("col-10", b"10")


def test_deletes_and_overwrites_touch_the_right_rows(table):
    table.delete("id >= 15 and id < 25")
    left = [r for r in ROWS if not 15 <= r["id"] < 25]
    assert by_id(table.to_arrow()) == left
    table.delete("day is null")
    left = [r for r in left if r["day"] is not None]
    assert by_id(table.to_arrow()) == left
    table.overwrite(new_rows(table, NEW[:1]), where="id >= 100 or id = 3")
    left = [r for r in left if r["id"] != 3] + NEW[:1]
    assert by_id(table.to_arrow()) == left
    table.overwrite(new_rows(table, NEW[1:]), partitions="dynamic")
    left = [r for r in left if r["id"] != 100] + NEW[1:]
    assert by_id(table.to_arrow()) == left
    table.overwrite(new_rows(table))
    assert by_id(table.to_arrow()) == NEW


def read_delta_rs(path, columns):
    """By its query engine; its pyarrow dataset does not know of column mapping."""
    query = deltalake.QueryBuilder().register("t", deltalake.DeltaTable(path))
    return pa.table(query.execute(f"select {', '.join(columns)} from t").read_all())


@pytest.mark.interop
def test_what_was_written_by_name_is_read_alike_by_other_engines(table, made):
    if table.configuration["delta.columnMapping.mode"] == "id":
        pytest.skip("both take columns of files by physical name, which these files do not have")
    table.append(new_rows(table))
    table.delete("id < 3")
    columns = ["id", "name", "added"]  # of a mapped partition column DuckDB reads null
    expected = sorted_rows(table.to_arrow(columns))
    assert len(expected) == 30
    assert sorted_rows(read_duckdb(str(made.root)).select(columns)) == expected
    columns = ["id", "name", "day", "added"]
    expected = sorted_rows(table.to_arrow(columns))
    assert sorted_rows(read_delta_rs(str(made.root), columns)) == expected


@pytest.mark.interop
def test_what_was_written_by_id_is_read_alike_by_other_engines(made):
    made.create(
        FIELDS, features=["columnMapping"], partition_by=["day"], delta__columnMapping__mode="id"
    )
    table = made.open()
    table.append(new_rows(table))
    assert by_id(table.to_arrow()) == NEW
    columns = ["id", "name", "added"]
    expected = sorted_rows(table.to_arrow(columns))
    assert sorted_rows(read_duckdb(str(made.root)).select(columns)) == expected
    assert sorted_rows(read_delta_rs(str(made.root), columns)) == expected


def test_statistics_of_mapped_columns_tell_commits_apart(table, made):
    # `id` is stored as "name": rows 0 to 19 of the first file are not what the winner adds.
    other = made.open()
    with table.transaction() as transaction:
        transaction.read(filter="id < 10")
        transaction.append(new_rows(table, NEW[:1]))
        other.append(new_rows(other, NEW[1:2]))
    assert by_id(table.to_arrow()) == ROWS + NEW[:2]
    overlapping = new_rows(other, [NEW[2] | {"id": 5}])
    transaction = table.transaction()
    transaction.__enter__()
    transaction.read(filter="id < 10")
    transaction.append(new_rows(table, NEW[2:]))
    other.append(overlapping)
    with pytest.raises(CommitConflict):
        transaction.__exit__(None, None, None)


def test_a_checkpoint_keeps_physical_names(table, made):
    table.append(new_rows(table))
    table.checkpoint()
    (made.root / "_delta_log" / "00000000000000000000.json").unlink()
    assert by_id(made.open().to_arrow()) == ROWS + NEW


BRINGING = pa.Table.from_pylist(
    [row | {"extra": {"n": row["id"], "l": [{"m": "x"}]}} for row in NEW],
    schema=pa.schema(
        [
            ("id", pa.int64()),
            ("day", pa.date32()),
            (
                "extra",
                pa.struct([("n", pa.int64()), ("l", pa.list_(pa.struct([("m", pa.string())])))]),
            ),
        ]
    ),
)


def mapped_fields(node):
    """Every field of schema JSON with a name, at any depth."""
    if isinstance(node, dict):
        if "name" in node:
            yield node
        for value in node.values():
            yield from mapped_fields(value)
    if isinstance(node, list):
        for value in node:
            yield from mapped_fields(value)


@pytest.mark.parametrize("write", ["append", "overwrite", "transaction"])
def test_columns_added_to_a_mapped_table_get_names_and_ids_of_their_own(table, made, write):
    before = actions_of_version(made, 0, "metaData")["schemaString"]
    if write == "append":
        table.append(BRINGING, schema_mode="merge")
    elif write == "overwrite":
        table.overwrite(BRINGING, schema_mode="merge")
    else:
        with table.transaction() as tx:
            tx.append(BRINGING, schema_mode="merge")
            assert tx.read(["extra"], filter="id = 100")["extra"].to_pylist()[0]["n"] == 100
    (metadata,) = actions(made, "metaData")
    fields = list(mapped_fields(json.loads(metadata["schemaString"])))
    old = [each["name"] for each in mapped_fields(json.loads(before))]
    ids = [each["metadata"]["delta.columnMapping.id"] for each in fields]
    assert len({*ids}) == len(ids)
    added = fields[-4:]
    assert [each["name"] for each in added] == ["extra", "n", "l", "m"]
    assert len(fields) == len(old) + len(added)
    for each in added:
        assert each["metadata"]["delta.columnMapping.id"] > 12
        assert each["metadata"]["delta.columnMapping.physicalName"].startswith("col-")
    assert metadata["configuration"]["delta.columnMapping.maxColumnId"] == str(max(ids))
    read = made.open().to_arrow(["id", "extra"], filter="id >= 100").sort_by("id")
    assert read["extra"].to_pylist() == BRINGING.sort_by("id")["extra"].to_pylist()
    columns = ["id", "extra"]
    if metadata["configuration"]["delta.columnMapping.mode"] == "id":
        return  # DuckDB takes columns of files by physical name, which the older ones do not have
    duck = read_duckdb(str(made.root)).select(columns).sort_by("id")
    assert duck.to_pylist() == made.open().to_arrow(columns).sort_by("id").to_pylist()


def actions_of_version(made, version, kind):
    text = (made.root / "_delta_log" / f"{version:020}.json").read_text()
    return next(line[kind] for line in map(json.loads, text.splitlines()) if kind in line)


def test_of_two_merges_of_a_mapped_table_the_later_one_is_refused_without_a_file(table, made):
    other = made.open()
    table.append(BRINGING, schema_mode="merge")
    files = len([*made.root.rglob("*.parquet")])
    names = ["id", "day", "another"]
    with pytest.raises(CommitConflict):
        other.append(BRINGING.rename_columns(names), schema_mode="merge")
    assert len([*made.root.rglob("*.parquet")]) == files
    other.append(BRINGING.rename_columns(names), schema_mode="merge")
    ids = [
        each["metadata"]["delta.columnMapping.id"]
        for each in mapped_fields(json.loads(actions(made, "metaData")[0]["schemaString"]))
    ]
    assert len({*ids}) == len(ids)


# --- what it is not ------------------------------------------------------------------------------


def test_the_mode_does_not_count_where_the_protocol_does_not_support_it(made):
    made.create([mapped("x", "long", 1)], protocol=(1, 4), delta__columnMapping__mode="name")
    made.commit(made.file(pa.table({"x": [1, 2], "col-1": [3, 4]})))
    assert made.open().to_arrow().to_pylist() == [{"x": 1}, {"x": 2}]


def test_mode_none_reads_by_the_names_of_the_schema(made):
    made.create(
        [mapped("x", "long", 1)], features=["columnMapping"], delta__columnMapping__mode="none"
    )
    made.commit(made.file(pa.table({"x": [1]})))
    assert made.open().to_arrow().to_pylist() == [{"x": 1}]


def test_a_file_without_field_ids_is_an_error_in_id_mode(made):
    made.create(
        [mapped("x", "long", 1)], features=["columnMapping"], delta__columnMapping__mode="id"
    )
    made.commit(made.file(pa.table({"col-1": [1]})))
    with pytest.raises(CorruptLog, match=r"part-.*no field ids"):
        made.open().to_arrow()


@pytest.mark.parametrize("mode", ["name", "id"])
def test_a_column_without_its_mapping_is_an_error_that_names_it(made, mode):
    made.create([column("x", "long")], features=["columnMapping"], delta__columnMapping__mode=mode)
    made.commit(made.file(pa.table([pa.array([1])], schema=pa.schema([field("x", pa.int64(), 1)]))))
    with pytest.raises(CorruptLog, match="'x'.*columnMapping"):
        made.open().to_arrow()


def test_an_unknown_mode_is_an_error(made):
    made.create([mapped("x", "long", 1)], protocol=(2, 5), delta__columnMapping__mode="colour")
    with pytest.raises(CorruptLog, match="colour"):
        made.open()


def test_a_column_of_another_kind_than_the_tables_is_an_error(made):
    made.create(
        [mapped("x", "long", 1)], features=["columnMapping"], delta__columnMapping__mode="name"
    )
    made.commit(made.file(pa.table({"col-1": ["text"]})))
    with pytest.raises(CorruptLog, match=r"part-.*'x'.*string.*int64"):
        made.open().to_arrow()


def test_names_with_dots_are_told_from_nested_fields(made):
    fields = [
        mapped("one", "long", 1, "a.b"),
        mapped("two", struct(mapped("in", "long", 3, "b")), 2, "a"),
    ]
    made.create(fields, features=["columnMapping"], delta__columnMapping__mode="name")
    made.commit(made.file(pa.table({"a": [{"b": 1}], "a.b": [2]})))
    table = made.open()
    assert table.to_arrow().to_pylist() == [{"one": 2, "two": {"in": 1}}]
    assert table.to_arrow(["one"]).to_pylist() == [{"one": 2}]
    assert table.to_arrow(["two"]).to_pylist() == [{"two": {"in": 1}}]
