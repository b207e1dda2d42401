"""Tables that delta-rs wrote: read, appended to, and written by both at once."""

import multiprocessing

import deltalake
import pyarrow as pa
import pytest

import atomic_manifest as am
from tests.interop.conftest import sorted_rows

pytestmark = pytest.mark.interop

DATA = pa.table({"id": pa.array(range(10), pa.int64()), "part": ["a", "b"] * 5})


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("partition_by", [None, ["part"]])
def test_their_table_is_read_and_appended_to(tmp_path, checkpoint, partition_by):
    path = str(tmp_path / "t")
    for _ in range(3):
        deltalake.write_deltalake(path, DATA, mode="append", partition_by=partition_by)
    if checkpoint:
        deltalake.DeltaTable(path).create_checkpoint()
    table = am.Table.open(path)
    assert table.version == 2
    table.append(DATA)
    expected = sorted_rows(pa.concat_tables([DATA] * 4))
    assert sorted_rows(table.to_arrow()) == expected
    assert sorted_rows(pa.table(deltalake.DeltaTable(path).to_pyarrow_table())) == expected


def test_their_overwrites_and_deletes_are_seen(tmp_path):
    path = str(tmp_path / "t")
    deltalake.write_deltalake(path, DATA)
    deltalake.DeltaTable(path).delete("id < 5")
    assert am.Table.open(path).to_arrow()["id"].to_pylist() == [5, 6, 7, 8, 9]
    deltalake.write_deltalake(path, DATA.slice(0, 1), mode="overwrite")
    assert am.Table.open(path).to_arrow()["id"].to_pylist() == [0]


def test_our_overwrite_is_seen_by_them(tmp_path):
    path = str(tmp_path / "t")
    deltalake.write_deltalake(path, DATA, partition_by=["part"])
    am.Table.open(path).overwrite(DATA.slice(0, 2))
    assert sorted_rows(pa.table(deltalake.DeltaTable(path).to_pyarrow_table())) == sorted_rows(
        DATA.slice(0, 2)
    )


def test_our_txn_is_seen_by_them_and_theirs_by_us(tmp_path):
    path = str(tmp_path / "t")
    properties = deltalake.CommitProperties(app_transactions=[deltalake.Transaction("theirs", 5)])
    deltalake.write_deltalake(path, DATA, commit_properties=properties)
    table = am.Table.open(path)
    assert table.append(DATA, txn=("theirs", 5)).already_committed
    table.append(DATA, txn=("ours", 9))
    assert deltalake.DeltaTable(path).transaction_version("ours") == 9


def _append_ours(path: str, start: int, options: dict) -> None:
    table = am.Table.open(path, storage_options=options)
    for number in range(start, start + 10):
        table.append(pa.table({"id": pa.array([number], pa.int64()), "part": ["ours"]}))


def _append_theirs(path: str, start: int, options: dict) -> None:
    for number in range(start, start + 10):
        data = pa.table({"id": pa.array([number], pa.int64()), "part": ["theirs"]})
        deltalake.write_deltalake(path, data, mode="append", storage_options=options)


def _mixed_writers(path: str, ours: dict, theirs: dict) -> None:
    am.Table.create(path, DATA.schema, storage_options=ours)
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=target, args=(path, 100 * number, options))
        for number, (target, options) in enumerate(
            [(_append_ours, ours), (_append_theirs, theirs)] * 2
        )
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    table = am.Table.open(path, storage_options=ours)
    expected = [100 * writer + number for writer in range(4) for number in range(10)]
    assert table.version <= len(expected)
    assert sorted(table.to_arrow()["id"].to_pylist()) == expected
    read = deltalake.DeltaTable(path, storage_options=theirs).to_pyarrow_table()
    assert sorted(pa.table(read)["id"].to_pylist()) == expected
    paths = table.files()["path"].to_pylist()
    assert len(paths) == len(set(paths)) == len(expected)


def test_writers_of_both_kinds_at_once_lose_and_duplicate_nothing_locally(tmp_path):
    _mixed_writers(str(tmp_path / "t"), {}, {})


@pytest.mark.parametrize("server", ["ministack", "seaweedfs"])
def test_writers_of_both_kinds_at_once_lose_and_duplicate_nothing_on_s3(server, request):
    s3 = request.getfixturevalue(server)
    url = f"s3://{s3.new_bucket()}/t"
    _mixed_writers(url, s3.storage_options, s3.deltalake_options)
