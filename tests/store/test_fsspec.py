"""Filesystem objects of fsspec: the suite on real servers, one attempt each, and what others may do."""

import asyncio
import time
from collections.abc import Iterator

import fsspec
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
import s3fs

import atomic_manifest as am
from atomic_manifest.errors import (
    InvalidPath,
    NotFound,
    NotModified,
    StoreError,
    StorePermissionDenied,
    StoreUnavailable,
    UnsupportedByStore,
)
from atomic_manifest.store import open_store
from atomic_manifest.store.conditions import ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    Deleted,
    NeverSent,
    Refused,
    Unanswered,
    Written,
)
from atomic_manifest.store.filesystem.driver import FsspecDriver, open_filesystem
from atomic_manifest.store.filesystem.plain import PlainFilesystemDriver
from atomic_manifest.store.local import LocalDriver
from tests.servers.start_cloud import ACCOUNT, ACCOUNT_KEY
from tests.store import test_conformance as suite
from tests.store.blocking_driver import BlockingDriver, event_loop
from tests.store.scripted import Answer

SIZED = Answer(headers={"Content-Length": "1"})


def s3(endpoint, **options):
    return s3fs.S3FileSystem(
        key="testing-key",
        secret="testing-secret",
        endpoint_url=endpoint,
        client_kwargs={"region_name": "us-east-1"},
        skip_instance_cache=True,
        **options,
    )


def gcs(endpoint, **options):
    gcsfs = pytest.importorskip("gcsfs")
    return gcsfs.GCSFileSystem(
        token="anon", endpoint_url=endpoint, project="p", skip_instance_cache=True, **options
    )


def azure(endpoint, **options):
    parts = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": ACCOUNT,
        "AccountKey": ACCOUNT_KEY,
        "BlobEndpoint": endpoint,
    }
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    adlfs = pytest.importorskip("adlfs")
    return adlfs.AzureBlobFileSystem(connection_string=text, skip_instance_cache=True, **options)


# --- the suite ---


class TestS3fs(suite.Ministack):
    @pytest.fixture
    def driver(self, ministack):
        return FsspecDriver(
            s3(ministack.endpoint_url), f"s3://{ministack.new_bucket()}/some/folder"
        )


class TestS3fsAsynchronously(suite.Ministack):
    @pytest.fixture
    def driver(self, ministack):
        fs = s3(ministack.endpoint_url, asynchronous=True)
        driver = FsspecDriver(fs, f"{ministack.new_bucket()}/some/folder")
        with event_loop() as loop:
            yield BlockingDriver(driver.as_async(), loop)


class TestS3fsOnSeaweedfs(suite.Seaweedfs):
    @pytest.fixture
    def driver(self, seaweedfs, seaweedfs_bucket):
        return FsspecDriver(
            s3(seaweedfs.endpoint_url), f"{seaweedfs_bucket}/fsspec/{time.monotonic_ns()}"
        )


class TestS3fsOnMoto(suite.Moto):
    @pytest.fixture
    def driver(self, moto):
        return FsspecDriver(s3(moto.endpoint_url), f"{moto.new_bucket()}/some/folder")


class TestGcsfs(suite.Gcs):
    @pytest.fixture
    def driver(self, fake_gcs):
        return FsspecDriver(gcs(fake_gcs.endpoint_url), f"gs://{fake_gcs.new_bucket()}/some/folder")


class TestGcsfsAsynchronously(suite.Gcs):
    @pytest.fixture
    def driver(self, fake_gcs):
        driver = FsspecDriver(gcs(fake_gcs.endpoint_url), f"{fake_gcs.new_bucket()}/some/folder")
        with event_loop() as loop:
            yield BlockingDriver(driver.as_async(), loop)


class TestAdlfs(suite.Azure):
    @pytest.fixture
    def driver(self, azurite):
        return FsspecDriver(azure(azurite.endpoint_url), f"az://{azurite.new_bucket()}/some/folder")


class TestAdlfsAsynchronously(suite.Azure):
    @pytest.fixture
    def driver(self, azurite):
        driver = FsspecDriver(azure(azurite.endpoint_url), f"{azurite.new_bucket()}/some/folder")
        with event_loop() as loop:
            yield BlockingDriver(driver.as_async(), loop)


@pytest.mark.slow
class TestS3fsAtLength(TestS3fs):
    rounds = 50


@pytest.mark.slow
class TestS3fsAsynchronouslyAtLength(TestS3fsAsynchronously):
    rounds = 50


@pytest.mark.slow
class TestGcsfsAtLength(TestGcsfs):
    rounds = 50


