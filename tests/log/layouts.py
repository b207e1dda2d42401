"""The tables that `corruption` damages: each layout that a log can have, small."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, write_deltalake

from atomic_manifest.log.actions import (
    Add,
    CommitInfo,
    DeletionVector,
    DomainMetadata,
    Metadata,
    Protocol,
    Remove,
    Txn,
)
from atomic_manifest.log.checkpoint import file_rows as checkpoint_file_rows
from atomic_manifest.log.checkpoint import order
from atomic_manifest.log.checkpoint.schema import (
    SIDECAR,
    V1,
    AddColumns,
    file_rows,
    head_actions,
    rows_of,
    schema,
)
from atomic_manifest.log.entry import CommitRecord, commit_info, encode, entry_path, seal
from atomic_manifest.log.folder.compaction import compact_log
from atomic_manifest.log.folder.hint import HINT_PATH
from atomic_manifest.log.maintenance import checkpoint_v2
from atomic_manifest.log.maintenance.upkeep import checkpoint
from atomic_manifest.log.metadata.schema import to_delta
from atomic_manifest.log.state.snapshot import Snapshot, load
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.open import open_store
from atomic_manifest.testing import FakeEnv
from tests.log.corruption import Layout, layout

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("p", pa.string())])
NEWEST = 13
_MS = 1_700_000_000_000
_FEATURES = ("deletionVectors", "domainMetadata", "v2Checkpoint")


def _store() -> ObjectStore:
    env = FakeEnv()
    return ObjectStore(MemoryDriver(env=env), env=env)


def protocol() -> Protocol:
    return Protocol(
        min_reader_version=3,
        min_writer_version=7,
        reader_features=("deletionVectors", "v2Checkpoint"),
        writer_features=_FEATURES,
    )


def metadata(**configuration: str) -> Metadata:
    return Metadata(
        id="00000000-0000-0000-0000-00000000000a",
        schema_string=to_delta(SCHEMA),
        partition_columns=("p",),
        configuration=configuration,
        created_time=_MS,
    )


def vector(number: int) -> DeletionVector:
    return DeletionVector(
        storage_type="u",
        path_or_inline_dv=f"ab^-aqEH.-t@S}}K{{vb[*k^{number:x}",
        size_in_bytes=36,
        cardinality=2,
        offset=4,
    )


def add(number: int, **fields: Any) -> Add:
    bounds = {"id": number, "name": f"n{number}"}
    stats = {"numRecords": 5, "minValues": bounds, "maxValues": bounds, "nullCount": {"id": 0}}
    return Add(
        path=f"p={number % 3}/part-{number:05}.parquet",
        partition_values={"p": str(number % 3)},
        size=1000 + number,
        modification_time=_MS + number,
        data_change=True,
        stats=json.dumps(stats),
        **fields,
    )


def remove(number: int, dv: DeletionVector | None = None) -> Remove:
    return Remove(path=add(number).path, deletion_timestamp=_MS + number, deletion_vector=dv)


def actions(version: int) -> list[Any]:
    """What the commit of a version does to the files."""
    base = 10 * version
    found: list[Any] = [add(base), add(base + 1), add(base + 2)]
    if version > 1:
        found += [
            remove(base - 10),
            remove(base - 9),
            add(base - 9, deletion_vector=vector(version)),
        ]
    if version > 2:
        found.append(remove(base - 19, vector(version - 1)))
    if version % 3 == 0:
        found.append(Txn(app_id=f"app-{version % 2}", version=version, last_updated=_MS))
    if version % 4 == 1:
        configuration = json.dumps({"version": version})
        found.append(DomainMetadata(domain="d", configuration=configuration, removed=version == 9))
    return found


def write_entry(store: ObjectStore, version: int, lines: list[Any], *, sealed: bool = True) -> None:
    """Commit as this library does, or as another engine, without a seal."""
    if not sealed:
        plain = CommitInfo(fields={"timestamp": _MS + version, "operation": "WRITE"})
        store.put(entry_path(version), encode([plain, *lines]))
        return
    info = commit_info(
        [CommitRecord(f"commit-{version}", "WRITE")],
        timestamp_ms=_MS + version,
        operation="WRITE",
        parameters={"mode": "Append"},
        read_version=version - 1 if version else None,
        isolation="Serializable",
        blind_append=True,
        engine="test",
    )
    store.put(entry_path(version), seal(encode([info, *lines]), version))


def written(
    store: ObjectStore,
    *,
    checkpoints: tuple[int, ...] = (),
    compactions: tuple[tuple[int, int], ...] = (),
    sealed: bool = True,
    **configuration: str,
) -> ObjectStore:
    """A log of `NEWEST` versions."""
    write_entry(store, 0, [protocol(), metadata(**configuration)], sealed=sealed)
    for version in range(1, NEWEST + 1):
        lines = actions(version)
        if version == 7:
            lines.insert(0, metadata(**configuration, **{"delta.appendOnly": "false"}))
        write_entry(store, version, lines, sealed=sealed)
        if version in checkpoints:
            checkpoint(store, load(store))
    for first, last in compactions:
        compact_log(store, first, last)
    return store


def plain() -> Layout:
    return layout("entries alone", written(_store(), compactions=((2, 6), (8, 11))), sealed=True)


def classic() -> Layout:
    store = written(_store(), checkpoints=(5, 10), compactions=((1, 4), (11, 13)))
    return layout("classic checkpoints", store, sealed=True)


def v2() -> Layout:
    with pytest.MonkeyPatch.context() as patch:
        small_groups(patch)
        configuration = {"delta.checkpointPolicy": "v2"}
        store = written(_store(), checkpoints=(4, 8, 12), **configuration)
    return layout("V2 checkpoints with sidecars", store, sealed=True)


def cleaned() -> Layout:
    store = written(_store(), checkpoints=(5, 10))
    for version in range(10):
        store.delete(entry_path(version))
    old = f"_delta_log/{5:020}"
    store.delete_many([f"{old}.checkpoint.parquet", f"{old}.crc"])
    return layout("nothing before the checkpoint", store, sealed=True)


def small_groups(patch: pytest.MonkeyPatch) -> None:
    """Row groups of four files, and two of them in a sidecar."""
    patch.setattr(order, "ROWS_PER_GROUP", 4)
    patch.setattr(order, "HELD_ROWS", 16)
    patch.setattr(checkpoint_file_rows, "ROWS_PER_GROUP", 4)
    patch.setattr(checkpoint_v2, "ROWS_PER_GROUP", 4)
    patch.setattr(checkpoint_v2, "GROUPS_PER_SIDECAR", 2)


# --- of other engines ----------------------------------------------------------------------------


def of_deltalake(path: Any) -> Layout:
    """A table of deltalake's, with a checkpoint."""
    options = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
    for number in range(6):
        rows = pa.table({"x": pa.array([number, number + 1]), "p": ["a", "b"]})
        write_deltalake(
            path,
            rows,
            mode="append",
            partition_by=["p"],
            post_commithook_properties=options,
            commit_properties=CommitProperties(custom_metadata={"n": str(number)}),
        )
    DeltaTable(path).delete("x = 1")
    DeltaTable(path).create_checkpoint()
    write_deltalake(path, pa.table({"x": [9], "p": ["a"]}), mode="append")
    return layout("of deltalake", open_store(path), sealed=False)


