import json
import warnings

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atomic_manifest.errors import CorruptLog, StorePermissionDenied, UnsupportedTableFeature
from atomic_manifest.log.actions import DeletionVector, Metadata, Protocol, Remove, Txn
from atomic_manifest.log.checkpoint import order
from atomic_manifest.log.checkpoint import parts as checkpoint_parts
from atomic_manifest.log.columns import FILES
from atomic_manifest.log.entry import entry_path
from atomic_manifest.log.folder.hint import HINT_PATH, checksum
from atomic_manifest.log.maintenance.checkpoint_writer import checkpoint_path, write_checkpoint
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store.conditions import IfAbsent, IfMatch
from atomic_manifest.store.driver import Refused


def _rows(table):
    return table.to_pylist(maps_as_pydicts="strict")


@pytest.fixture
def filled(created, commit, add):
    """Versions 1 to 3: files with every field, a transaction, two tombstones."""
    vector = DeletionVector(
        storage_type="u", path_or_inline_dv="x", size_in_bytes=3, cardinality=4, offset=1
    )
    rich = {
        "partition_values": {"p": "1", "q": None},
        "stats": '{"numRecords":1}',
        "tags": {"t": "v", "n": None},
        "deletion_vector": vector,
        "base_row_id": 5,
        "default_row_commit_version": 6,
        "clustering_provider": "liquid",
        "data_change": False,
    }
    commit(created, 1, add("a"), add("rich", **rich), add("gone"), add("expired"))
    commit(created, 2, Txn(app_id="app", version=7, last_updated=8), add("b"))
    removed = {"deletion_timestamp": 2**62, "size": 4, "extended_file_metadata": True}
    commit(
        created,
        3,
        Remove(path="gone", partition_values={"p": None}, deletion_vector=vector, **removed),
        Remove(path="gone", partition_values={"p": None}, **removed),
        Remove(path="expired", deletion_timestamp=1),
    )
    return created


def _without_entries(store, upto):
    for version in range(upto + 1):
        store.delete(entry_path(version))


def test_a_checkpoint_holds_the_whole_state(filled):
    before = load(filled)
    write_checkpoint(filled, before)
    _without_entries(filled, 3)
    after = load(filled)
    assert after.version == 3
    assert after.protocol == before.protocol
    assert after.metadata == before.metadata
    assert after.transactions == before.transactions
    assert _rows(after.files()) == _rows(before.files())
    assert _rows(after.tombstones()) == _rows(before.tombstones())
    assert after.tombstones().num_rows == 2
    assert after.files(["stats"]) == before.files(["stats"])


def test_entries_after_a_checkpoint_are_replayed_over_it(filled, commit, add):
    write_checkpoint(filled, load(filled))
    commit(filled, 4, Remove(path="a", deletion_timestamp=2**62), add("b", size=9), add("gone"))
    _without_entries(filled, 3)
    snapshot = load(filled)
    files = snapshot.files()
    sizes = dict(zip(files["path"].to_pylist(), files["size"].to_pylist(), strict=True))
    assert sizes == {"rich": 1, "b": 9, "gone": 1}
    removed = snapshot.tombstones().select(["path", "deletion_vector"]).to_pylist()
    assert [(row["path"], row["deletion_vector"] is None) for row in removed] == [
        ("gone", False),
        ("a", True),
    ]


def test_metadata_and_protocol_survive_with_all_their_fields(store, commit):
    protocol = Protocol(
        min_reader_version=3,
        min_writer_version=7,
        reader_features=("timestampNtz",),
        writer_features=("timestampNtz", "appendOnly"),
    )
    metadata = Metadata(
        id="t",
        schema_string='{"type":"struct","fields":[]}',
        partition_columns=["p", "q"],
        configuration={"provider": "x", "options": "y"},
        name="n",
        description="d",
        created_time=5,
    )
    commit(store, 0, protocol, metadata)
    before = load(store)
    write_checkpoint(store, before)
    _without_entries(store, 0)
    after = load(store)
    assert after.protocol == before.protocol
    assert after.metadata == before.metadata


def test_the_hint_names_the_checkpoint_and_its_size(filled):
    write_checkpoint(filled, load(filled))
    hint = json.loads(filled.get(HINT_PATH).data)
    size = filled.head(checkpoint_path(3)).size
    assert hint.pop("checksum") == checksum(json.dumps(hint).encode())
    assert hint == {"version": 3, "size": 8, "sizeInBytes": size, "numOfAddFiles": 3}