@pytest.mark.slow
class TestAdlfsAtLength(TestAdlfs):
    rounds = 50


seaweedfs_bucket = suite.seaweedfs_bucket


# --- one call, one request ---


@pytest.fixture(params=[s3, gcs, azure])
def scripted_driver(request, scripted):
    return FsspecDriver(request.param(scripted.url), "bucket/root")


def keep_a_connection(driver, scripted):
    """So that there is one to be reset, which is when aiohttp would send again."""
    scripted.script(SIZED)
    driver.head("k")
    scripted.requests.clear()


def methods(scripted):
    return [seen.method for seen in scripted.requests]


@pytest.mark.parametrize("answer", [500, 503, Answer(drop=True)])
def test_a_put_is_sent_once_whatever_happens(scripted_driver, scripted, answer):
    keep_a_connection(scripted_driver, scripted)
    scripted.script(answer)
    outcome = scripted_driver.put("k", b"x", when=IfAbsent())
    assert isinstance(outcome, Unanswered), outcome
    assert isinstance(outcome.cause, StoreUnavailable)
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("answer", [500, Answer(drop=True)])
def test_a_deletion_is_sent_once_whatever_happens(scripted_driver, scripted, answer):
    keep_a_connection(scripted_driver, scripted)
    scripted.script(answer)
    assert isinstance(scripted_driver.delete("k", when=IfMatch("7")), Unanswered)
    assert methods(scripted) == ["DELETE"]


@pytest.mark.parametrize("answer", [500, Answer(drop=True)])
def test_a_read_is_sent_once_whatever_happens(scripted_driver, scripted, answer):
    scripted.script(answer)
    with pytest.raises(StoreUnavailable) as raised:
        scripted_driver.get("k")
    assert raised.value.path == "k"
    assert raised.value.__cause__ is None
    assert len(scripted.requests) == 1


@pytest.mark.parametrize("answer", [500, Answer(drop=True)])
def test_a_copy_is_sent_once_whatever_happens(scripted, answer):
    driver = FsspecDriver(s3(scripted.url), "bucket/root")
    scripted.script(SIZED, answer)
    assert isinstance(driver.copy("s", "k", when=IfAbsent()), Unanswered)
    assert methods(scripted) == ["HEAD", "PUT"]


def test_conflicts_throttling_and_refusals_of_s3_are_told_apart(scripted):
    driver = FsspecDriver(s3(scripted.url), "bucket/root")
    code = b"<Error><Code>ConditionalRequestConflict</Code></Error>"
    scripted.script(
        Answer(409, code), 429, 412, Answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
    )
    assert driver.put("k", b"", when=IfAbsent()) == Contended(ContendedCause.CONFLICT)
    assert driver.put("k", b"", when=IfAbsent()) == Contended(ContendedCause.THROTTLED)
    assert driver.put("k", b"", when=IfAbsent()) == Refused(ETag("0123"))
    assert driver.put("k", b"", when=IfMatch("1")) == Refused()
    scripted.script(Answer(404, b"<Error><Code>NoSuchBucket</Code></Error>"))
    with pytest.raises(StoreError, match="NoSuchBucket"):
        driver.put("k", b"", when=IfMatch("1"))
    assert len(scripted.requests) == 5


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, StoreError), (403, StorePermissionDenied), (501, UnsupportedByStore)],
)
def test_answers_that_no_retry_can_mend(scripted_driver, scripted, status, kind):
    scripted.script(status)
    with pytest.raises(kind) as raised:
        scripted_driver.put("k", b"x", when=IfAbsent())
    assert raised.value.path == "k"


def test_conditions_are_sent_to_each_service_in_its_own_words(scripted_driver, scripted):
    scripted_driver.put("k", b"x", when=IfAbsent())
    scripted_driver.put("k", b"x", when=IfMatch("7"))
    scripted_driver.put("k", b"x", when=IfMatch.ANY)
    assert len(scripted.requests) == 3
    told = [
        [seen.headers.get(name, "") for name in ("if-none-match", "if-match")]
        + [text for text in seen.path.split("&") if text.startswith("ifGen")]
        for seen in scripted.requests
    ]
    in_headers = [["*", ""], ["", '"7"'], ["", "*"]]
    in_query = [["", "", f"ifGeneration{rest}"] for rest in ("Match=0", "Match=7", "NotMatch=0")]
    assert told in (in_headers, in_query)


