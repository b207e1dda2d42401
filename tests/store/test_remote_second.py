"""What goes through the second client, from a real server that gives exactly the scripted answers."""

import builtins
import json
import subprocess
import sys
from pathlib import Path

import certifi
import pytest

from atomic_manifest import errors
from atomic_manifest.store.conditions import ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    Deleted,
    Refused,
    Unanswered,
    Written,
)
from atomic_manifest.store.filesystem.driver import FsspecDriver
from atomic_manifest.store.open import open_driver
from tests.store.scripted import ETAG, Answer

TAG = ETag.parse(ETAG)
SECRET = "sUpErSeCrEt/Value"
STARTED = Answer(
    body=b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
)
COMPLETED = Answer(
    body=b"<CompleteMultipartUploadResult><ETag>&quot;x-1&quot;</ETag>"
    b"</CompleteMultipartUploadResult>"
)
SOURCE = Answer(headers={"Content-Length": "5"})
COPIED = Answer(body=b"<CopyObjectResult><ETag>&quot;copy&quot;</ETag></CopyObjectResult>")
PART = 5 * 1024 * 1024
CONFLICT, THROTTLED = Contended(ContendedCause.CONFLICT), Contended(ContendedCause.THROTTLED)


def failed(status: int, code: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode())


@pytest.fixture
def open_s3(scripted):
    def opened(**options):
        known = {"key": "AKIDEXAMPLE", "secret": SECRET, "endpoint_url": scripted.url, "timeout": 2}
        return open_driver("s3://bucket/folder", known | options)

    return opened


@pytest.fixture
def s3(open_s3):
    return open_s3()


def assert_declined(outcome, expected):
    """A 412 may tell the current ETag."""
    if expected == Refused(TAG):
        assert outcome in (Refused(), Refused(TAG))
    else:
        assert outcome == expected


def upload(driver, when, data=b"x", **options):
    started = driver.start_upload("k", part_size=PART, max_in_flight=2, when=when, **options)
    started.write(data)
    return started


def test_the_condition_of_an_upload_is_sent_with_its_completion_alone(s3, scripted):
    scripted.script(STARTED, 200, COMPLETED)
    outcome = upload(s3, IfAbsent(), metadata={"a-b": "c"}).finish()
    assert isinstance(outcome, Written)
    assert (outcome.meta.path, outcome.meta.size, outcome.meta.etag) == ("k", 1, ETag("x-1"))
    start, part, complete = scripted.requests
    assert (start.method, start.path) == ("POST", "/bucket/folder/k?uploads")
    assert start.headers["x-amz-meta-a-b"] == "c"
    assert (part.method, part.body) == ("PUT", b"x")
    assert "partNumber=1" in part.path
    assert "uploadId=u" in part.path
    assert complete.headers["if-none-match"] == "*"
    for request in (start, part):
        assert not {"if-match", "if-none-match"} & set(request.headers)


@pytest.mark.parametrize(
    ("status", "code", "when", "outcome"),
    [
        (412, "PreconditionFailed", IfAbsent(), Refused(TAG)),
        (412, "PreconditionFailed", IfMatch(TAG), Refused(TAG)),
        (404, "NoSuchKey", IfMatch(TAG), Refused()),
        (409, "ConditionalRequestConflict", IfAbsent(), CONFLICT),
        (429, "TooManyRequests", IfAbsent(), THROTTLED),
    ],
)
def test_a_completion_that_was_declined_is_a_value_and_its_parts_are_removed(
    s3, scripted, status, code, when, outcome
):
    scripted.script(STARTED, 200, failed(status, code), 204)
    started = upload(s3, when)
    assert_declined(started.finish(), outcome)
    started.abort()
    assert [seen.method for seen in scripted.requests] == ["POST", "PUT", "POST", "DELETE"]
    assert "uploadId=u" in scripted.requests[-1].path


@pytest.mark.parametrize("answer", [500, 503, Answer(drop=True)])
def test_a_completion_without_a_proof_is_unanswered_after_one_request(s3, scripted, answer):
    scripted.script(STARTED, 200, answer)
    outcome = upload(s3, IfAbsent()).finish()
    assert isinstance(outcome, Unanswered)
    assert isinstance(outcome.cause, errors.StoreUnavailable)
    assert len(scripted.requests) == 3


