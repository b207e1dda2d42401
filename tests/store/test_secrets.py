"""No secret comes out: of any driver, by any method, in a traceback, a representation or a pickle."""

import asyncio
import json
import pickle
import traceback
from contextlib import suppress

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from atomic_manifest.errors import AtomicManifestError, InvalidPath
from atomic_manifest.store import AsyncObjectStore, IfAbsent, IfMatch, open_store
from atomic_manifest.store.conditions import ETag
from atomic_manifest.store.driver import Unanswered
from atomic_manifest.store.filesystem.driver import FsspecDriver
from atomic_manifest.store.filesystem.plain import PlainFilesystemDriver
from atomic_manifest.store.http.driver import HttpDriver
from atomic_manifest.store.in_threads import InThreads
from atomic_manifest.store.remote.driver import RemoteDriver
from tests.store.scripted import Answer

SECRET = "sEcReTpLaNtEd"
KEY64 = "c0VjUmVUcExhTnRFZA=="
"""The secret in Base64, as an account's key."""
PLANTED = (SECRET, KEY64, SECRET.lower(), SECRET.upper())
ETAG = ETag.parse('"0123"')

QUOTED = f"""<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>
<CanonicalRequest>GET /k?sig={SECRET} x-key:{SECRET}</CanonicalRequest></Error>""".encode()
ANSWERS = {
    "denied": Answer(403, QUOTED, {"Content-Type": "application/xml"}),
    "wrong": Answer(400, QUOTED, {"Content-Type": "application/xml"}),
    "moved": Answer(301, QUOTED, {"Location": f"http://u:{SECRET}@127.0.0.1:9/k?sig={SECRET}"}),
    "nonsense": Answer(200, f"<a>{SECRET}".encode(), {"Content-Type": "application/json"}),
    "dropped": Answer(drop=True),
}


class Leaky(MemoryFileSystem):
    """Tells its secrets whenever it is asked."""

    cachable = False

    def _tell(self, *args, **kwargs):
        raise self.kind(f"http://u:{SECRET}@host/?sig={SECRET}")

    kind = OSError
    info = cat_file = pipe_file = cp_file = rm_file = find = _open = makedirs = _tell


def drivers(url, tmp_path):
    """Every driver, with secrets wherever it takes some, as functions that open one."""
    short = {"timeout": 2, "connect_timeout": 1}
    account = json.dumps({"type": "service_account", "private_key": SECRET, "client_email": SECRET})
    (tmp_path / "account").write_text(account)
    s3 = {"key": SECRET, "secret": SECRET, "token": SECRET, "endpoint_url": url, **short}
    azure = {"account_name": "a", "endpoint": url, **short}
    return {
        "s3": lambda: open_store("s3://b/t", s3),
        "gs": lambda: open_store(
            "gs://b/t", {"bearer_token": SECRET, "endpoint_url": url, **short}
        ),
        "gs-json": lambda: open_store(
            "gs://b/t", {"bearer_token": SECRET, "endpoint_url": url, "gcs_api": "json", **short}
        ),
        "az-key": lambda: open_store("az://c/t", {**azure, "account_key": KEY64}),
        "az-sas": lambda: open_store("az://c/t", {**azure, "sas_token": f"sv=1&sig={SECRET}"}),
        "az-secret": lambda: open_store(
            "az://c/t",
            {
                **azure,
                "client_id": SECRET,
                "client_secret": SECRET,
                "tenant_id": "t",
                "authority_host": url,
            },
        ),
        "http-password": lambda: open_store(f"{url}/t", {"auth": ("u", SECRET), **short}),
        "http-token": lambda: open_store(f"{url}/t", {"token": SECRET, **short}),
        "http-header": lambda: open_store(
            f"{url}/t", {"headers": {"X-Key": SECRET}, "proxy_url": f"http://u:{SECRET}@{url[7:]}"}
        ),
        "s3fs": lambda: open_store(
            "b/t",
            filesystem=fsspec.filesystem(
                "s3", key=SECRET, secret=SECRET, endpoint_url=url, skip_instance_cache=True
            ),
        ),
        "gcsfs": lambda: open_store(
            "b/t",
            filesystem=fsspec.filesystem(
                "gcs", token="anon", endpoint_url=url, skip_instance_cache=True
            ),
        ),
        "adlfs": lambda: open_store(
            "c/t",
            filesystem=fsspec.filesystem(
                "abfs",
                connection_string=f"BlobEndpoint={url}/a;AccountName=a;AccountKey={KEY64}",
                skip_instance_cache=True,
            ),
        ),
        "plain": lambda: open_store(f"/t?sig={SECRET}", filesystem=Leaky()),
        "plain-http": lambda: open_store(
            f"http://u:{SECRET}@{url[7:]}/t?sig={SECRET}",
            filesystem=fsspec.filesystem("http", skip_instance_cache=True),
        ),
    }


NAMES = [
    "s3", "gs", "gs-json", "az-key", "az-sas", "az-secret", "http-password", "http-token",
    "http-header", "s3fs", "gcsfs", "adlfs", "plain", "plain-http",
]  # fmt: skip


def upload(driver, when):
    started = driver.start_upload("k", part_size=5 << 20, max_in_flight=1, when=when)
    try:
        started.write(b"x")
        return started.finish()
    except AtomicManifestError:
        with suppress(AtomicManifestError):
            started.abort()
        raise


