"""Copies in S3 of what one request cannot copy, with the limits brought down to some MiB."""

import os

import pytest

from atomic_manifest.errors import NotFound
from atomic_manifest.store import IfAbsent, IfMatch, open_store
from atomic_manifest.store.conditions import ETag
from atomic_manifest.store.driver import Contended, ContendedCause, Refused, Unanswered, Written
from atomic_manifest.store.filesystem import s3_copy
from atomic_manifest.store.open import open_driver
from tests.store.scripted import Answer

MIB = 1 << 20
SOURCE = Answer(headers={"Content-Length": str(12 * MIB), "Content-Type": "text/x"})
STARTED = Answer(
    body=b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
)
PART = Answer(body=b"<CopyPartResult><ETag>&quot;p&quot;</ETag></CopyPartResult>")
COMPLETED = Answer(
    body=b"<CompleteMultipartUploadResult><ETag>&quot;new-3&quot;</ETag>"
    b"</CompleteMultipartUploadResult>"
)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(s3_copy, "AT_ONCE", 6 * MIB)
    monkeypatch.setattr(s3_copy, "PART", 5 * MIB)
    monkeypatch.setattr(s3_copy, "_IN_FLIGHT", 1)


@pytest.fixture
def s3(scripted):
    options = {"key": "k", "secret": "s", "endpoint_url": scripted.url, "timeout": 5}
    return open_driver("s3://bucket/folder", options)


@pytest.fixture(params=["ministack", "seaweedfs"])
def store(request):
    server = request.getfixturevalue(request.param)
    return open_store(f"s3://{server.new_bucket()}/folder", server.storage_options)


def test_large_object_is_copied_whole_with_its_metadata(store):
    data = os.urandom(11 * MIB + 1)
    store.put("source", data, metadata={"a-b": "c"})
    copied = store.copy("source", "k", when=IfAbsent())
    found = store.get("k")
    assert found.data == data
    assert copied.size == found.meta.size == len(data)
    assert copied.etag == found.meta.etag
    assert found.meta.metadata["a-b"] == "c"


def test_conditions_of_a_large_copy_are_asked_at_its_end(store):
    first = store.driver.put("source", b"x" * 7 * MIB).meta.etag
    old = store.driver.put("k", b"old").meta.etag
    assert isinstance(store.driver.copy("source", "k", when=IfAbsent()), Refused)
    assert store.get("k").data == b"old"
    assert isinstance(store.driver.copy("source", "k", when=IfMatch(old)), Written)
    assert isinstance(store.driver.copy("source", "k", when=IfMatch(old)), Refused)
    source_when = IfMatch(first)
    assert isinstance(store.driver.copy("source", "new", source_when=source_when), Written)
    assert store.head("new").size == 7 * MIB


def sent(scripted):
    return [(seen.method, seen.path.partition("?")[2][:8]) for seen in scripted.requests]


def test_every_part_is_of_the_state_that_was_seen(s3, scripted):
    scripted.script(SOURCE, STARTED, PART, PART, PART, COMPLETED)
    outcome = s3.copy("source", "k", when=IfAbsent())
    assert isinstance(outcome, Written)
    assert (outcome.meta.size, outcome.meta.etag) == (12 * MIB, ETag("new-3"))
    _, start, *parts, complete = scripted.requests
    assert start.headers["content-type"] == "text/x"
    assert {part.headers["x-amz-copy-source-if-match"] for part in parts} == {'"0123"'}
    assert [part.headers["x-amz-copy-source-range"] for part in parts] == [
        f"bytes=0-{5 * MIB - 1}",
        f"bytes={5 * MIB}-{10 * MIB - 1}",
        f"bytes={10 * MIB}-{12 * MIB - 1}",
    ]
    assert complete.headers["if-none-match"] == "*"
    assert all("if-none-match" not in seen.headers for seen in (start, *parts))


def test_source_that_changes_meanwhile_is_contention_and_leaves_no_parts(s3, scripted):
    scripted.script(SOURCE, STARTED, PART, 412)
    outcome = s3.copy("source", "k", when=IfAbsent())
    assert outcome == Contended(ContendedCause.CONFLICT)
    assert sent(scripted)[-1] == ("DELETE", "uploadId")


def test_condition_on_the_source_that_fails_is_a_refusal(s3, scripted):
    scripted.script(SOURCE, STARTED, 412)
    outcome = s3.copy("source", "k", source_when=IfMatch("other"))
    assert isinstance(outcome, Refused)
    assert scripted.requests[2].headers["x-amz-copy-source-if-match"] == '"other"'
    assert sent(scripted)[-1] == ("DELETE", "uploadId")


def test_source_that_vanishes_meanwhile_is_not_found(s3, scripted):
    scripted.script(SOURCE, STARTED, Answer(404, b"<Error><Code>NoSuchKey</Code></Error>"))
    with pytest.raises(NotFound, match="source"):
        s3.copy("source", "k", when=IfMatch("old"))
    assert sent(scripted)[-1] == ("DELETE", "uploadId")


def test_completion_without_an_answer_is_unanswered_after_one_request(s3, scripted):
    scripted.script(SOURCE, STARTED, PART, PART, PART, Answer(drop=True))
    assert isinstance(s3.copy("source", "k", when=IfAbsent()), Unanswered)
    assert [method for method, _ in sent(scripted)].count("POST") == 2


def test_answer_without_a_length_is_no_answer(s3, scripted):
    scripted.script(Answer(headers={"Transfer-Encoding": "chunked"}))
    assert isinstance(s3.copy("source", "k", when=IfAbsent()), Unanswered)
    assert len(scripted.requests) == 1