def test_weak_and_several_etags_are_not_sent(scripted_driver, scripted):
    weak = IfMatch(ETag("7", weak=True))
    assert scripted_driver.put("k", b"x", when=weak) == Refused()
    assert scripted_driver.delete("k", when=weak) == Refused()
    assert scripted_driver.copy("s", "k", source_when=weak) == Refused()
    with pytest.raises(UnsupportedByStore, match="only one ETag"):
        scripted_driver.put("k", b"x", when=IfMatch("7", "8"))
    assert scripted.requests == []


def test_bodies_are_sent_without_waiting_for_a_go_ahead(scripted):
    """aiohttp would wait for it without a time-out."""
    driver = FsspecDriver(s3(scripted.url), "bucket/root")
    driver.put("k", b"x", when=IfAbsent())
    assert scripted.requests[-1].body == b"x"
    assert "expect" not in scripted.requests[-1].headers


def test_settings_of_the_filesystem_go_along_and_stay_as_they_are(scripted):
    fs = s3(
        scripted.url,
        s3_additional_kwargs={"ServerSideEncryption": "AES256"},
        requester_pays=True,
        config_kwargs={"retries": {"max_attempts": 3}},
    )
    driver = FsspecDriver(fs, "bucket")
    driver.put("k", b"x")
    told = scripted.requests[-1].headers
    assert told["x-amz-server-side-encryption"] == "AES256"
    assert told["x-amz-request-payer"] == "requester"
    assert fs.config_kwargs == {"retries": {"max_attempts": 3}}
    scripted.script(SIZED)
    driver.head("k")
    assert "x-amz-server-side-encryption" not in scripted.requests[-1].headers


def test_conditions_under_a_customers_key_are_refused(scripted):
    extra = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "SECRET" * 5 + "12"}
    driver = FsspecDriver(s3(scripted.url, s3_additional_kwargs=extra), "bucket")
    with pytest.raises(UnsupportedByStore, match="customer's key") as raised:
        driver.put("k", b"x", when=IfAbsent())
    assert "SECRET" not in str(raised.value)
    assert scripted.requests == []


def test_missing_credentials_are_said_so():
    fs = s3fs.S3FileSystem(
        endpoint_url="http://127.0.0.1:9",
        config_kwargs={"connect_timeout": 1},
        session=_session_without_credentials(),
        skip_instance_cache=True,
    )
    with pytest.raises(StorePermissionDenied, match="no credentials"):
        FsspecDriver(fs, "bucket").put("k", b"x", when=IfAbsent())


def _session_without_credentials():
    from aiobotocore.credentials import AioCredentialResolver
    from aiobotocore.session import AioSession

    session = AioSession()
    session.register_component("credential_provider", AioCredentialResolver([]))
    return session


def test_service_that_is_not_there_is_unavailable():
    driver = FsspecDriver(s3("http://127.0.0.1:9"), "bucket")
    with pytest.raises(NeverSent):
        driver.put("k", b"x", when=IfAbsent())
    with pytest.raises(StoreUnavailable):
        list(driver.list())


def test_secrets_stay_out_of_messages_and_representations(scripted):
    driver = FsspecDriver(s3(scripted.url), "bucket/root")
    scripted.script(Answer(400, b"<Error><Code>Bad</Code><Message>SECRET</Message></Error>"))
    with pytest.raises(StoreError, match="Bad") as raised:
        driver.get("k")
    told = f"{raised.value!r} {driver!r} {driver.url} {driver.endpoint}"
    assert "SECRET" not in told
    assert "testing-secret" not in told
    assert driver.url == "s3://bucket/root"


def test_root_without_a_bucket_is_refused(scripted):
    with pytest.raises(InvalidPath):
        FsspecDriver(s3(scripted.url), "s3://")


def test_providers_own_services_are_known_and_others_are_not(scripted):
    assert FsspecDriver(s3(None), "b").capabilities.safe_for_tables
    assert FsspecDriver(gcs(None), "b").capabilities.safe_for_tables
    adlfs = pytest.importorskip("adlfs")
    assert FsspecDriver(
        adlfs.AzureBlobFileSystem(account_name="a", anon=True, skip_instance_cache=True), "b"
    ).capabilities.safe_for_tables
    other = FsspecDriver(s3(scripted.url), "b")
    assert other.capabilities is None
    assert other.endpoint == scripted.url


# --- on a real server ---


def test_listing_is_not_that_of_the_filesystems_cache(ministack):
    fs, bucket = s3(ministack.endpoint_url), ministack.new_bucket()
    driver = FsspecDriver(fs, f"{bucket}/f")
    driver.put("a", b"1")
    assert len(fs.ls(f"{bucket}/f")) == 1
    with s3_writer(ministack) as client:
        client.put_object(Bucket=bucket, Key="f/b", Body=b"2")
        client.put_object(Bucket=bucket, Key="f/folder/", Body=b"")
    assert [meta.path for meta in driver.list()] == ["a", "b"]