def test_the_hint_never_moves_back(filled):
    write_checkpoint(filled, load(filled))
    write_checkpoint(filled, load(filled, version=1))
    assert json.loads(filled.get(HINT_PATH).data)["version"] == 3
    assert filled.head(checkpoint_path(1)).size


@pytest.mark.parametrize("old", [b'{"version":1,"size":1}', b"rubbish"])
def test_an_older_or_unusable_hint_is_replaced(filled, old):
    filled.put(HINT_PATH, old)
    write_checkpoint(filled, load(filled))
    assert json.loads(filled.get(HINT_PATH).data)["version"] == 3


def test_an_existing_checkpoint_that_can_be_read_is_left_alone(filled):
    snapshot = load(filled)
    assert write_checkpoint(filled, snapshot).files == 3
    before = filled.head(checkpoint_path(3))
    assert write_checkpoint(filled, snapshot) is None
    assert write_checkpoint(filled, load(filled)) is None
    assert filled.head(checkpoint_path(3)) == before


def test_an_existing_checkpoint_that_cannot_be_read_is_replaced(filled):
    snapshot = load(filled)
    write_checkpoint(filled, snapshot)
    data = filled.get(checkpoint_path(3)).data
    filled.put(checkpoint_path(3), data[:-100])
    write_checkpoint(filled, snapshot)
    assert filled.get(checkpoint_path(3)).data[-100:] == data[-100:]
    assert _rows(load(filled).files()) == _rows(snapshot.files())


class LosingHint:
    """A driver on which somebody else always writes the hint first."""

    def __init__(self, driver):
        self.driver = driver
        self.refused = []

    def __getattr__(self, name):
        return getattr(self.driver, name)

    def put(self, path, data, *, when=None, metadata=None):
        if path == HINT_PATH:
            self.refused.append(when)
            return Refused()
        return self.driver.put(path, data, when=when, metadata=metadata)


def test_losing_the_race_for_the_hint_is_fine(filled):
    filled.driver = LosingHint(filled.driver)
    write_checkpoint(filled, load(filled))
    filled.driver.driver.put(HINT_PATH, b"{}")
    write_checkpoint(filled, load(filled, version=2))
    first, second = filled.driver.refused
    assert first == IfAbsent()
    assert isinstance(second, IfMatch)


def test_a_table_we_cannot_write_gets_no_checkpoint(store, commit, metadata):
    protocol = Protocol(
        min_reader_version=1, min_writer_version=7, writer_features=("catalogManaged",)
    )
    commit(store, 0, protocol, metadata)
    with pytest.raises(UnsupportedTableFeature, match="catalogManaged"):
        write_checkpoint(store, load(store))
    assert [meta.path for meta in store.list()] == [entry_path(0)]


def _groups(store, version):
    return pq.ParquetFile(pa.BufferReader(store.get(checkpoint_path(version)).data)).metadata


def test_large_checkpoints_have_several_row_groups(filled, monkeypatch):
    monkeypatch.setattr(order, "ROWS_PER_GROUP", 2)
    before = load(filled)
    write_checkpoint(filled, before)
    metadata = _groups(filled, 3)
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [3, 2, 1, 2]
    assert metadata.row_group(1).column(0).compression == "ZSTD"
    assert _rows(load(filled).files()) == _rows(before.files())


class Reads:
    """A driver that keeps what was read of checkpoints: whole objects and ranges."""

    def __init__(self, driver):
        self.driver = driver
        self.reads = []

    def __getattr__(self, name):
        return getattr(self.driver, name)

    def get(self, path, *, range=None, if_none_match=None):
        if path.endswith(".parquet"):
            self.reads.append(range)
        return self.driver.get(path, range=range, if_none_match=if_none_match)


def test_a_small_checkpoint_is_one_request_for_everything(filled):
    write_checkpoint(filled, load(filled))
    filled.driver = Reads(filled.driver)
    snapshot = load(filled)
    snapshot.files()
    snapshot.tombstones()
    assert filled.driver.reads == [None]


