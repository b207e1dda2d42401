"""Services that delete one object by one request, and know no `DeleteObjects`."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

from atomic_manifest.errors import StorePermissionDenied, StoreUnavailable
from atomic_manifest.store import AsyncObjectStore, ObjectStore, open_store
from atomic_manifest.store.capabilities import Finding, Support
from atomic_manifest.store.filesystem.driver import FsspecDriver
from atomic_manifest.store.policy.pacing import Retry
from atomic_manifest.store.probe.headers import bulk_delete
from atomic_manifest.store.probe.session import Session
from atomic_manifest.store.safety.endpoint import raw_of

CODES = {
    400: "InvalidArgument",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    411: "MissingContentLength",
    501: "NotImplemented",
}


class Service(ThreadingHTTPServer):
    """Answers `POST` with `batches` (200 carries the deletions out), and `DELETE` as it must."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.batches, self.denied, self.missing_status = 501, "", 204
        self.requests = []
        self.objects = set()

    @property
    def options(self):
        url = f"http://127.0.0.1:{self.server_port}"
        return {"key": "k", "secret": "s", "endpoint_url": url, "region": "us-east-1"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status):
        code = CODES.get(status, "InternalError")
        self.answer(status, f"<Error><Code>{code}</Code></Error>".encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append("POST")
        if self.server.batches != 200:
            self.fail(self.server.batches)
            return
        keys = [part.partition(b"</Key>")[0].decode() for part in body.split(b"<Key>")[1:]]
        errors = "".join(
            f"<Error><Key>{key}</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
            for key in keys
            if key == self.server.denied
        )
        gone = [key for key in keys if key != self.server.denied]
        self.server.objects -= {*gone}
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in gone)
        self.answer(200, f"<DeleteResult>{deleted}{errors}</DeleteResult>".encode())

    def do_DELETE(self):
        key = unquote(urlsplit(self.path).path).removeprefix("/b/")
        self.server.requests.append(f"DELETE {key}")
        if key == self.server.denied:
            self.fail(403)
        elif key in self.server.objects:
            self.server.objects.discard(key)
            self.answer(204)
        elif self.server.missing_status == 204:
            self.answer(204)
        else:
            self.fail(404)

    def do_GET(self):
        key = unquote(urlsplit(self.path).path).removeprefix("/b/")
        if key not in self.server.objects:
            self.fail(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", "1")
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Mon, 30 Nov 2026 06:00:00 GMT")
        self.end_headers()
        self.wfile.write(b"x")

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.objects.add(unquote(urlsplit(self.path).path).removeprefix("/b/"))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    server = Service()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def deleting(kind, service, retry=None, **options):
    """Functions `delete` and `delete_many` of one store of a kind."""
    if kind.startswith("obstore"):
        store = open_store("s3://b/x", service.options | options)
        store = ObjectStore(store.driver, retry=retry)
    else:
        s3fs = pytest.importorskip("s3fs")
        given = service.options
        fs = s3fs.S3FileSystem(
            key="k",
            secret="s",
            client_kwargs={"region_name": "us-east-1"},
            endpoint_url=given["endpoint_url"],
            skip_instance_cache=True,
        )
        store = ObjectStore(FsspecDriver(fs, "b/x"), retry=retry)
    if not kind.endswith("async"):
        return store.delete, store.delete_many
    twin = AsyncObjectStore.of(store)
    return (
        lambda path: asyncio.run(twin.delete(path)),
        lambda paths: asyncio.run(twin.delete_many(paths)),
    )


KINDS = ["obstore", "obstore async", "s3fs", "s3fs async"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [204, 404])
def test_one_deletion_is_one_delete(kind, missing, service):
    service.missing_status, service.objects = missing, {"x/one"}
    delete, _ = deleting(kind, service)
    delete("one")
    delete("one")
    assert service.requests == ["DELETE x/one"] * 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", CODES)
@pytest.mark.parametrize("missing", [204, 404])
def test_many_deletions_fall_back_and_that_is_remembered(kind, status, missing, service):
    service.batches, service.missing_status = status, missing
    service.objects = {f"x/{number}" for number in range(30) if number != 7}
    _, delete_many = deleting(kind, service)
    delete_many(str(number) for number in range(30))
    assert service.objects == set()
    service.objects = {"x/a", "x/b"}
    delete_many(["a", "b"])
    assert service.objects == set()
    assert service.requests.count("POST") == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [501, 200])
def test_the_deletion_that_fails_is_named(kind, status, service):
    service.batches, service.denied = status, "x/3"
    service.objects = {f"x/{number}" for number in range(6)}
    _, delete_many = deleting(kind, service)
    with pytest.raises(StorePermissionDenied, match=r"^3: ") as raised:
        delete_many(str(number) for number in range(6))
    assert raised.value.path == "3"
    assert "x/0" not in service.objects


@pytest.mark.parametrize("kind", ["obstore", "s3fs"])
def test_a_service_that_takes_batches_gets_one(kind, service):
    service.batches, service.objects = 200, {"x/a", "x/b"}
    _, delete_many = deleting(kind, service)
    delete_many(["a", "b"])
    delete_many([])
    assert service.requests == ["POST"]
    assert service.objects == set()


@pytest.mark.parametrize("kind", ["obstore", "s3fs"])
def test_a_service_that_does_not_answer_is_not_asked_for_each(kind, service):
    service.batches = 503
    _, delete_many = deleting(kind, service, retry=Retry(attempts=1))
    with pytest.raises(StoreUnavailable):
        delete_many(["a", "b"])
    assert service.requests == ["POST"]


@pytest.mark.parametrize("missing", [204, 404])
def test_the_option_sends_no_batch(missing, service):
    service.missing_status, service.objects = missing, {"x/one"}
    delete, delete_many = deleting("obstore", service, disable_bulk_delete="true")
    delete("one")
    delete_many(["one", "two", "three"])
    assert service.objects == set()
    assert {*service.requests} == {"DELETE x/one", "DELETE x/two", "DELETE x/three"}


@pytest.mark.parametrize(("status", "support"), [(200, Support.SAFE), (501, Support.REFUSED)])
def test_the_probe_looks_for_batches(status, support, service):
    service.batches = status
    store = open_store("s3://b/x", service.options)
    session = Session(store, prefix="p", threads=2, rounds=1, seconds=60, body_size=8)
    with session:
        found = bulk_delete(session, raw_of(store.driver))
    assert found.support is support
    if support is Support.REFUSED:
        assert found == Finding(support, "501 Not Implemented (NotImplemented)")
    assert service.objects == set()