def _state(store: ObjectStore, version: int) -> tuple[Snapshot, pa.Table, AddColumns]:
    snapshot = load(store, version=version)
    return snapshot, snapshot.files(), AddColumns()


def multi_part() -> Layout:
    """A checkpoint in three parts, without seals."""
    store = written(_store(), sealed=False)
    snapshot, files, columns = _state(store, 10)
    names = schema(V1, columns)
    head = rows_of(
        head_actions(snapshot.protocol, snapshot.metadata, snapshot.transactions, snapshot.domains),
        names,
    )
    third = -(-files.num_rows // 2)
    dead = file_rows("remove", snapshot.tombstones(), names)
    first, second = (file_rows("add", files.slice(n, third), names) for n in (0, third))
    tables = [head, first, pa.concat_tables([second, dead])]
    for number, table in enumerate(tables, start=1):
        put_parquet(store, f"{10:020}.checkpoint.{number:010}.{3:010}.parquet", table)
    store.put(HINT_PATH, b'{"version":10,"size":%d,"parts":3}' % (files.num_rows + 5))
    return layout("a checkpoint in parts, not sealed", store, sealed=False)


def v2_json() -> Layout:
    """A V2 checkpoint with a top-level file in JSON, and sidecars without seals."""
    store = written(_store(), sealed=False)
    write_v2_json(store, 10)
    return layout("a V2 checkpoint in JSON, not sealed", store, sealed=False)


def write_v2_json(store: ObjectStore, version: int) -> None:
    """Write a V2 checkpoint as Spark does with a top-level file in JSON."""
    snapshot, files, columns = _state(store, version)
    names = schema(SIDECAR, columns)
    lines = [
        {"checkpointMetadata": {"version": version}},
        *(
            msgspec.json.decode(line)
            for line in encode(
                [
                    snapshot.protocol,
                    snapshot.metadata,
                    *snapshot.transactions,
                    *snapshot.domains,
                ]
            ).splitlines()
        ),
    ]
    half = -(-files.num_rows // 2)
    tables = [file_rows("add", files.slice(start, half), names) for start in (0, half)]
    tables.append(file_rows("remove", snapshot.tombstones(), names))
    for number, table in enumerate(tables):
        name = f"0000000{number}-aaaa-bbbb-cccc-{version:012}.parquet"
        size = put_parquet(store, f"_sidecars/{name}", table)
        sidecar = {"path": name, "sizeInBytes": size, "modificationTime": _MS}
        lines.append({"sidecar": sidecar})
    top = f"_delta_log/{version:020}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"
    store.put(top, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def put_parquet(store: ObjectStore, name: str, table: pa.Table) -> int:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    data = sink.getvalue().to_pybytes()
    store.put(f"_delta_log/{name}", data)
    return len(data)


def own() -> Iterator[Layout]:
    """The layouts that this library writes."""
    yield plain()
    yield classic()
    yield v2()
    yield cleaned()
