"""The modelled S3 with one way only to create an object if it is absent; it ignores all others.

| mechanism | what it honours |
| --- | --- |
| `gcs` | `x-goog-if-generation-match: 0` of a PUT, answered 412 |
| `oss`, `cos` | `x-oss-forbid-overwrite: true`, `x-cos-forbid-overwrite: true`, answered 409 |
| `upload` | `If-None-Match: *` of the completion of a multipart upload |
| `copy` | `If-None-Match: *` of a copy |
| `none` | nothing |

`oss` and `cos` answer a conditional PUT 501, as those services do.
"""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.modelled_s3 import ModelledS3
from benchmarks.modelled_s3.faults import FaultPlan
from benchmarks.modelled_s3.operations import Call, Operation, Reply, error_reply
from benchmarks.modelled_s3.server import HOST, ModelledService, serve
from benchmarks.modelled_s3.state import S3Error

ROOT = Path(__file__).parents[2]
CONDITIONS = {"if-match", "if-none-match"}
HEADERS = {
    "gcs": ("x-goog-if-generation-match", "0"),
    "oss": ("x-oss-forbid-overwrite", "true"),
    "cos": ("x-cos-forbid-overwrite", "true"),
}
OPERATIONS = {"upload": "CompleteMultipartUpload", "copy": "CopyObject"}
MECHANISMS = (*HEADERS, *OPERATIONS, "none")


class OneMechanism(ModelledService):
    """See the module docstring."""

    def __init__(self, mechanism: str) -> None:
        super().__init__({}, FaultPlan({}))
        self._mechanism = mechanism

    def _run(self, operation: Operation, call: Call) -> Reply:
        sent = {name.lower(): value for name, value in call.headers.items()}
        conditional = CONDITIONS & sent.keys() and operation.name == "PutObject"
        if conditional and self._mechanism in ("oss", "cos"):
            return error_reply(S3Error(501, "NotImplemented", "A header is not."), call)
        honoured = OPERATIONS.get(self._mechanism) == operation.name
        reads = call.method in ("GET", "HEAD")
        kept = {k: v for k, v in sent.items() if k not in CONDITIONS or honoured or reads}
        name, value = HEADERS.get(self._mechanism, ("", ""))
        forbids = operation.name == "PutObject" and name and sent.get(name) == value
        if forbids:
            kept["if-none-match"] = "*"
        reply = super()._run(operation, replace(call, headers=Headers(kept)))
        if forbids and reply.status == 412 and self._mechanism != "gcs":
            return error_reply(S3Error(409, "FileAlreadyExists", "It exists."), call)
        return reply


class Headers(dict[str, str]):
    """Looks names up whatever their case."""

    def get(self, name: str, default: str | None = None) -> str | None:
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())


@contextmanager
def start_one_mechanism(mechanism: str) -> Iterator[ModelledS3]:
    """Run it in a process of its own for the length of the block."""
    argv = [sys.executable, "-m", "tests.servers.one_mechanism", mechanism]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            line = process.stdout.readline()
            url = json.loads(line)["url"]
            yield ModelledS3(f"only-{mechanism}", url, "testing-key", "testing-secret")
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mechanism", choices=MECHANISMS)
    service = OneMechanism(parser.parse_args().mechanism)

    def announce(port: int) -> None:
        print(json.dumps({"url": f"http://{HOST}:{port}"}), flush=True)

    asyncio.run(serve(service, 0, announce))


if __name__ == "__main__":
    main()
