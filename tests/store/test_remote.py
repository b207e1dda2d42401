"""What RemoteDriver makes of each answer, from a real server that gives exactly those answers."""

import pytest

from atomic_manifest import errors
from atomic_manifest.store.conditions import ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    NeverSent,
    Refused,
    Unanswered,
    Written,
)
from atomic_manifest.store.open import open_driver
from tests.store.scripted import ETAG, Answer

TAG = ETag.parse(ETAG)
SECRET = "sUpErSeCrEt/Value"
CREATE, SWAP, OVERWRITE = IfAbsent(), IfMatch(TAG), None
CONFLICT, THROTTLED = Contended(ContendedCause.CONFLICT), Contended(ContendedCause.THROTTLED)


@pytest.fixture
def s3(scripted):
    options = {"key": "AKIDEXAMPLE", "secret": SECRET, "endpoint_url": scripted.url, "timeout": 2}
    return open_driver("s3://bucket/folder", options)


@pytest.fixture
def gcs(scripted):
    return open_driver("gs://bucket", {"bearer_token": "x", "endpoint_url": scripted.url})


@pytest.fixture
def azure(scripted):
    options = {"account_name": "account", "account_key": "c2VjcmV0", "endpoint": scripted.url}
    return open_driver("az://container", options)


@pytest.mark.parametrize(
    ("status", "when", "outcome"),
    [
        (412, CREATE, Refused()),
        (304, CREATE, Refused()),
        (412, SWAP, Refused()),
        (304, SWAP, Refused()),
        (404, SWAP, Refused()),
        (409, CREATE, CONFLICT),
        (409, SWAP, CONFLICT),
        (409, OVERWRITE, CONFLICT),
        (429, CREATE, THROTTLED),
        (429, SWAP, THROTTLED),
        (429, OVERWRITE, THROTTLED),
    ],
)
def test_s3_write_that_was_declined_is_a_value(s3, scripted, status, when, outcome):
    scripted.script(status)
    assert s3.put("k", b"x", when=when) == outcome
    assert [(seen.method, seen.path) for seen in scripted.requests] == [("PUT", "/bucket/folder/k")]


@pytest.mark.parametrize("when", [CREATE, SWAP, OVERWRITE])
@pytest.mark.parametrize("answer", [408, 500, 502, 503, 504, Answer(drop=True)])
def test_s3_write_without_a_proof_is_unanswered_after_one_request(s3, scripted, answer, when):
    scripted.script(answer)
    outcome = s3.put("k", b"x", when=when)
    assert isinstance(outcome, Unanswered)
    assert isinstance(outcome.cause, errors.StoreUnavailable)
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(
    ("status", "when", "error"),
    [
        (400, CREATE, errors.StoreError),
        (401, CREATE, errors.StorePermissionDenied),
        (403, SWAP, errors.StorePermissionDenied),
        (404, CREATE, errors.StoreError),
        (404, OVERWRITE, errors.StoreError),
        (405, OVERWRITE, errors.StoreError),
        (501, CREATE, errors.UnsupportedByStore),
        (501, SWAP, errors.UnsupportedByStore),
        (301, CREATE, errors.StoreError),
    ],
)
def test_s3_write_that_can_never_succeed_raises_after_one_request(
    s3, scripted, status, when, error
):
    body = b"<Error><Code>Telling</Code><Signature>sig</Signature></Error>"
    scripted.script(Answer(status, body))
    with pytest.raises(errors.StoreError) as raised:
        s3.put("k", b"x", when=when)
    assert type(raised.value) is error
    assert raised.value.path == "k"
    assert str(raised.value).startswith("k: ")
    assert "sig" not in str(raised.value).lower()
    assert len(scripted.requests) == 1


def test_refusal_names_path_status_and_code_and_nothing_of_the_sdk(s3, scripted):
    scripted.script(Answer(400, b"<Error><Code>EntityTooLarge</Code></Error>"))
    with pytest.raises(errors.StoreError) as raised:
        s3.put("a/k", b"x")
    assert str(raised.value) == "a/k: S3 says 400 Bad Request (EntityTooLarge)"
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_conditions_are_sent_as_rfc_9110_headers(s3, scripted):
    assert isinstance(s3.put("k", b"x", when=CREATE), Written)
    assert isinstance(s3.put("k", b"x", when=SWAP), Written)
    written = s3.put("k", b"x", metadata={"a-b": "c"})
    assert isinstance(written, Written)
    assert written.meta.etag == TAG
    create, swap, overwrite = (seen.headers for seen in scripted.requests)
    assert create["if-none-match"] == "*"
    assert swap["if-match"] == ETAG
    assert not {"if-match", "if-none-match"} & set(overwrite)
    assert overwrite["x-amz-meta-a-b"] == "c"


def test_several_tags_are_refused_unsent(s3, gcs, azure, scripted):
    for driver in (s3, gcs, azure):
        with pytest.raises(errors.UnsupportedByStore, match=r"^k: .* only one ETag can"):
            driver.put("k", b"x", when=IfMatch("a", "b"))
    assert scripted.requests == []


