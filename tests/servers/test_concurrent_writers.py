"""Eight processes append to one table; what was acknowledged is in the log, once."""

import multiprocessing
from collections import Counter

import pyarrow as pa

import atomic_manifest as am

WRITERS, COMMITS = 8, 25
SCHEMA = pa.schema([("writer", pa.int64()), ("number", pa.int64())])


def append_many(url: str, options: dict, writer: int) -> list[tuple[int, str]]:
    table = am.Table.open(url, storage_options=options)
    acknowledged = []
    for number in range(COMMITS):
        row = pa.table({"writer": [writer], "number": [number]}, schema=SCHEMA)
        result = table.append(row)
        acknowledged.append((result.version, result.commit_id))
    return acknowledged


def check_writers(url: str, options: dict) -> None:
    am.Table.create(url, SCHEMA, storage_options=options)
    with multiprocessing.get_context("spawn").Pool(WRITERS) as pool:
        per_writer = pool.starmap(append_many, [(url, options, n) for n in range(WRITERS)])
    acknowledged = [result for results in per_writer for result in results]
    table = am.Table.open(url, storage_options=options)
    in_log = [
        (entry.version, record.id)
        for entry in table.history()
        for record in entry.commits
        if entry.operation == "WRITE"
    ]
    assert len(acknowledged) == WRITERS * COMMITS
    assert sorted(in_log) == sorted(acknowledged)
    assert {version for version, _ in in_log} == set(range(1, table.version + 1))
    rows = table.to_arrow()
    seen = Counter(zip(rows["writer"].to_pylist(), rows["number"].to_pylist(), strict=True))
    assert seen == Counter((w, n) for w in range(WRITERS) for n in range(COMMITS))


def test_eight_writer_processes_on_local_files(tmp_path):
    check_writers(str(tmp_path / "t"), {})


def test_eight_writer_processes_on_a_real_s3_server(s3_server):
    check_writers(f"s3://{s3_server.new_bucket()}/t", s3_server.storage_options)