def s3_writer(server):
    from contextlib import closing

    return closing(server.client())


def test_listing_goes_over_pages(ministack):
    driver = FsspecDriver(s3(ministack.endpoint_url), ministack.new_bucket())
    names = [f"{number:04}" for number in range(1001)]
    for name in names:
        driver.put(name, b"")
    assert [meta.path for meta in driver.list()] == names
    assert [meta.path for meta in driver.list(start_after="0999")] == ["1000"]
    driver.delete_many(names)
    assert list(driver.list()) == []


def test_filesystem_of_another_event_loop_can_be_given(ministack):
    bucket = ministack.new_bucket()

    async def use():
        fs = s3(ministack.endpoint_url, asynchronous=True)
        driver = FsspecDriver(fs, bucket).as_async()
        return await driver.put("k", b"x", when=IfAbsent())

    assert isinstance(asyncio.run(use()), Written)


def test_a_table_lives_on_a_filesystem(ministack):
    fs = s3(ministack.endpoint_url)
    place, schema = f"{ministack.new_bucket()}/t", pa.schema([("x", pa.int64())])
    table = am.Table.create(place, schema, filesystem=fs)
    table.append(pa.table({"x": [1, 2]}))
    am.append(f"s3://{place}", pa.table({"x": [3]}), filesystem=fs)
    am.write_dataset(
        pa.table({"x": [4]}), place, filesystem=fs, existing_data_behavior="overwrite_or_ignore"
    )
    assert am.Table.exists(place, filesystem=fs)
    found = am.Table.open(place, filesystem=fs)
    assert sorted(found.to_arrow()["x"].to_pylist()) == [1, 2, 3, 4]


# --- other filesystems ---


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    fs = fsspec.filesystem("memory", skip_instance_cache=True)
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


@pytest.fixture
def plain(memory):
    return open_filesystem(memory, "memory://root")


def test_any_filesystem_reads_and_writes_without_conditions(plain):
    assert isinstance(plain, PlainFilesystemDriver)
    for path in ("a/b", "a-b", "a0", "z/1"):
        assert plain.put(path, path.encode()).meta.size == len(path)
    assert [meta.path for meta in plain.list()] == ["a-b", "a/b", "a0", "z/1"]
    assert [meta.path for meta in plain.list("a")] == ["a/b"]
    assert [meta.path for meta in plain.list(start_after="a-b")] == ["a/b", "a0", "z/1"]
    assert list(plain.list("nothing")) == []
    assert plain.get("a/b", range=(1, 2)).data == b"/"
    assert plain.get("a/b", range=(1, 20)).data == b"/b"
    assert plain.head("a/b") == plain.get("a/b").meta
    assert plain.head("a/b").last_modified.tzinfo is not None
    for missing in ("nothing", "a", "nothing/at/all"):
        with pytest.raises(NotFound):
            plain.get(missing)
    with pytest.raises(StoreError, match="no byte at 3"):
        plain.get("a/b", range=(3, 4))
    assert plain.copy("a/b", "new/c").meta.size == 3
    with pytest.raises(NotFound):
        plain.copy("nothing", "new/d")
    upload = plain.start_upload("up/big", part_size=10, max_in_flight=1)
    upload.write(b"x" * 25)
    assert [meta.path for meta in plain.list("up")] == []
    assert upload.finish().meta.size == 25
    assert plain.get("up/big").data == b"x" * 25
    aborted = plain.start_upload("up/none", part_size=10, max_in_flight=1)
    aborted.write(b"x")
    aborted.abort()
    assert [meta.path for meta in plain.list("up")] == ["up/big"]
    assert plain.delete("a") == Deleted()
    plain.delete_many(["a-b", "a/b", "a0", "z/1", "new/c", "up/big", "nothing"])
    assert list(plain.list()) == []


def test_conditions_on_any_filesystem_are_refused_by_name(plain):
    plain.put("k", b"1")
    asked = [
        lambda: plain.put("k", b"2", when=IfAbsent()),
        lambda: plain.put("new", b"2", when=IfAbsent()),
        lambda: plain.put("k", b"2", when=IfMatch("x")),
        lambda: plain.start_upload("k", part_size=1, max_in_flight=1, when=IfAbsent()),
        lambda: plain.copy("k", "c", when=IfAbsent()),
        lambda: plain.copy("k", "c", source_when=IfMatch("x")),
        lambda: plain.delete("k", when=IfMatch("x")),
    ]
    for ask in asked:
        with pytest.raises(UnsupportedByStore, match=r"MemoryFileSystem.*use a memory:// URL"):
            ask()
    assert [meta.path for meta in plain.list()] == ["k"]
    assert plain.get("k").data == b"1"