def test_of_a_large_checkpoint_only_ranges_are_read_and_files_last(filled, monkeypatch):
    before = load(filled)
    write_checkpoint(filled, before)
    monkeypatch.setattr(checkpoint_parts, "WHOLE", 0)
    filled.driver = Reads(filled.driver)
    snapshot = load(filled)
    opening = len(filled.driver.reads)
    assert None not in filled.driver.reads
    assert _rows(snapshot.files()) == _rows(before.files())
    assert len(filled.driver.reads) > opening


def test_a_damaged_checkpoint_is_passed_over_for_the_entries_with_a_warning(filled):
    before = load(filled)
    filled.put(checkpoint_path(2), b"PAR1 not parquet PAR1")
    with pytest.warns(RuntimeWarning, match=checkpoint_path(2)):
        snapshot = load(filled)
    assert _rows(snapshot.files()) == _rows(before.files())
    assert (snapshot.version, snapshot.txns) == (3, {"app": 7})


def test_a_damaged_checkpoint_is_passed_over_for_an_older_one(filled):
    write_checkpoint(filled, load(filled, version=1))
    _without_entries(filled, 1)
    filled.put(checkpoint_path(3), b"")
    with pytest.warns(RuntimeWarning, match=checkpoint_path(3)):
        snapshot = load(filled)
    assert snapshot.version == 3
    assert snapshot.files().num_rows == 3


def test_several_damaged_checkpoints_are_passed_over(filled):
    filled.put(checkpoint_path(1), b"")
    filled.put(checkpoint_path(3), b"")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert load(filled).files().num_rows == 3
    assert len(caught) == 2


def test_a_damaged_checkpoint_without_a_way_round_is_corrupt(filled):
    filled.put(checkpoint_path(2), b"")
    filled.delete(entry_path(0))
    with pytest.raises(CorruptLog, match=checkpoint_path(2)) as caught:
        load(filled)
    assert (caught.value.path, caught.value.version) == (checkpoint_path(2), 2)


def _put_parquet(store, version, rows, schema):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    store.put(checkpoint_path(version), memoryview(sink.getvalue()))