def test_an_error_in_the_body_of_a_success_is_no_success(s3, scripted):
    scripted.script(STARTED, 200, failed(200, "InternalError"))
    assert isinstance(upload(s3, IfAbsent()).finish(), Unanswered)


def test_parts_are_sent_again(s3, scripted):
    scripted.script(STARTED, 500, 200, COMPLETED)
    assert isinstance(upload(s3, IfAbsent()).finish(), Written)
    assert [seen.method for seen in scripted.requests] == ["POST", "PUT", "PUT", "POST"]


def test_conditions_of_a_copy_are_those_of_both_ends(s3, scripted):
    scripted.script(SOURCE, COPIED)
    outcome = s3.copy("a b", "k", when=IfMatch(TAG), source_when=IfMatch("s"))
    assert isinstance(outcome, Written)
    assert outcome.meta.etag == ETag("copy")
    sent = scripted.requests[-1].headers
    assert sent["x-amz-copy-source"] == "bucket/folder/a%20b"
    assert sent["if-match"] == ETAG
    assert sent["x-amz-copy-source-if-match"] == '"s"'


@pytest.mark.parametrize("when", [IfMatch(TAG), IfMatch.ANY])
def test_a_deletion_carries_its_condition_and_version(s3, scripted, when):
    scripted.script(204)
    assert s3.delete("k", when=when, version="v/1") == Deleted()
    (seen,) = scripted.requests
    assert (seen.method, seen.path) == ("DELETE", "/bucket/folder/k?versionId=v%2F1")
    assert seen.headers["if-match"] == ("*" if when.any else ETAG)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (failed(412, "PreconditionFailed"), Refused(TAG)),
        (failed(404, "NoSuchKey"), Refused()),
        (failed(409, "ConditionalRequestConflict"), CONFLICT),
    ],
)
def test_a_deletion_that_was_declined_is_a_value(s3, scripted, answer, outcome):
    scripted.script(answer)
    assert_declined(s3.delete("k", when=IfMatch(TAG)), outcome)


def test_amazon_asks_conditions_of_the_current_version_so_that_of_another_is_refused():
    keys = {"key": "AKIDEXAMPLE", "secret": SECRET, "region": "eu-west-1"}
    azure = {"account_name": "a", "account_key": "c2VjcmV0"}
    for url, options in (("s3://bucket", keys), ("az://box", azure)):
        with pytest.raises(errors.UnsupportedByStore, match="current version alone"):
            open_driver(url, options).delete("k", when=IfMatch(TAG), version="v")


def test_a_deletion_cut_off_is_sent_once(s3, scripted):
    scripted.script(Answer(drop=True))
    assert isinstance(s3.delete("k", when=IfMatch(TAG)), Unanswered)
    assert len(scripted.requests) == 1


def test_weak_tags_match_nothing_and_are_not_sent(s3, scripted):
    when = IfMatch(ETag("x", weak=True))
    assert s3.put("k", b"x", when=when) == Refused()
    assert s3.delete("k", when=when) == Refused()
    assert s3.copy("source", "k", when=when) == Refused()
    assert s3.copy("source", "k", source_when=when) == Refused()
    assert upload(s3, when).finish() == Refused()
    assert scripted.requests == []


def test_bare_etags_are_sent_without_quotes_by_both_clients(open_s3, scripted):
    s3 = open_s3(etag_form="bare")
    s3.put("k", b"x", when=IfMatch(TAG))
    s3.delete("k", when=IfMatch(TAG))
    scripted.script(SOURCE, COPIED, STARTED, 200, COMPLETED)
    s3.copy("source", "k", when=IfMatch(TAG), source_when=IfMatch(TAG))
    upload(s3, IfMatch(TAG)).finish()
    sent = [seen.headers["if-match"] for seen in scripted.requests if "if-match" in seen.headers]
    assert sent == [TAG.bare] * 4
    copied = next(r.headers for r in scripted.requests if "x-amz-copy-source" in r.headers)
    assert copied["x-amz-copy-source-if-match"] == TAG.bare