def test_existence_is_asked_with_an_asterisk(s3, azure, scripted):
    for driver in (s3, azure):
        assert isinstance(driver.put("k", b"x", when=IfMatch.ANY), Written)
    assert [seen.headers["if-match"] for seen in scripted.requests] == ["*", "*"]


def test_metadata_that_no_header_can_hold_is_refused_unsent(s3, scripted):
    for metadata in ({"a": "é"}, {"a": "line\nbreak"}, {"a b": "c"}, {"a": ""}):
        with pytest.raises(errors.StoreError, match="metadata"):
            s3.put("k", b"x", metadata=metadata)
    assert scripted.requests == []


@pytest.mark.parametrize("read", ["get", "head"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (304, errors.NotModified),
        (401, errors.StorePermissionDenied),
        (403, errors.StorePermissionDenied),
        (404, errors.NotFound),
        (408, errors.StoreUnavailable),
        (416, errors.StoreError),
        (429, errors.StoreUnavailable),
        (500, errors.StoreUnavailable),
        (501, errors.UnsupportedByStore),
        (503, errors.StoreUnavailable),
        (Answer(drop=True), errors.StoreUnavailable),
    ],
)
def test_s3_read_raises_the_error_of_the_answer_after_one_request(
    s3, scripted, read, answer, error
):
    scripted.script(answer)
    with pytest.raises(errors.StoreError) as raised:
        getattr(s3, read)("k")
    assert type(raised.value) is error
    assert len(scripted.requests) == 1


def test_body_that_breaks_off_is_unavailable(s3, scripted):
    scripted.script(Answer(206, b"abc", {"Content-Range": "bytes 0-9/10"}))
    with pytest.raises(errors.StoreUnavailable):
        s3.get("k", range=(0, 10))


def test_server_that_is_not_there_was_sent_nothing():
    options = {"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9"}
    with pytest.raises(
        NeverSent, match=r"^k: 127\.0\.0\.1:9 refuses connections; nothing was sent"
    ):
        open_driver("s3://bucket", options).put("k", b"x", when=CREATE)


@pytest.mark.parametrize("status", [403, 404, 503])
def test_listing_and_deletion_raise_after_one_request(s3, scripted, status):
    expected = {
        403: errors.StorePermissionDenied,
        404: errors.NotFound,
        503: errors.StoreUnavailable,
    }[status]
    scripted.script(status)
    with pytest.raises(expected):
        list(s3.list())
    assert len(scripted.requests) == 1


def test_deletion_that_fails_for_one_key_raises(s3, scripted):
    failed = (
        b"<DeleteResult><Error><Key>folder/k</Key><Code>AccessDenied</Code><Message>no</Message>"
        b"</Error></DeleteResult>"
    )
    denied = Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
    scripted.script(Answer(200, failed), *[denied] * 4)  # one by one, it is denied again
    with pytest.raises(errors.StorePermissionDenied, match="AccessDenied"):
        s3.delete_many(["k", "l"])


def test_many_deletions_are_one_request(s3, scripted):
    deleted = b"<DeleteResult><Deleted><Key>folder/k1</Key></Deleted></DeleteResult>"
    scripted.script(Answer(200, deleted))
    s3.delete_many(f"k{i}" for i in range(100))
    assert [seen.method for seen in scripted.requests] == ["POST"]


def test_azure_409_on_create_means_that_the_blob_exists(azure, scripted):
    scripted.script(409)
    assert azure.put("k", b"x", when=CREATE) == Refused()
    assert len(scripted.requests) == 1


def test_azure_409_otherwise_is_a_conflict(azure, scripted):
    scripted.script(409, 409)
    assert azure.put("k", b"x", when=SWAP) == CONFLICT
    assert azure.put("k", b"x") == CONFLICT


def test_azure_sends_metadata_names_without_hyphens_and_reads_them_back(azure, scripted):
    azure.put("k", b"x", when=CREATE, metadata={"atomic-manifest-write": "1"})
    assert scripted.requests[0].headers["x-ms-meta-atomic_manifest_write"] == "1"
    scripted.script(Answer(200, b"x", {"x-ms-meta-atomic_manifest_write": "1"}))
    assert azure.get("k").meta.metadata == {"atomic-manifest-write": "1"}


def test_azure_permission_error_does_not_show_the_sas_token(scripted):
    options = {
        "account_name": "account",
        "sas_token": "sv=2024&sig=SASSECRET",
        "endpoint": scripted.url,
    }
    driver = open_driver("az://container", options)
    scripted.script(Answer(403), Answer(drop=True))
    with pytest.raises(errors.StorePermissionDenied) as raised:
        driver.get("k")
    assert "SASSECRET" in scripted.requests[0].path
    outcome = driver.put("k", b"x")
    assert isinstance(outcome, Unanswered)
    assert "SASSECRET" not in f"{raised.value!r} {raised.value} {outcome!r} {driver!r}"