PROTOCOL = pa.struct([("minReaderVersion", pa.int32()), ("minWriterVersion", pa.int32())])
META = pa.struct(
    [
        ("id", pa.string()),
        ("schemaString", pa.string()),
        ("partitionColumns", pa.list_(pa.string())),
        ("configuration", pa.map_(pa.string(), pa.string())),
    ]
)
TABLE = {"id": "t", "schemaString": "{}", "partitionColumns": [], "configuration": []}
HEAD = [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": TABLE}]


def test_columns_that_a_writer_left_out_read_as_null(store):
    add = pa.struct([("path", pa.large_string()), ("size", pa.int32())])
    schema = pa.schema([("protocol", PROTOCOL), ("metaData", META), ("add", add)])
    _put_parquet(store, 0, [*HEAD, {"add": {"path": "f", "size": 3}}], schema)
    snapshot = load(store)
    expected = dict.fromkeys(FILES.names) | {"path": "f", "size": 3}
    assert snapshot.files().to_pylist() == [expected]
    assert snapshot.tombstones().num_rows == 0
    assert snapshot.txns == {}


@pytest.mark.parametrize("write_statistics", [True, False])
def test_the_parts_of_a_checkpoint_are_read_together(store, write_statistics):
    add = pa.struct([("path", pa.string()), ("size", pa.int64())])
    head = pa.schema([("protocol", PROTOCOL), ("metaData", META)])
    parts = [
        pa.Table.from_pylist(HEAD, schema=head),
        pa.table({"add": pa.array([{"path": "a", "size": 1}], add)}),
        pa.table({"add": pa.array([None, {"path": "b", "size": 2}], add)}),
    ]
    for number, part in enumerate(parts, start=1):
        sink = pa.BufferOutputStream()
        pq.write_table(part, sink, write_statistics=write_statistics)
        name = f"_delta_log/{4:020}.checkpoint.{number:010}.{3:010}.parquet"
        store.put(name, memoryview(sink.getvalue()))
    snapshot = load(store)
    assert snapshot.version == 4
    assert snapshot.files(["path", "size"]).to_pydict() == {"path": ["a", "b"], "size": [1, 2]}


def test_statistics_in_columns_become_json_where_the_text_is_missing(store):
    bounds = pa.struct(
        [
            ("i", pa.int64()),
            ("d", pa.date32()),
            ("t", pa.timestamp("us", "UTC")),
            ("c", pa.decimal128(5, 2)),
            ("s", pa.struct([("f", pa.float64())])),
            ("b", pa.binary()),
        ]
    )
    parsed = pa.struct([("numRecords", pa.int64()), ("minValues", bounds)])
    add = pa.struct([("path", pa.string()), ("stats", pa.string()), ("stats_parsed", parsed)])
    schema = pa.schema([("protocol", PROTOCOL), ("metaData", META), ("add", add)])
    low = {"i": 1, "d": 0, "t": 1, "c": 1, "s": {"f": float("inf")}, "b": b"x"}
    adds = [
        {"path": "both", "stats": '{"numRecords":9}', "stats_parsed": {"numRecords": 1}},
        {"path": "columns", "stats_parsed": {"numRecords": 2, "minValues": low}},
        {"path": "neither"},
    ]
    _put_parquet(store, 0, [*HEAD, *({"add": row} for row in adds)], schema)
    texts = load(store).files(["stats"])["stats"].to_pylist()
    assert texts[0] == '{"numRecords":9}'
    assert json.loads(texts[1]) == {
        "numRecords": 2,
        "minValues": {
            "i": 1,
            "d": "1970-01-01",
            "t": "1970-01-01T00:00:00.000001Z",
            "c": 1.0,
            "s": {},
        },
    }
    assert texts[2] is None


def test_a_checkpoint_with_a_column_of_another_type_is_corrupt(store):
    schema = pa.schema([("protocol", pa.struct([("minReaderVersion", pa.string())]))])
    _put_parquet(store, 0, [{"protocol": {"minReaderVersion": "x"}}], schema)
    with pytest.raises(CorruptLog, match=checkpoint_path(0)):
        load(store)


def test_damage_that_shows_only_in_the_files_is_passed_over_when_they_are_read(filled):
    before = load(filled)
    add = pa.struct([("path", pa.string()), ("size", pa.string())])
    schema = pa.schema([("protocol", PROTOCOL), ("metaData", META), ("add", add)])
    _put_parquet(filled, 2, [*HEAD, {"add": {"path": "f", "size": "x"}}], schema)
    snapshot = load(filled)
    with pytest.warns(RuntimeWarning, match=checkpoint_path(2)):
        files = snapshot.files()
    assert _rows(files) == _rows(before.files())
    assert _rows(snapshot.tombstones()) == _rows(before.tombstones())


def test_a_checkpoint_file_that_vanishes_is_passed_over(filled):
    write_checkpoint(filled, load(filled, version=1))
    inner = filled.driver

    class Vanishing(Reads):
        def get(self, path, **options):
            if path == checkpoint_path(1):
                inner.delete(path)
            return super().get(path, **options)

    filled.driver = Vanishing(inner)
    with pytest.warns(RuntimeWarning, match="is missing"):
        assert load(filled).version == 3


def test_errors_of_the_store_are_not_taken_for_damage(filled):
    write_checkpoint(filled, load(filled))

    class Denying(Reads):
        def get(self, path, **options):
            if path == checkpoint_path(3):
                raise StorePermissionDenied("no", path=path)
            return super().get(path, **options)

    filled.driver = Denying(filled.driver)
    with pytest.raises(StorePermissionDenied):
        load(filled)


def test_a_file_outside_the_table_in_a_checkpoint_is_refused(store):
    add = pa.struct([("path", pa.string())])
    schema = pa.schema([("protocol", PROTOCOL), ("metaData", META), ("add", add)])
    _put_parquet(store, 5, [*HEAD, {"add": {"path": "../f"}}], schema)
    with pytest.raises(CorruptLog) as caught:
        load(store).files()
    assert (caught.value.path, caught.value.version) == ("../f", 5)


def test_the_in_commit_timestamp_of_a_checkpointed_version_is_read_from_its_entry(
    store, commit, protocol, metadata
):
    ours = msgspec.structs.replace(
        metadata, configuration={"delta.enableInCommitTimestamps": "true"}
    )
    commit(store, 0, protocol, ours, inCommitTimestamp=77)
    row = TABLE | {"configuration": list(ours.configuration.items())}
    rows = [HEAD[0], {"metaData": row}]
    _put_parquet(store, 0, rows, pa.schema([("protocol", PROTOCOL), ("metaData", META)]))
    assert load(store).timestamp_ms == 77
    store.delete(entry_path(0))
    assert load(store).timestamp_ms > 77


@pytest.mark.parametrize("field", list(TABLE))
def test_a_checkpoint_without_a_required_field_of_the_metadata_is_corrupt(store, field):
    row = {name: value for name, value in TABLE.items() if name != field}
    rows = [HEAD[0], {"metaData": row}]
    _put_parquet(store, 0, rows, pa.schema([("protocol", PROTOCOL), ("metaData", META)]))
    with pytest.raises(CorruptLog, match=f"{checkpoint_path(0)}.*{field if field != 'id' else ''}"):
        load(store)


ADD = pa.struct(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("partitionValues", pa.map_(pa.string(), pa.string())),
        (
            "deletionVector",
            pa.struct(
                [
                    ("storageType", pa.string()),
                    ("pathOrInlineDv", pa.string()),
                    ("offset", pa.int32()),
                    ("sizeInBytes", pa.int32()),
                    ("cardinality", pa.int64()),
                ]
            ),
        ),
    ]
)
FILE = {"path": "f", "size": 3, "partitionValues": []}
VECTOR = {"storageType": "u", "pathOrInlineDv": "x", "sizeInBytes": 3, "cardinality": 1}