def test_a_table_is_not_created_on_any_filesystem(memory):
    with pytest.raises(UnsupportedByStore, match="looks first and writes after"):
        am.Table.create("root/t", pa.schema([("x", pa.int64())]), filesystem=memory)
    assert memory.find("root") == []


class _Failing(fsspec.AbstractFileSystem):
    protocol = "failing"
    error: Exception = OSError("SECRET")

    def _fail(self, *_args, **_options):
        raise self.error

    info = cat_file = pipe_file = rm_file = cp_file = find = _fail


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PermissionError("SECRET"), StorePermissionDenied),
        (ConnectionResetError("SECRET"), StoreUnavailable),
        (TimeoutError("SECRET"), StoreUnavailable),
        (NotImplementedError("SECRET"), UnsupportedByStore),
        (OSError("SECRET"), StoreError),
        (ValueError("SECRET"), StoreError),
    ],
)
def test_errors_of_any_filesystem_become_ours_without_their_texts(error, kind):
    fs = _Failing(skip_instance_cache=True)
    fs.error = error
    driver = open_filesystem(fs, "root")
    if kind is StoreUnavailable:
        assert isinstance(driver.put("k", b"x").cause, kind)
    else:
        with pytest.raises(kind):
            driver.put("k", b"x")
    for read in (lambda: driver.get("k"), lambda: list(driver.list()), lambda: driver.head("k")):
        with pytest.raises(kind) as raised:
            read()
        assert "SECRET" not in str(raised.value)


def test_etags_that_a_filesystem_tells_are_used_for_reading(memory):
    class Telling(type(memory)):
        cachable = False

        def info(self, path, **options):
            return {**super().info(path, **options), "ETag": '"7"', "modified": "unreadable"}

    driver = open_filesystem(Telling(), "root")
    driver.put("k", b"x")
    assert driver.head("k").etag == ETag("7")
    assert driver.head("k").last_modified is None
    with pytest.raises(NotModified):
        driver.get("k", if_none_match=ETag("7"))
    with pytest.raises(UnsupportedByStore, match="versions"):
        driver.delete("k", version="1")


# --- which filesystem is what ---


def test_local_filesystems_are_the_local_driver(tmp_path):
    files = fsspec.filesystem("file")
    wrapped = pafs.PyFileSystem(pafs.FSSpecHandler(files))
    below = fsspec.filesystem("dir", path=str(tmp_path), fs=files)
    subtree = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    for fs, root in [
        (files, str(tmp_path / "x")),
        (files, (tmp_path / "x").as_uri()),
        (pafs.LocalFileSystem(), str(tmp_path / "x")),
        (wrapped, str(tmp_path / "x")),
        (below, "x"),
        (subtree, "x"),
    ]:
        driver = open_filesystem(fs, root)
        assert isinstance(driver, LocalDriver)
        assert driver.url == (tmp_path / "x").as_uri()
    assert open_store("x", filesystem=below).url == (tmp_path / "x").as_uri()


def test_folder_of_a_filesystem_is_what_the_filesystem_is(scripted):
    fs = fsspec.filesystem("dir", path="bucket/a", fs=s3(scripted.url))
    driver = open_filesystem(fs, "b")
    assert isinstance(driver, FsspecDriver)
    assert driver.url == "s3://bucket/a/b"


@pytest.mark.parametrize("protocol", ["filecache", "simplecache", "blockcache"])
def test_caching_filesystems_are_refused_by_name(protocol, tmp_path):
    fs = fsspec.filesystem(
        protocol, fs=fsspec.filesystem("memory"), cache_storage=str(tmp_path / "cache")
    )
    with pytest.raises(UnsupportedByStore, match=f"{type(fs).__name__}.*may be old"):
        open_filesystem(fs, "root")


@pytest.mark.parametrize("fs", [object(), pafs._MockFileSystem()])
def test_what_is_no_filesystem_of_fsspec_is_refused(fs):
    with pytest.raises(UnsupportedByStore, match="no filesystem of fsspec"):
        open_filesystem(fs, "root")


def test_driver_of_real_conditions_takes_no_other_filesystem(memory):
    with pytest.raises(UnsupportedByStore, match="open_filesystem"):
        FsspecDriver(memory, "root")
