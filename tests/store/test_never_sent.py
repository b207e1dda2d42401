"""A write for which no connection was made was not sent: that is certain."""

import asyncio
import socket
import threading

import pytest

from atomic_manifest.errors import StorePermissionDenied, StoreUnavailable, WriteOutcomeUnknown
from atomic_manifest.store import AsyncObjectStore, IfAbsent, ObjectStore, answers, open_store
from atomic_manifest.store.conditions import IfMatch
from atomic_manifest.store.driver import NeverSent, Unanswered
from atomic_manifest.store.failures import Failure, Service, write_outcome
from atomic_manifest.store.filesystem.driver import FsspecDriver
from atomic_manifest.store.policy.pacing import Retry

REFUSED = ("http://127.0.0.1:1", "k: 127.0.0.1:1 refuses connections; nothing was sent")
UNKNOWN = ("http://no-such-host.invalid", "k: no-such-host.invalid is a host without an address")


def store_at(endpoint):
    store = open_store("s3://b/x", {"key": "k", "secret": "s", "endpoint_url": endpoint})
    return ObjectStore(store.driver, retry=Retry(attempts=2, base_seconds=0.001))


@pytest.mark.parametrize("when", [IfAbsent(), IfMatch("1"), None])
@pytest.mark.parametrize(("endpoint", "text"), [REFUSED, UNKNOWN])
def test_a_write_that_never_left_is_certain(endpoint, text, when):
    store = store_at(endpoint)
    with pytest.raises(StoreUnavailable) as raised:
        store.put("k", b"1", when=when)
    assert text in str(raised.value)
    with pytest.raises(StoreUnavailable) as raised:
        asyncio.run(AsyncObjectStore.of(store).put("k", b"1", when=when))
    assert text in str(raised.value)


def test_a_connection_that_breaks_leaves_it_unknown():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def close_all():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.recv(10)
                connection.close()

        threading.Thread(target=close_all, daemon=True).start()
        store = store_at(f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(WriteOutcomeUnknown):
            store.put("k", b"1", when=IfAbsent())


SIGNS = "uri: Some(https://user:pw@h.example/b?sig=S,) retries: 0, max_retries: 0, kind: Connect, "


@pytest.mark.parametrize(
    ("sign", "reason"),
    [
        ("invalid peer certificate: UnknownIssuer", "authority that is not trusted"),
        ("invalid peer certificate: NotValidForName", "certificate for another host"),
        ("invalid peer certificate: Expired", "certificate that has expired"),
        ("something else", "cannot be connected to"),
    ],
)
def test_what_is_wrong_with_a_connection_is_said_without_secrets(sign, reason):
    failure = Failure(None, None, "GenericError", SIGNS + sign)
    with pytest.raises(NeverSent, match=f"h.example .*{reason}") as raised:
        write_outcome(Service.S3, "k", IfAbsent(), failure)
    assert "pw" not in str(raised.value)
    assert "sig" not in str(raised.value)


@pytest.mark.parametrize(
    ("sign", "instead"),
    [("retries: 0,", "retries: 6,"), ("kind: Connect,", "kind: Request,")],
)
def test_a_failure_after_something_may_have_been_sent_is_unknown(sign, instead):
    failure = Failure(None, None, "GenericError", SIGNS.replace(sign, instead))
    assert isinstance(write_outcome(Service.S3, "k", IfAbsent(), failure), Unanswered)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ExpiredToken", "get new credentials"),
        ("InvalidAccessKeyId", "look at `key`"),
        ("SignatureDoesNotMatch", "look at `secret`"),
        ("RequestTimeTooSkewed", "clock"),
        ("AuthenticationFailed", "shared access signature"),
    ],
)
@pytest.mark.parametrize("status", [400, 403])
def test_credentials_that_are_refused_say_what_to_do(code, advice, status):
    failure = Failure(status, code, "GenericError", f"status code: {status}")
    with pytest.raises(StorePermissionDenied, match=rf"k: S3 says {status} .*{code}.*{advice}"):
        write_outcome(Service.S3, "k", IfAbsent(), failure)
    told = answers.failed_request("S3", "k", answers.CallFailed(status, code))
    assert isinstance(told, StorePermissionDenied)
    assert advice in str(told)


def test_the_second_client_tells_it_too():
    s3fs = pytest.importorskip("s3fs")
    fs = s3fs.S3FileSystem(
        key="k", secret="s", endpoint_url="http://127.0.0.1:1", skip_instance_cache=True
    )
    store = ObjectStore(FsspecDriver(fs, "b/x"), retry=Retry(attempts=1))
    with pytest.raises(StoreUnavailable, match="no connection to its host; nothing was sent"):
        store.put("k", b"1", when=IfAbsent())