def _of_file(store, rows, kind="add", type_=ADD):
    names = [("protocol", PROTOCOL), ("metaData", META), (kind, type_)]
    _put_parquet(store, 0, [*HEAD, *({kind: row} for row in rows)], pa.schema(names))


@pytest.mark.parametrize("others", [[], [FILE]])
@pytest.mark.parametrize("kind", ["add", "remove"])
def test_a_file_action_without_a_path_is_corrupt(store, others, kind):
    _of_file(store, [*others, FILE | {"path": None}], kind)
    with pytest.raises(CorruptLog, match=f"{checkpoint_path(0)}.*path"):
        _rows(load(store).files()), _rows(load(store).tombstones())
    with pytest.raises(CorruptLog, match=f"{checkpoint_path(0)}.*path"):
        load(store).files(["path"]), load(store).tombstones()


@pytest.mark.parametrize("type_", [pa.string(), pa.struct([("size", pa.int64())]), pa.list_(ADD)])
@pytest.mark.parametrize("kind", ["add", "remove"])
def test_file_actions_of_another_type_are_corrupt_and_no_empty_table(store, kind, type_):
    value = {"size": 3} if pa.types.is_struct(type_) else "x" if type_ == pa.string() else [FILE]
    _of_file(store, [value], kind, type_)
    with pytest.raises(CorruptLog, match=checkpoint_path(0)):
        load(store).files(), load(store).tombstones()


def test_a_struct_of_nulls_is_no_action(store):
    nothing = dict.fromkeys(FILE)
    _of_file(store, [nothing, FILE, nothing])
    assert load(store).files(["path"])["path"].to_pylist() == ["f"]


@pytest.mark.parametrize("field", list(VECTOR))
def test_a_deletion_vector_without_a_required_field_is_corrupt(store, field):
    _of_file(store, [FILE | {"deletionVector": VECTOR | {field: None}}])
    with pytest.raises(CorruptLog, match=checkpoint_path(0)):
        load(store).files()


def test_files_without_partition_values_of_a_partitioned_table_are_corrupt(store):
    meta = {"metaData": TABLE | {"partitionColumns": ["p"]}}
    rows = [HEAD[0], meta, {"add": FILE | {"partitionValues": None}}]
    names = [("protocol", PROTOCOL), ("metaData", META), ("add", ADD)]
    _put_parquet(store, 0, rows, pa.schema(names))
    with pytest.raises(CorruptLog, match=r"f.*partitionValues"):
        load(store).files()


@pytest.mark.parametrize("group", [1, 2])
def test_a_transaction_without_an_application_is_corrupt(store, group):
    txn = pa.struct([("appId", pa.string()), ("version", pa.int64())])
    rows = [*HEAD, {"txn": {"version": 3}}]
    schema = pa.schema([("protocol", PROTOCOL), ("metaData", META), ("txn", txn)])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, row_group_size=group)
    store.put(checkpoint_path(0), memoryview(sink.getvalue()))
    with pytest.raises(CorruptLog, match=checkpoint_path(0)):
        load(store)
