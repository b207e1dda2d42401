"""The modelled S3 answers real clients as S3 does, and fails requests as it is told."""

from contextlib import closing

import boto3
import obstore
import pyarrow as pa
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from deltalake import DeltaTable, write_deltalake
from obstore.exceptions import AlreadyExistsError, GenericError
from obstore.store import S3Store

from benchmarks.modelled_s3 import start_modelled_s3


@pytest.fixture
def client(modelled_s3):
    options = {
        "endpoint_url": modelled_s3.endpoint_url,
        "aws_access_key_id": modelled_s3.key,
        "aws_secret_access_key": modelled_s3.secret,
        "region_name": modelled_s3.region,
    }
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    with closing(boto3.client("s3", config=config, **options)) as client:
        yield client


@pytest.fixture
def bucket(modelled_s3):
    return modelled_s3.new_bucket()


@pytest.fixture
def store(modelled_s3, bucket):
    return S3Store(
        bucket,
        endpoint=modelled_s3.endpoint_url,
        access_key_id=modelled_s3.key,
        secret_access_key=modelled_s3.secret,
        region=modelled_s3.region,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return caught.value.response["Error"]["Code"]


def test_put_get_head_delete_round_trip_with_metadata(client, bucket):
    body = b"x" * 100_000
    written = client.put_object(Bucket=bucket, Key="a b/ü", Body=body, Metadata={"id": "7"})
    read = client.get_object(Bucket=bucket, Key="a b/ü")
    assert read["Body"].read() == body
    head = client.head_object(Bucket=bucket, Key="a b/ü")
    assert (head["ContentLength"], head["Metadata"]) == (len(body), {"id": "7"})
    assert head["ETag"] == read["ETag"] == written["ETag"]
    client.delete_object(Bucket=bucket, Key="a b/ü")
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket=bucket, Key="a b/ü")


def test_put_if_absent_is_refused_when_the_key_exists(client, bucket):
    client.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert code_of(caught) == "PreconditionFailed"


def test_put_if_match_takes_only_the_current_etag(client, bucket):
    first = client.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    client.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch=first)
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=first)
    assert code_of(caught) == "PreconditionFailed"
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=bucket, Key="missing", Body=b"3", IfMatch=first)
    assert code_of(caught) == "NoSuchKey"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=8-99", b"89")],
)
def test_ranges_give_the_asked_bytes(client, bucket, asked, expected):
    client.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    assert client.get_object(Bucket=bucket, Key="k", Range=asked)["Body"].read() == expected


def test_get_if_none_match_answers_304_for_the_same_etag(client, bucket):
    etag = client.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    with pytest.raises(ClientError, match="304"):
        client.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)


def test_listing_pages_through_keys_and_common_prefixes(client, bucket):
    for key in ("a", "d/1", "d/2", "e/1", "f"):
        client.put_object(Bucket=bucket, Key=key, Body=b"")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    found = [
        entry.get("Key", entry.get("Prefix"))
        for page in pages
        for entry in page.get("Contents", []) + page.get("CommonPrefixes", [])
    ]
    assert found == ["a", "d/", "e/", "f"]
    after = client.list_objects_v2(Bucket=bucket, Prefix="d/", StartAfter="d/1")
    assert [entry["Key"] for entry in after["Contents"]] == ["d/2"]


def test_multipart_upload_is_invisible_until_completed(client, bucket):
    upload = client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    target = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    etags = [
        client.upload_part(**target, PartNumber=number, Body=body)["ETag"]
        for number, body in ((1, b"one"), (2, b"two"))
    ]
    assert len(client.list_parts(**target)["Parts"]) == 2
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"onetwo"


def test_aborted_multipart_upload_leaves_nothing(client, bucket):
    upload = client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    client.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


def test_copy_and_batched_delete(client, bucket):
    client.put_object(Bucket=bucket, Key="a", Body=b"1")
    client.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a")
    assert client.get_object(Bucket=bucket, Key="b")["Body"].read() == b"1"
    client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "gone"}]})
    assert [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["b"]


def test_what_is_not_modelled_says_so(client, bucket):
    with pytest.raises(ClientError) as caught:
        client.get_bucket_versioning(Bucket=bucket)
    assert code_of(caught) == "NotImplemented"


@pytest.mark.parametrize(("kind", "landed"), [("lost_before", False), ("lost_after", True)])
def test_lost_reply_cuts_the_connection_before_or_after_landing(
    modelled_s3, client, bucket, kind, landed
):
    modelled_s3.inject({"kind": kind, "method": "PUT", "match": "key"})
    with pytest.raises(ConnectionClosedError):
        client.put_object(Bucket=bucket, Key="key", Body=b"1")
    assert ("Contents" in client.list_objects_v2(Bucket=bucket)) is landed
    client.put_object(Bucket=bucket, Key="key", Body=b"2")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("409", "ConditionalRequestConflict"),
        ("500", "InternalError"),
        ("500_after", "InternalError"),
        ("503", "SlowDown"),
    ],
)
def test_scripted_status_is_answered_once(modelled_s3, client, bucket, kind, code):
    modelled_s3.inject({"kind": kind, "method": "PUT"})
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=bucket, Key="key", Body=b"1")
    assert code_of(caught) == code
    landed = "Contents" in client.list_objects_v2(Bucket=bucket)
    assert landed is kind.endswith("_after")
    client.put_object(Bucket=bucket, Key="key", Body=b"2")
    assert modelled_s3.stats()["faults"] == {kind: 1}


