"""The modelled S3 over HTTP: latency, faults, counts and control around the pure operations.

The latency of a request runs from its arrival, so what the processor needs for it hides behind the
modelled time. A request takes effect at one instant, half-way through its latency: two requests in
flight at once are ordered by those instants, as they would be at a service.

Control, outside the S3 namespace (bucket names cannot start with `_`):

* `GET /_stats`: what was asked, as `{"requests": {operation: {kind: n}}, "statuses": {...}, "faults":
  {...}, "bytes_in": n, "bytes_out": n, "cpu_seconds": s}`. The kind of a request is what it is about:
  see `KINDS`. `cpu_seconds` is the processor time of this service.
* `GET /_requests`: the last requests in order, as `[operation, key, status]` (0: cut off).
* `POST /_reset`: forget objects, counts and scripted faults; `?keep=objects` keeps the objects.
* `POST /_faults`: a JSON list of `Scripted` faults to add.
* `POST /_rates`: the probabilities of random faults from now on, as JSON by kind.
"""

import asyncio
import json
import signal
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from benchmarks.modelled_s3.faults import Fault, FaultPlan
from benchmarks.modelled_s3.operations import Call, Operation, Reply, error_reply
from benchmarks.modelled_s3.routes import find_operation
from benchmarks.modelled_s3.state import Buckets, S3Error

HOST = "127.0.0.1"
REQUESTS_KEPT = 10_000
CUT_OFF = 0

# What a request is about, by the first folder here that its key names (of a listing: its prefix, of
# a batched delete: any of its keys). The log is Delta's or, of Lance, its manifests.
KINDS = {
    "_delta_log": "log",
    "_versions": "log",
    "_transactions": "transactions",
    "_atomic_manifest": "intents",
}
OTHER_KIND = "data"


class Stats:
    """Counts of what was asked and answered."""

    def __init__(self) -> None:
        self.requests: dict[str, Counter[str]] = defaultdict(Counter)
        self.statuses: Counter[str] = Counter()
        self.recent: deque[tuple[str, str, int]] = deque(maxlen=REQUESTS_KEPT)
        self.bytes_in = self.bytes_out = 0
        self.cpu_before = time.process_time()

    def count(self, operation: Operation, call: Call, reply: Reply | None) -> None:
        """Take note of a request and its reply, None where it was cut off."""
        status = reply.status if reply else CUT_OFF
        self.requests[operation.name][_kind(call)] += 1
        self.statuses[f"{operation.name} {status}"] += 1
        self.recent.append((operation.name, call.about, status))
        self.bytes_in += len(call.body)
        self.bytes_out += len(reply.body) if reply else 0


def _kind(call: Call) -> str:
    about = call.about or call.body.decode(errors="replace")
    return next((kind for folder, kind in KINDS.items() if folder in about), OTHER_KIND)


class ModelledService:
    """The service behind the HTTP server.

    Args:
        latency_seconds: By latency class: put, get, list, head, delete.
        faults: What goes wrong.
    """

    def __init__(self, latency_seconds: Mapping[str, float], faults: FaultPlan) -> None:
        self._latency = latency_seconds
        self._faults = faults
        self._buckets = Buckets()
        self._stats = Stats()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one HTTP request."""
        arrived = asyncio.get_running_loop().time()
        call = await _read_call(request)
        if call.bucket.startswith("_"):
            return _response(self._control(call))
        reply = await self._serve(call, arrived)
        if reply is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return _response(reply)

    async def _serve(self, call: Call, arrived: float) -> Reply | None:
        operation = find_operation(call)
        fault: Fault | None = None
        if operation.latency is not None:
            method = "LIST" if operation.latency == "list" else call.method
            fault = self._faults.next(method, call.about)
        latency = self._latency.get(operation.latency or "", 0.0)
        await _sleep_until(arrived + latency / 2)
        reply: Reply | None = None
        if fault is None or fault.lands:
            reply = self._run(operation, call)
        await _sleep_until(arrived + latency)
        if fault is not None:
            reply = _fault_reply(fault, call)
        self._stats.count(operation, call, reply)
        return reply

    def _run(self, operation: Operation, call: Call) -> Reply:
        try:
            return operation.run(self._buckets, call)
        except S3Error as error:
            return error_reply(error, call)

    def _control(self, call: Call) -> Reply:
        match call.method, call.bucket:
            case "GET", "_stats":
                return _json(self._report())
            case "GET", "_requests":
                return _json(list(self._stats.recent))
            case "POST", "_reset":
                self._stats = Stats()
                self._faults.clear()
                if call.query.get("keep") != "objects":
                    self._buckets = Buckets()
                return _json({})
            case "POST", "_faults":
                return self._plan(self._faults.script, call.body)
            case "POST", "_rates":
                return self._plan(self._faults.set_rates, call.body)
        return Reply(404)

    def _plan(self, change: Callable[[Any], None], body: bytes) -> Reply:
        try:
            change(json.loads(body))
        except (TypeError, ValueError) as error:
            return Reply(400, str(error).encode())
        return _json({})

    def _report(self) -> dict[str, Any]:
        return {
            "requests": self._stats.requests,
            "statuses": self._stats.statuses,
            "faults": self._faults.counts,
            "bytes_in": self._stats.bytes_in,
            "bytes_out": self._stats.bytes_out,
            "cpu_seconds": time.process_time() - self._stats.cpu_before,
        }


async def _read_call(request: web.BaseRequest) -> Call:
    path, _, query = request.raw_path.partition("?")
    bucket, _, key = path.lstrip("/").partition("/")
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    body = await request.content.read() if request.body_exists else b""
    if request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        body = decode_aws_chunked(body)
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    return Call(request.method, unquote(bucket), unquote(key), parameters, request.headers, body)


def decode_aws_chunked(body: bytes) -> bytes:
    """The payload of a body in `aws-chunked` encoding; signatures and trailers are not checked."""
    pieces: list[bytes] = []
    at = 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].partition(b";")[0], 16)
        if size == 0:
            return b"".join(pieces)
        pieces.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2


async def _sleep_until(moment: float) -> None:
    if (remaining := moment - asyncio.get_running_loop().time()) > 0:
        await asyncio.sleep(remaining)


def _fault_reply(fault: Fault, call: Call) -> Reply | None:
    if fault.status is None:
        return None
    return error_reply(S3Error(fault.status, fault.code, "A modelled fault."), call)


def _json(value: object) -> Reply:
    return Reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=reply.headers)


async def serve(service: ModelledService, port: int, ready: Callable[[int], None]) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT.

    Args:
        service: What to serve.
        port: TCP port, 0 for a free one.
        ready: Told the port once connections are taken.
    """
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    # A body in gzip is an object's content here, so it must not be unpacked.
    runner = web.ServerRunner(web.Server(service.handle, access_log=None, auto_decompress=False))
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port, backlog=1024, shutdown_timeout=0).start()
        ready(runner.addresses[0][1])
        await stop.wait()
    finally:
        await runner.cleanup()
