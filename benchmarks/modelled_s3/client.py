"""Starting the modelled S3 as a process of its own, and talking to its control side."""

import http.client
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.endpoint import S3Endpoint

_ROOT = Path(__file__).parents[2]
_bucket_numbers = itertools.count()


class ModelledS3(S3Endpoint):
    """A running modelled S3."""

    def stats(self) -> dict[str, Any]:
        """Counts since the start or the last `reset`; see `benchmarks.modelled_s3.server`."""
        report: dict[str, Any] = json.loads(self._ask("GET", "/_stats"))
        return report

    def requests(self) -> list[tuple[str, str, int]]:
        """The last requests in order: operation, key (of a listing: prefix), status (0: cut off)."""
        return [tuple(each) for each in json.loads(self._ask("GET", "/_requests"))]

    def reset(self, *, keep_objects: bool = False) -> None:
        """Forget counts, scripted faults and, unless told otherwise, all buckets."""
        self._ask("POST", "/_reset?keep=objects" if keep_objects else "/_reset")

    def inject(self, *faults: Mapping[str, Any]) -> None:
        """Script faults, such as `{"kind": "lost_after", "method": "PUT", "match": "_delta_log"}`.

        The fields are those of `benchmarks.modelled_s3.faults.Scripted`.
        """
        self._ask("POST", "/_faults", json.dumps(faults).encode())

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Fail requests at random from now on, `{"lost": 0.01, "503": 0.01}`; none if empty."""
        self._ask("POST", "/_rates", json.dumps(rates).encode())

    def new_bucket(self) -> str:
        """Create a fresh, empty bucket and return its name."""
        name = f"bucket-{next(_bucket_numbers)}"
        self._ask("PUT", f"/{name}")
        return name

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        address = urlsplit(self.endpoint_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        with closing(connection):
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{method} {path} was answered {response.status}: {answer!r}")
        return answer


@contextmanager
def start_modelled_s3(**options: float | str) -> Iterator[ModelledS3]:
    """Run the modelled S3 for the length of the block.

    Args:
        **options: Those of the command line, `put_ms=30` for `--put-ms 30`. Without any, requests
            take no modelled time and none fails.
    """
    flags = (f"--{name.replace('_', '-')}={value}" for name, value in options.items())
    argv = [sys.executable, "-m", "benchmarks.modelled_s3", *flags]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=_ROOT) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the modelled S3 ended at once: {process.wait()}")
            yield ModelledS3("modelled", json.loads(line)["url"], "testing-key", "testing-secret")
        finally:
            process.terminate()