def test_scripted_fault_can_skip_requests_and_hit_several(modelled_s3, store):
    modelled_s3.inject({"kind": "503", "method": "PUT", "skip": 1, "times": 2})
    answers = []
    for number in range(4):
        try:
            obstore.put(store, str(number), b"")
            answers.append("written")
        except GenericError:
            answers.append("failed")
    assert answers == ["written", "failed", "failed", "written"]


def test_scripted_list_fault_hits_listings_alone(modelled_s3, store):
    modelled_s3.inject({"kind": "500", "method": "LIST", "match": "_delta_log"})
    obstore.put(store, "_delta_log/0", b"")
    assert obstore.get(store, "_delta_log/0").bytes() == b""
    with pytest.raises(GenericError):
        obstore.list_with_delimiter(store, "_delta_log")


def test_fault_of_an_unknown_kind_is_refused(modelled_s3):
    with pytest.raises(RuntimeError, match="unknown kind of fault: 'lost'"):
        modelled_s3.inject({"kind": "lost"})


def test_random_faults_come_from_the_seed(tmp_path):
    def trace() -> list[int]:
        with start_modelled_s3(fault_409=0.5, fault_on="put", seed=3) as server:
            bucket = server.new_bucket()
            store = server.bucket_store(bucket)
            for number in range(20):
                try:
                    obstore.put(store, str(number), b"", mode="create")
                except AlreadyExistsError:
                    continue
            return [status for name, _, status in server.requests() if name == "PutObject"]

    first = trace()
    assert {200, 409} == set(first)
    assert trace() == first


def test_rates_can_be_set_while_it_runs_and_409_hits_writes_alone():
    with start_modelled_s3() as server:
        store = server.bucket_store(server.new_bucket())
        obstore.put(store, "key", b"1")
        server.set_rates({"409": 1.0})
        with pytest.raises(AlreadyExistsError):
            obstore.put(store, "other", b"2", mode="create")
        assert obstore.get(store, "key").bytes() == b"1"
        server.set_rates({})
        obstore.put(store, "other", b"2", mode="create")
        with pytest.raises(RuntimeError, match="unknown kinds of random faults"):
            server.set_rates({"lost_before": 1.0})


def test_stats_tell_what_requests_are_about(modelled_s3, client, bucket):
    for key in ("t/_atomic_manifest/intents/1", "t/_versions/1.manifest", "t/_transactions/1.txn"):
        client.put_object(Bucket=bucket, Key=key, Body=b"")
    intents = {"Objects": [{"Key": "t/_atomic_manifest/intents/1"}]}
    client.delete_objects(Bucket=bucket, Delete=intents)
    stats = modelled_s3.stats()
    assert stats["requests"]["PutObject"] == {"intents": 1, "log": 1, "transactions": 1}
    assert stats["requests"]["DeleteObjects"] == {"intents": 1}
    assert stats["cpu_seconds"] > 0


def test_stats_tell_log_from_data_and_reset_forgets(modelled_s3, store):
    obstore.put(store, "part.parquet", b"12")
    obstore.put(store, "_delta_log/0.json", b"3", mode="create")
    stats = modelled_s3.stats()
    assert stats["requests"]["PutObject"] == {"data": 1, "log": 1}
    assert stats["statuses"]["PutObject 200"] == 2
    assert stats["bytes_in"] == 3
    modelled_s3.reset(keep_objects=True)
    assert modelled_s3.stats()["requests"] == {}
    assert obstore.head(store, "part.parquet")["size"] == 2


def test_deltalake_writes_and_reads_a_table(modelled_s3, bucket):
    options = modelled_s3.deltalake_options
    url = f"s3://{bucket}/table"
    for number in range(3):
        rows = pa.table({"x": pa.array([number], pa.int64())})
        write_deltalake(url, rows, mode="append", storage_options=options)
    assert DeltaTable(url, storage_options=options).version() == 2
