"""A real HTTP server whose answers a test writes down."""

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web

ETAG = '"0123"'


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    """Reset the connection instead of answering."""
    hang: bool = False
    """Do not answer while the server runs."""


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedServer:
    """Gives the scripted answers in turn, then 200 to everything; keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.url = ""
        self._answers: deque[Answer] = deque()
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._runner: web.ServerRunner
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def script(self, *answers: Answer | int) -> None:
        self._answers.extend(Answer(a) if isinstance(a, int) else a for a in answers)

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if "Expect" in request.headers and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        seen = Seen(
            request.method,
            str(request.rel_url),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
        )
        self.requests.append(seen)
        answer = self._answers.popleft() if self._answers else Answer()
        headers = {"ETag": ETAG, "Last-Modified": "Sat, 21 Nov 2026 08:00:00 GMT"}
        if answer.hang:
            await self._ending.wait()
        if answer.drop:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(
            status=answer.status, body=answer.body, headers=headers | answer.headers
        )

    async def _open(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
