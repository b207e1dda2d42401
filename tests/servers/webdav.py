"""Two WebDAV servers: one that evaluates every condition at the instant of writing, and a real one.

`AtomicDav` is small and strict, in this process: one event loop, and between a condition's evaluation
and the write nothing else runs. `start_wsgidav` is WsgiDAV on Cheroot, which looks first and writes
after, tells ETags by the second, and creates what is to match and is not there.
"""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from aiohttp import web

from tests.servers.process import HOST, ServerUnavailableError, free_ports, running
from tests.servers.start import _program

CLASSES = "1, 2"


@dataclass(frozen=True)
class Stored:
    data: bytes
    etag: str
    modified: datetime


@dataclass
class Manners:
    """What the server does otherwise than usual; a test may change it at any time."""

    demands_conditions: bool = False
    weak: bool = False
    tells_etags_of_puts: bool = True
    classes: str = CLASSES
    answers: list[web.Response | None] = field(default_factory=list)
    """Given in turn instead of evaluating; None resets the connection after the request landed."""


class AtomicDav:
    """A server of WebDAV in memory; `requests` holds (method, path, headers) of what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.manners = Manners()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.connections: set[object] = set()
        self._objects: dict[str, Stored] = {}
        self._folders = {""}
        self._tags = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._runner: web.ServerRunner
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()
        path = unquote(request.raw_path.partition("?")[0]).rstrip("/")
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.method, path, headers))
        self.connections.add(request.transport)
        told = self.manners.answers.pop(0) if self.manners.answers else False
        if isinstance(told, web.Response):
            return told
        do = getattr(self, f"_{request.method.lower()}", None)
        response = web.Response(status=501) if do is None else do(path, headers, body)
        if told is None:
            assert request.transport is not None
            request.transport.abort()
        return response

    def _options(self, path, headers, body):
        return web.Response(headers={"DAV": self.manners.classes, "Allow": "GET, PUT, COPY, MKCOL"})

    def _get(self, path, headers, body):
        found = self._objects.get(path)
        if found is None:
            if path in self._folders:
                return web.Response(status=301, headers={"Location": f"{quote(path)}/"})
            return web.Response(status=404)
        told = {"ETag": self._tag(found), "Last-Modified": _date(found), "Accept-Ranges": "bytes"}
        if headers.get("if-none-match") in ("*", self._tag(found)):
            return web.Response(status=304, headers=told)
        data, status = found.data, 200
        if "range" in headers:
            first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
            if first >= len(data):
                return web.Response(status=416)
            told["Content-Range"] = f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}"
            data, status = data[first : last + 1], 206
        return web.Response(status=status, body=data, headers=told)

    _head = _get

    def _put(self, path, headers, body):
        if self.manners.demands_conditions and not {"if-match", "if-none-match"} & set(headers):
            return web.Response(status=428)
        if path in self._folders:
            return web.Response(status=405)
        if path.rpartition("/")[0] not in self._folders:
            return web.Response(status=409)
        current = self._objects.get(path)
        if not self._holds(headers, current):
            return self._failed(current)
        return self._store(path, body, new=current is None)

    def _delete(self, path, headers, body):
        if path in self._folders:
            if headers.get("depth", "infinity") != "infinity":
                return web.Response(status=400)
            below = (each for each in (*self._objects,) if each.startswith(f"{path}/"))
            for each in below:
                del self._objects[each]
            return web.Response(status=204)
        current = self._objects.get(path)
        if not self._holds(headers, current):
            return self._failed(current)
        if current is None:
            return web.Response(status=404)
        del self._objects[path]
        return web.Response(status=204)

    def _copy(self, path, headers, body):
        found = self._objects.get(path)
        if found is None:
            return web.Response(status=404)
        target = unquote(urlsplit(headers["destination"]).path)
        if target.rpartition("/")[0] not in self._folders:
            return web.Response(status=409)
        current = self._objects.get(target)
        listed = headers.get("if")
        unmatched = listed is not None and (current is None or f"[{current.etag}]" not in listed)
        taken = headers.get("overwrite") == "F" and current is not None
        if unmatched or taken or not self._holds(headers, found):
            return web.Response(status=412)
        return self._store(target, found.data, new=current is None)

    def _mkcol(self, path, headers, body):
        if path in self._folders or path in self._objects:
            return web.Response(status=405)
        if path.rpartition("/")[0] not in self._folders:
            return web.Response(status=409)
        self._folders.add(path)
        return web.Response(status=201)

    def _propfind(self, path, headers, body):
        if path not in self._folders and path not in self._objects:
            return web.Response(status=404)
        shown = [path]
        if headers["depth"] == "1" and path in self._folders:
            every = {*self._folders, *self._objects}
            shown += [each for each in every if each and each.rpartition("/")[0] == path]
        rows = "".join(self._row(each) for each in shown)
        text = f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{rows}</D:multistatus>'
        return web.Response(status=207, text=text, content_type="application/xml")

    def _row(self, path):
        if path in self._folders:
            href, found = f"{quote(path)}/", "<D:resourcetype><D:collection/></D:resourcetype>"
        else:
            stored, href = self._objects[path], quote(path)
            found = (
                f"<D:resourcetype/><D:getcontentlength>{len(stored.data)}</D:getcontentlength>"
                f"<D:getetag>{escape(self._tag(stored))}</D:getetag>"
                f"<D:getlastmodified>{_date(stored)}</D:getlastmodified>"
            )
        return (
            f"<D:response><D:href>{href}</D:href><D:propstat><D:prop>{found}</D:prop>"
            "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        )

    def _holds(self, headers, current):
        if "if-match" in headers:
            tags = [each.strip() for each in headers["if-match"].split(",")]
            return current is not None and ("*" in tags or current.etag in tags)
        return not ("if-none-match" in headers and current is not None)

    def _failed(self, current):
        told = {} if current is None else {"ETag": self._tag(current)}
        return web.Response(status=412, headers=told)

    def _store(self, path, data, *, new):
        stored = Stored(data, f'"{next(self._tags):x}"', datetime.now(UTC))
        self._objects[path] = stored
        told = {"ETag": self._tag(stored)} if self.manners.tells_etags_of_puts else {}
        return web.Response(status=201 if new else 204, headers=told)

    def _tag(self, stored):
        return f"W/{stored.etag}" if self.manners.weak else stored.etag

    async def _open(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer))
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _date(stored: Stored) -> str:
    return format_datetime(stored.modified, usegmt=True)


@dataclass(frozen=True)
class DavServer:
    """A running server."""

    endpoint_url: str


@contextmanager
def start_wsgidav(folder: Path) -> Iterator[DavServer]:
    """WsgiDAV on Cheroot, without its pages for browsers."""
    import http.client
    import importlib.util

    if importlib.util.find_spec("wsgidav") is None or importlib.util.find_spec("cheroot") is None:
        raise ServerUnavailableError("wsgidav and cheroot are not installed")
    (port,) = free_ports(1)
    root = folder / "root"
    root.mkdir()
    config = folder / "wsgidav.yaml"
    config.write_text("dir_browser:\n  enable: false\nlogging:\n  enable_loggers: []\n")
    argv = [_program("wsgidav"), "--host", HOST, "--port", str(port), "--root", str(root)]
    argv += ["--auth", "anonymous", "--server", "cheroot", "--config", str(config), "-q"]

    def is_ready() -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            connection.request("OPTIONS", "/")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    with running(argv, log=folder / "wsgidav.log", is_ready=is_ready):
        yield DavServer(f"http://{HOST}:{port}")
