"""Idempotency keys: one write, however often it is asked for."""

import base64
import hashlib
import io

import pytest

from atomic_manifest import errors
from atomic_manifest.store import IfAbsent, IfMatch, Retry
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import CountingDriver, FakeEnv, Fault, FaultyDriver
from tests.store.both import KINDS, opened

SHA256 = base64.b64encode(hashlib.sha256(b"body").digest()).decode()


@pytest.fixture(params=KINDS)
def made(request):
    contexts = []

    def make(faults=(), driver=None, **options):
        counting = CountingDriver(FaultyDriver(driver or MemoryDriver(), dict(faults)))
        context = opened(request.param, counting, env=FakeEnv(), **options)
        contexts.append(context)
        return context.__enter__()

    yield make
    for context in contexts:
        context.__exit__(None, None, None)


def methods(store):
    return [request.method for request in store.driver.requests]


@pytest.mark.parametrize("when", [None, IfAbsent()])
def test_same_key_and_body_replay_the_first_result(made, when):
    store = made()
    first = store.put("k", b"body", when=when, idempotency_key="a")
    assert store.put("k", b"body", when=when, idempotency_key="a") == first
    assert store.put("k", io.BytesIO(b"body"), idempotency_key="a") == first
    assert store.get("k").meta == first
    assert first.metadata["atomic-manifest-key"] == "a"
    assert first.metadata["atomic-manifest-checksum"] == f"sha256:{SHA256}"


def test_key_costs_a_new_object_one_request_if_it_must_be_absent(made):
    store = made()
    store.put("k", b"body", when=IfAbsent(), idempotency_key="a")
    store.put("k", b"body", when=IfAbsent(), idempotency_key="a")
    assert methods(store) == ["put", "put", "head"]


def test_key_costs_a_look_otherwise_and_a_replay_sends_no_body(made):
    store = made()
    store.put("k", b"body", idempotency_key="a")
    store.put("k", b"body", idempotency_key="a")
    assert methods(store) == ["head", "put", "head"]


def test_same_key_and_another_body_is_an_error_and_writes_nothing(made):
    store = made()
    meta = store.put("k", b"body", idempotency_key="a")
    for when in (None, IfAbsent(), IfMatch(meta.etag), IfMatch.ANY):
        for body in (b"ydob", b"longer body"):
            with pytest.raises(errors.IdempotencyKeyReused) as raised:
                store.put("k", body, when=when, idempotency_key="a")
            assert (raised.value.path, raised.value.idempotency_key) == ("k", "a")
    assert store.get("k").meta == meta


def test_another_key_is_another_write(made):
    store = made()
    first = store.put("k", b"body", idempotency_key="a")
    second = store.put("k", b"body", idempotency_key="b")
    assert second.etag != first.etag
    with pytest.raises(errors.AlreadyExists) as raised:
        store.put("k", b"body", when=IfAbsent(), idempotency_key="c")
    assert raised.value.current_etag == second.etag


def test_swap_is_replayed_although_its_condition_holds_no_more(made):
    store = made()
    old = store.put("k", b"old").etag
    first = store.put("k", b"body", when=IfMatch(old), idempotency_key="a")
    assert store.put("k", b"body", when=IfMatch(old), idempotency_key="a") == first


def test_key_is_forgotten_when_somebody_replaces_the_object(made):
    store = made()
    old = store.put("k", b"old").etag
    store.put("k", b"body", when=IfMatch(old), idempotency_key="a")
    theirs = store.put("k", b"theirs").etag
    with pytest.raises(errors.PreconditionFailed) as raised:
        store.put("k", b"body", when=IfMatch(old), idempotency_key="a")
    assert raised.value.current_etag == theirs
    with pytest.raises(errors.AlreadyExists):
        store.put("k", b"body", when=IfAbsent(), idempotency_key="a")
    store.put("k", b"body", idempotency_key="a")
    assert store.get("k").data == b"body"


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("when", [None, IfAbsent()])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_any_single_failure_is_mended_and_writes_once(made, fault, when, number):
    driver = Written(MemoryDriver())
    store = made({number: fault}, driver)
    meta = store.put("k", b"body", when=when, idempotency_key="a")
    assert store.get("k").meta == meta
    assert driver.count == 1


class Written(CountingDriver):
    """Counts what the store carried out."""

    count = 0

    def put(self, path, data, **options):
        outcome = super().put(path, data, **options)
        self.count += hasattr(outcome, "meta")
        return outcome


def test_write_with_a_key_is_tried_three_times(made):
    always = dict.fromkeys(range(1, 99), Fault.ERROR_500)
    store = made(always)
    with pytest.raises(errors.WriteOutcomeUnknown):
        store.put("k", b"body", idempotency_key="a")
    assert store.driver.count("put") == 3
    store = made(always, retry=Retry(keyed_attempts=2))
    with pytest.raises(errors.WriteOutcomeUnknown):
        store.put("k", b"body", idempotency_key="a")
    assert store.driver.count("put") == 2