def test_gcs_409_is_a_conflict_and_412_a_refusal(gcs, scripted):
    scripted.script(409, 412)
    assert gcs.put("k", b"x", when=CREATE) == CONFLICT
    assert gcs.put("k", b"x", when=CREATE) == Refused()
    assert scripted.requests[0].headers["x-goog-if-generation-match"] == "0"


def test_gcs_compares_generations(gcs, scripted):
    answer = Answer(200, b"x", {"x-goog-generation": "17"})
    scripted.script(answer, answer, answer)
    written = gcs.put("k", b"x")
    assert written.meta.etag == ETag("17")
    assert isinstance(gcs.put("k", b"y", when=IfMatch(written.meta.etag)), Written)
    assert scripted.requests[1].headers["x-goog-if-generation-match"] == "17"
    with pytest.raises(errors.NotModified):
        gcs.get("k", if_none_match=ETag("17"))


def test_secrets_and_signatures_are_in_no_message(s3, scripted):
    body = b"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIDEXAMPLE</AWSAccessKeyId></Error>"
    scripted.script(Answer(403, body), Answer(403, body), Answer(400, body), Answer(drop=True))
    shown = [repr(s3), s3.url]
    for act in (lambda: s3.get("k"), lambda: s3.put("k", b"x"), lambda: s3.put("k", b"x")):
        with pytest.raises(errors.StoreError) as raised:
            act()
        shown += [str(raised.value), repr(raised.value), repr(raised.value.details)]
    shown.append(repr(s3.put("k", b"x")))
    assert not any(word in text for word in (SECRET, "AKIDEXAMPLE") for text in shown)


def test_missing_credentials_are_said_to_be_missing(scripted):
    driver = open_driver("s3://bucket", {"endpoint_url": scripted.url, "connect_timeout": 0.2})
    with pytest.raises(errors.StorePermissionDenied, match="found no credentials"):
        driver.get("k")
    assert scripted.requests == []


@pytest.mark.parametrize("status", [404, 409, 412])
def test_failed_request_for_credentials_is_no_verdict_on_the_object(scripted, status):
    options = {"endpoint_url": scripted.url, "metadata_endpoint": scripted.url}
    driver = open_driver("s3://bucket", options)
    scripted.script(*[status] * 3)
    for when in (SWAP, CREATE):
        with pytest.raises(errors.StoreError):
            driver.put("k", b"x", when=when)


# --- multipart uploads

STARTED = Answer(
    200,
    b"<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>",
)
PART = 5 * 1024 * 1024


def _methods(scripted):
    return [(seen.method, seen.path.partition("?")[2][:9]) for seen in scripted.requests]


def test_upload_tries_a_part_again(s3, scripted):
    done = Answer(
        200,
        b"<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>",
    )
    scripted.script(STARTED, 503, 200, done)
    upload = s3.start_upload("big", part_size=100, max_in_flight=1)
    upload.write(b"x" * 100)
    assert upload.finish().meta.size == 100
    assert [method for method, _ in _methods(scripted)] == ["POST", "PUT", "PUT", "POST"]


def test_upload_whose_part_is_refused_raises_and_leaves_no_upload(s3, scripted):
    scripted.script(STARTED, 403)
    upload = s3.start_upload("big", part_size=100, max_in_flight=1)
    upload.write(b"x" * 100)
    with pytest.raises(errors.StorePermissionDenied):
        upload.write(b"x" * 100)
    upload.abort()
    assert [method for method, _ in _methods(scripted)] == ["POST", "PUT", "DELETE"]
    assert "uploadId=U" in scripted.requests[-1].path


@pytest.mark.parametrize("answers", [(403,), (200, 403), (200, 409)])
def test_upload_that_cannot_be_finished_raises_and_leaves_no_upload(s3, scripted, answers):
    scripted.script(STARTED, *answers)
    upload = s3.start_upload("big", part_size=100, max_in_flight=1)
    upload.write(b"x" * 100)
    with pytest.raises(errors.StoreError):
        upload.finish()
    upload.abort()
    upload.abort()
    assert _methods(scripted)[-1][0] == "DELETE"
    assert "uploadId=U" in scripted.requests[-1].path
    assert [method for method, _ in _methods(scripted)].count("DELETE") == 1


def test_aborted_upload_leaves_no_parts_in_a_real_service(ministack):
    bucket = ministack.new_bucket()
    driver = open_driver(f"s3://{bucket}/f", ministack.storage_options)
    client = ministack.client()
    try:
        upload = driver.start_upload("big", part_size=PART, max_in_flight=2)
        for _ in range(3):
            upload.write(b"x" * PART)
        assert len(client.list_multipart_uploads(Bucket=bucket)["Uploads"]) == 1
        upload.abort()
        assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")
        assert list(driver.list()) == []
    finally:
        client.close()