def test_lists_of_etags_are_sent_where_the_service_reads_them(open_s3, scripted):
    s3 = open_s3(etag_lists=True)
    s3.put("k", b"x", when=IfMatch("a", "b"))
    s3.delete("k", when=IfMatch("a", "b"))
    assert [seen.headers["if-match"] for seen in scripted.requests] == ['"a", "b"'] * 2


def test_an_unknown_form_of_etags_is_refused(open_s3):
    with pytest.raises(errors.InvalidStorageOption, match="etag_form"):
        open_s3(etag_form="single")


@pytest.mark.parametrize(
    "options",
    [
        {"server_side_encryption": "aws:kms", "sse_kms_key_id": "key-1"},
        {
            "s3_additional_kwargs": {
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": "key-1",
            }
        },
    ],
)
def test_encryption_by_the_service_is_asked_by_both_clients(open_s3, scripted, options):
    s3 = open_s3(**options)
    s3.put("k", b"x", when=IfAbsent())
    scripted.script(STARTED, 200, COMPLETED, SOURCE, COPIED)
    upload(s3, IfAbsent()).finish()
    s3.copy("source", "k", when=IfAbsent())
    asked = [
        (seen.headers["x-amz-server-side-encryption-aws-kms-key-id"], seen.method)
        for seen in scripted.requests
        if seen.headers.get("x-amz-server-side-encryption") == "aws:kms"
    ]
    assert asked == [("key-1", "PUT"), ("key-1", "POST"), ("key-1", "PUT")]


def test_conditions_under_a_customers_key_are_refused_with_the_reason(open_s3, scripted):
    key = {"SSECustomerKey": b"k" * 32, "SSECustomerAlgorithm": "AES256"}
    s3 = open_s3(s3_additional_kwargs=key)
    for act in (
        lambda: s3.put("k", b"x", when=IfAbsent()),
        lambda: s3.copy("source", "k", when=IfAbsent()),
        lambda: s3.copy("source", "k", source_when=IfMatch(TAG)),
        lambda: s3.delete("k", when=IfMatch(TAG)),
        lambda: upload(s3, IfAbsent()),
    ):
        with pytest.raises(errors.UnsupportedByStore, match=r"^k: .*SSE-C"):
            act()
    assert scripted.requests == []


def test_options_that_the_second_client_cannot_follow_are_refused_unsent(open_s3, scripted):
    s3 = open_s3(proxy_excludes="localhost")
    with pytest.raises(errors.UnsupportedByStore, match="'proxy_excludes'"):
        s3.delete("k", when=IfMatch(TAG))
    assert scripted.requests == []


def test_certificates_in_a_file_are_followed_and_others_refused(open_s3, scripted):
    scripted.script(STARTED, 200, COMPLETED)
    assert isinstance(upload(open_s3(ca_bundle=certifi.where()), IfAbsent()).finish(), Written)
    s3 = open_s3(root_certificate=Path(certifi.where()).read_bytes())
    with pytest.raises(errors.UnsupportedByStore, match="'root_certificate'"):
        s3.delete("k", when=IfMatch(TAG))


@pytest.mark.parametrize(
    ("url", "options", "package", "extra"),
    [
        ("gs://bucket", {"bearer_token": "x"}, "gcsfs", "gcs"),
        ("az://box", {"account_name": "a", "account_key": "c2VjcmV0"}, "adlfs", "azure"),
    ],
)
def test_a_missing_extra_is_named(monkeypatch, url, options, package, extra):
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    driver = open_driver(url, options)
    with pytest.raises(errors.UnsupportedByStore, match=rf"^k: .*atomic-manifest\[{extra}\]"):
        driver.delete("k", when=IfMatch("1"))