class Overtaken(MemoryDriver):
    """Somebody else writes the object right before each write, some times."""

    def __init__(self, times, metadata=None, data=b"theirs"):
        super().__init__()
        self.times, self.theirs, self.data = times, metadata, data

    def put(self, path, data, **options):
        if self.times:
            self.times -= 1
            super().put(path, self.data, metadata=self.theirs)
        return super().put(path, data, **options)


def test_unconditional_write_with_a_key_looks_again_when_overtaken(made):
    store = made(driver=Overtaken(3))
    store.put("k", b"body", idempotency_key="a")
    assert store.get("k").data == b"body"
    assert methods(store)[:-1] == ["head", "put"] * 4
    store = made(driver=Overtaken(99))
    with pytest.raises(errors.Contended):
        store.put("k", b"body", idempotency_key="a")
    assert store.get("k").data == b"theirs"


def test_two_that_race_with_one_key_write_once(made):
    digest = {"atomic-manifest-key": "a", "atomic-manifest-checksum": f"sha256:{SHA256}"}
    store = made(driver=Overtaken(1, digest, b"body"))
    meta = store.put("k", b"body", idempotency_key="a")
    assert "atomic-manifest-write" not in meta.metadata
    assert store.get("k").meta == meta


def test_unanswered_replacement_behind_which_another_wrote_is_unknown(made):
    store = made({1: Fault.LOST_BEFORE}, Overtaken(1))
    with pytest.raises(errors.WriteOutcomeUnknown):
        store.put("k", b"body", idempotency_key="a")


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "crc32", "crc32c", "crc64nvme"])
@pytest.mark.parametrize("threshold", [2, 100])
def test_every_algorithm_identifies_bodies(made, algorithm, threshold):
    store = made(multipart_threshold=threshold)
    for body in (b"body", io.BytesIO(b"body")):
        first = store.put("k", body, idempotency_key="a", checksum=algorithm)
    assert first.metadata["atomic-manifest-checksum"].startswith(f"{algorithm}:")
    # Another algorithm, the same body: compared by the one that was kept.
    assert store.put("k", io.BytesIO(b"body"), idempotency_key="a") == first
    for other in (b"ydob", io.BytesIO(b"ydob")):
        with pytest.raises(errors.IdempotencyKeyReused):
            store.put("k", other, idempotency_key="a", checksum=algorithm)
        with pytest.raises(errors.IdempotencyKeyReused):
            store.put("k", other, idempotency_key="a")


def test_checksum_without_a_key_is_kept(made):
    store = made()
    meta = store.put("k", b"body", checksum={"sha256": SHA256}, metadata={"mine": "1"})
    assert meta.metadata["atomic-manifest-checksum"] == f"sha256:{SHA256}"
    assert meta.metadata["mine"] == "1"


@pytest.mark.parametrize("body", [b"other", io.BytesIO(b"other"), [b"oth", b"er"]])
def test_body_without_the_given_digest_is_refused_before_anything_is_sent(made, body):
    store = made()
    with pytest.raises(errors.ChecksumMismatch, match="sha256") as raised:
        store.put("k", body, checksum={"sha256": SHA256})
    assert raised.value.algorithm == "sha256"
    assert methods(store) == []


def test_stream_without_the_given_digest_never_appears(made):
    store = made(multipart_threshold=2)
    with pytest.raises(errors.ChecksumMismatch):
        store.put("k", [b"oth", b"er"], checksum={"sha256": SHA256})
    assert list(store.list()) == []
    store.put("k", [b"bo", b"dy"], checksum={"sha256": SHA256}, idempotency_key="a")
    assert store.get("k").data == b"body"
    # A stream cannot be compared by a digest that is not given, nor sent to find out.
    for checksum in (None, "sha1"):
        with pytest.raises(errors.InvalidRequest, match="must be given"):
            store.put("k", [b"bo", b"dy"], checksum=checksum, idempotency_key="a")
    store.put("k", [b"bo", b"dy"], checksum={"sha256": SHA256}, idempotency_key="a")
    with pytest.raises(errors.InvalidRequest, match="give its sha256"):
        store.put("k", [b"bo", b"dy"], checksum={"crc32": "AAAAAA=="}, idempotency_key="a")


@pytest.mark.parametrize("key", ["", " a", "a\n", "caf\xe9", "x" * 256, 7])
def test_key_that_cannot_be_kept_is_refused(made, key):
    store = made()
    with pytest.raises(errors.InvalidRequest, match="idempotency key"):
        store.put("k", b"body", idempotency_key=key)
    assert methods(store) == []


def test_store_that_keeps_no_metadata_refuses_keys(made, tmp_path):
    store = made(driver=LocalDriver(tmp_path))
    with pytest.raises(errors.UnsupportedByStore, match="user metadata"):
        store.put("k", b"body", idempotency_key="a")
    assert methods(store) == []
    store.put("k", b"body", checksum="sha256")
