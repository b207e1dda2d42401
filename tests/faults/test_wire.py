"""Faults on the wire: an S3 service cuts connections and answers errors, before and after it acts.

What the driver for S3 makes of an answer, and the commit of that, is tried together: every request of an
append fails once, in every way. The service's own record says what was sent.
"""

import itertools

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.testing import FakeEnv

KINDS = [
    "lost_before",
    "lost_after",
    "500",
    "500_after",
    "503",
    "503_after",
    "408_after",
    "409",
    "429",
]

pytestmark = pytest.mark.faults


def ids(table: am.Table) -> list[int]:
    return sorted(table.to_arrow()["id"].to_pylist())


def rows(*numbers: int) -> pa.Table:
    return pa.table({"id": pa.array(numbers, pa.int64())})


@pytest.mark.parametrize("stale", [False, True], ids=["fast path", "rebase"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_any_request_of_an_append_loses_and_duplicates_nothing(modelled_s3, kind, stale):
    options = modelled_s3.storage_options
    for skip in itertools.count():
        url = f"s3://{modelled_s3.new_bucket()}/t"
        am.append(url, rows(0), storage_options=options)
        table = am.Table.open(url, storage_options=options, env=FakeEnv())
        if stale:
            am.append(url, rows(1), storage_options=options)
        modelled_s3.reset(keep_objects=True)
        # A read is never answered 409.
        method = "PUT" if kind == "409" else ""
        modelled_s3.inject({"kind": kind, "method": method, "skip": skip})
        result = table.append(rows(2))
        was_hit = bool(modelled_s3.stats()["faults"])
        modelled_s3.reset(keep_objects=True)
        expected = [0, 1, 2] if stale else [0, 2]
        after = am.Table.open(url, storage_options=options)
        assert ids(after) == expected, f"{kind} at request {skip}"
        assert after.version == result.version == len(expected) - 1
        assert after.resolve(result.commit_id).version == result.version
        if not was_hit:
            break
    assert skip >= 2


def test_an_append_from_an_open_handle_is_two_requests_on_the_wire(modelled_s3):
    url = f"s3://{modelled_s3.new_bucket()}/t"
    am.append(url, rows(0), storage_options=modelled_s3.storage_options)
    table = am.Table.open(url, storage_options=modelled_s3.storage_options, env=FakeEnv())
    modelled_s3.reset(keep_objects=True)
    table.append(rows(1))
    (data, key, status), (entry, entry_key, entry_status) = modelled_s3.requests()
    assert (data, status, entry, entry_status) == ("PutObject", 200, "PutObject", 200)
    assert key.endswith(".parquet")
    assert entry_key.endswith(f"_delta_log/{1:020}.json")


def test_a_service_that_refuses_everything_is_told_as_denied_and_nothing_is_left(modelled_s3):
    url = f"s3://{modelled_s3.new_bucket()}/t"
    options = modelled_s3.storage_options
    am.append(url, rows(0), storage_options=options)
    table = am.Table.open(url, storage_options=options)
    modelled_s3.inject({"kind": "403", "method": "PUT", "match": "_delta_log"})
    with pytest.raises(PermissionError, match="00001.json") as caught:
        table.append(rows(1))
    assert options["secret"] not in str(caught.value)
    keys = [meta.path for meta in am.store.open_store(url, options).list()]
    assert sum(key.endswith(".parquet") for key in keys) == 1


def test_a_large_append_is_uploaded_in_parts_of_the_asked_size(modelled_s3):
    url = f"s3://{modelled_s3.new_bucket()}/t"
    options = modelled_s3.storage_options
    data = pa.table({"id": pa.array(range(2_000_000), pa.int64())})
    am.append(url, data.slice(0, 1), storage_options=options)
    table = am.Table.open(url, storage_options=options, env=FakeEnv())
    modelled_s3.reset(keep_objects=True)
    written = am.WriteOptions(
        part_size=5 << 20, parquet={"use_dictionary": False}, compression="none"
    )
    table.append(data, options=written)
    first, *parts, complete, entry = [operation for operation, _, _ in modelled_s3.requests()]
    assert (first, complete, entry) == (
        "CreateMultipartUpload",
        "CompleteMultipartUpload",
        "PutObject",
    )
    assert parts == ["UploadPart"] * 4
    assert table.to_dataset().count_rows() == 2_000_001