def test_secrets_stay_out_of_messages_and_representations(s3, scripted):
    scripted.script(failed(403, "AccessDenied"))
    with pytest.raises(errors.StorePermissionDenied) as raised:
        s3.delete("k", when=IfMatch(TAG))
    assert SECRET not in str(raised.value)
    assert SECRET not in repr(s3)
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_role_of_the_machine_signs_the_requests_of_both_clients(scripted):
    keys = {"AccessKeyId": "ASIAROLE", "SecretAccessKey": SECRET, "Token": "role-token"}
    keys |= {"Code": "Success", "Expiration": "2099-01-01T00:00:00Z", "Type": "AWS-HMAC"}
    keys |= {"LastUpdated": "2026-01-01T00:00:00Z"}
    given = [Answer(body=body) for body in (b"token", b"role", json.dumps(keys).encode())]
    options = {"endpoint_url": scripted.url, "metadata_endpoint": scripted.url, "region": "r"}
    s3 = open_driver("s3://bucket/folder", options)
    scripted.script(*given, 200, *given, 204)
    assert isinstance(s3.put("k", b"x", when=IfAbsent()), Written)
    assert s3.delete("k", when=IfMatch(TAG)) == Deleted()
    signed = [seen for seen in scripted.requests if seen.path == "/bucket/folder/k"]
    assert [seen.method for seen in signed] == ["PUT", "DELETE"]
    for seen in signed:
        assert "Credential=ASIAROLE/" in seen.headers["authorization"]
        assert seen.headers["x-amz-security-token"] == "role-token"


@pytest.mark.parametrize("options", [{"anon": True}, {"token": "anon"}])
def test_anonymous_writes_to_google_storage_ask_nobody_for_credentials(
    scripted, monkeypatch, options
):
    """obstore would ask the machine's metadata service for them, whose stand-in here says no."""
    pytest.importorskip("gcsfs")
    monkeypatch.setenv("GCE_METADATA_HOST", scripted.url.partition("://")[2])
    gcs = open_driver("gs://bucket/folder", options | {"endpoint_url": scripted.url, "timeout": 5})
    written = Answer(body=b'{"generation": "7", "size": "1"}')
    scripted.script(written, written, 204, 204, written)
    assert gcs.put("k", b"x", when=IfAbsent()).meta.etag == ETag("7")
    assert isinstance(gcs.put("k", b"x"), Written)
    assert gcs.delete("k") == Deleted()
    gcs.delete_many(["k"])
    assert isinstance(upload(gcs, None).finish(), Written)
    assert [seen.method for seen in scripted.requests] == [
        "POST",
        "POST",
        "DELETE",
        "DELETE",
        "POST",
    ]
    assert not any("authorization" in seen.headers for seen in scripted.requests)
    assert not any("computeMetadata" in seen.path for seen in scripted.requests)


@pytest.mark.parametrize("failure", ["refused", "unreachable"])
def test_credentials_of_google_storage_that_cannot_be_renewed(scripted, failure):
    """What says no is a refusal; what cannot be reached says nothing."""
    pytest.importorskip("gcsfs")
    from google.auth.exceptions import RefreshError, TransportError
    from google.oauth2.credentials import Credentials

    class Failing(Credentials):
        def refresh(self, _request):
            raise (RefreshError if failure == "refused" else TransportError)(SECRET)

    fs = __import__("gcsfs").GCSFileSystem(
        token=Failing(None, refresh_token="r"), endpoint_url=scripted.url, skip_instance_cache=True
    )
    driver = FsspecDriver(fs, "bucket/folder")
    if failure == "unreachable":
        assert isinstance(driver.put("k", b"x", when=IfAbsent()), Unanswered)
    else:
        with pytest.raises(errors.StorePermissionDenied, match="renewed") as raised:
            driver.put("k", b"x", when=IfAbsent())
        assert SECRET not in str(raised.value)
    assert scripted.requests == []


def test_opening_a_bucket_and_plain_requests_load_no_second_client(scripted):
    program = f"""
import sys
from pathlib import Path
from atomic_manifest.store.open import open_driver
options = {{"key": "k", "secret": "s", "endpoint_url": {scripted.url!r}}}
driver = open_driver("s3://bucket", options)
driver.put("k", b"x")
print([m for m in ("s3fs", "fsspec", "aiohttp", "botocore") if m in sys.modules])
"""
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == "[]"


def test_credentials_of_another_authority_are_sent_nowhere_else():
    pytest.importorskip("adlfs")
    options = {
        "account_name": "a",
        "client_id": "c",
        "client_secret": SECRET,
        "tenant_id": "t",
        "authority_host": "https://login.example.org",
    }
    second = open_driver("az://c/t", options).second
    with pytest.raises(errors.UnsupportedByStore, match="authority_host"):
        second.check("k", IfAbsent())