METHODS = {
    "get": lambda d: d.get("k"),
    "get range": lambda d: d.get("k", range=(0, 2), if_none_match=ETAG),
    "head": lambda d: d.head("k"),
    "put": lambda d: d.put("k", b"x"),
    "put if absent": lambda d: d.put("k", b"x", when=IfAbsent()),
    "put if match": lambda d: d.put("k", b"x", when=IfMatch(ETAG)),
    "upload": lambda d: upload(d, None),
    "upload if absent": lambda d: upload(d, IfAbsent()),
    "copy": lambda d: d.copy("j", "k"),
    "copy if absent": lambda d: d.copy("j", "k", when=IfAbsent()),
    "delete": lambda d: d.delete("k"),
    "delete if match": lambda d: d.delete("k", when=IfMatch(ETAG)),
    "delete many": lambda d: d.delete_many(["k", "j"]),
    "list": lambda d: list(d.list("f")),
}
RESENT = {"upload", "upload if absent", "copy", "copy if absent"}
"""Their parts, or what comes before them, are sent again by the SDK, after pauses."""


def methods(name, answer):
    """Those that take no pauses: a login at a service that is not there takes many."""
    paused = RESENT if answer not in ("denied", "wrong") else set()
    if name == "az-secret":
        paused = {*RESENT, "delete if match"}
    return [method for method in METHODS if method not in paused]


def chain(error):
    """An exception with all that it keeps, shown or not."""
    todo, seen = [error], []
    while todo:
        one = todo.pop()
        if one is not None and one not in seen:
            seen.append(one)
            todo += [one.__cause__, one.__context__, getattr(one, "cause", None)]
    return seen


def check(error):
    """No secret in an exception: as it is printed, what it keeps, and as it is sent elsewhere."""
    shown = ["".join(traceback.format_exception(error))]
    for one in chain(error):
        shown += [repr(one), str(one), repr(vars(one))]
        with suppress(TypeError, AttributeError):  # of what does not pickle
            shown.append(repr(pickle.dumps(one)))
    assert [text for text in shown if any(secret in text for secret in PLANTED)] == []


def attempt(method, driver):
    """The exception that a method raises or returns, if it does."""
    try:
        outcome = METHODS[method](driver)
    except AtomicManifestError as error:
        return error
    return outcome.cause if isinstance(outcome, Unanswered) else None


class Waiting:
    """An asynchronous driver, each of whose coroutines is waited for."""

    def __init__(self, driver, runner):
        self.driver = driver
        self.runner = runner

    def __getattr__(self, name):
        method = getattr(self.driver, name)

        def call(*args, **options):
            result = method(*args, **options)
            if hasattr(result, "__aiter__"):
                return self.runner.run(self._all(result))
            result = self.runner.run(result)
            return Waiting(result, self.runner) if name == "start_upload" else result

        return call

    async def _all(self, items):
        return [item async for item in items]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", NAMES)
def test_no_method_of_a_driver_tells_a_secret(name, answer, scripted, tmp_path):
    store = drivers(scripted.url, tmp_path)[name]()
    failed = 0
    for method in methods(name, answer):
        scripted._answers.clear()
        scripted.script(*[ANSWERS[answer]] * 20)
        error = attempt(method, store.driver)
        if error is not None:
            failed += 1
            check(error)
    assert failed or answer == "nonsense"


@pytest.mark.parametrize("answer", ["denied", "moved", "dropped"])
@pytest.mark.parametrize("name", ["s3", "gs", "az-sas", "s3fs", "gcsfs", "adlfs", "http-token"])
def test_no_method_of_an_asynchronous_driver_tells_a_secret(name, answer, scripted, tmp_path):
    driver = drivers(scripted.url, tmp_path)[name]().driver
    with asyncio.Runner() as runner:
        opened = driver.as_async() if hasattr(driver, "as_async") else InThreads(driver, threads=2)
        waiting = Waiting(opened, runner)
        for method in methods(name, answer):
            scripted._answers.clear()
            scripted.script(*[ANSWERS[answer]] * 20)
            error = attempt(method, waiting)
            assert error is None or check(error) is None
        runner.run(opened.close())


@pytest.mark.parametrize("kind", [OSError, ValueError, KeyError, TimeoutError, PermissionError])
def test_no_text_of_a_filesystem_is_told(kind, monkeypatch):
    monkeypatch.setattr(Leaky, "kind", kind)
    driver = open_store("t", filesystem=Leaky()).driver
    errors = [attempt(method, driver) for method in METHODS]
    assert all(errors)
    for error in errors:
        check(error)


@pytest.mark.parametrize("name", NAMES)
def test_no_representation_of_a_store_shows_a_secret(name, scripted, tmp_path):
    store = drivers(scripted.url, tmp_path)[name]()
    objects = [store, store.driver, AsyncObjectStore.of(store), getattr(store.driver, "terms", "")]
    shown = [f"{each!r} {each} {each:}" for each in objects] + [store.url]
    assert [text for text in shown if any(secret in text for secret in PLANTED)] == []


@pytest.mark.parametrize("kind", [HttpDriver, RemoteDriver, FsspecDriver, PlainFilesystemDriver])
def test_what_was_refused_while_it_was_built_can_be_shown(kind):
    assert kind.__name__ in repr(kind.__new__(kind))


def test_debugger_can_show_what_an_error_left_behind():
    with pytest.raises(InvalidPath) as raised:
        HttpDriver(f"http://u:{SECRET}@host/t")
    frame = raised.tb
    while frame is not None:
        for value in frame.tb_frame.f_locals.values():
            if isinstance(value, HttpDriver):
                assert SECRET not in repr(value)
        frame = frame.tb_next
    assert SECRET not in repr(raised.value)


@pytest.mark.parametrize("name", NAMES)
def test_store_is_not_pickled_with_its_secrets(name, scripted, tmp_path):
    store = drivers(scripted.url, tmp_path)[name]()
    for each in (store, store.driver, AsyncObjectStore.of(store)):
        with pytest.raises(TypeError, match="open the store there"):
            pickle.dumps(each)
