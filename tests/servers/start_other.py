"""Small S3 services that honour few conditions or none: what the probe must find out.

Programs of npm are looked for as `start_cloud` says. None of them is fit for tables but `localbucket`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.servers.process import HOST, free_ports, running
from tests.servers.start import KEY, SECRET, S3Server, _program
from tests.servers.start_cloud import node_program


@contextmanager
def start_localbucket(folder: Path) -> Iterator[S3Server]:
    """LocalBucket: folders as buckets; credentials are not checked."""
    (port,) = free_ports(1)
    server = S3Server("localbucket", f"http://{HOST}:{port}", KEY, SECRET)
    data = folder / "data"
    data.mkdir()
    argv = [_program("localbucket"), "--host", HOST, "--port", str(port), str(data)]
    with running(argv, log=folder / "localbucket.log", is_ready=server.takes_objects):
        yield server


@contextmanager
def start_nanio(folder: Path) -> Iterator[S3Server]:
    """nanio, which checks signatures."""
    (port,) = free_ports(1)
    server = S3Server("nanio", f"http://{HOST}:{port}", KEY, SECRET)
    argv = [_program("nanio"), "serve", "--host", HOST, "--port", str(port)]
    argv += ["--data-dir", str(folder / "data"), "--no-access-log", "--log-level", "warning"]
    env = {"NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET}
    with running(argv, log=folder / "nanio.log", is_ready=server.takes_objects, env=env):
        yield server


@contextmanager
def start_s3rver(folder: Path) -> Iterator[S3Server]:
    """S3rver, whose one pair of keys is its name."""
    (port,) = free_ports(1)
    server = S3Server("s3rver", f"http://{HOST}:{port}", "S3RVER", "S3RVER")
    argv = [node_program("s3rver"), "-d", str(folder / "data"), "-a", HOST, "-p", str(port), "-s"]
    with running(argv, log=folder / "s3rver.log", is_ready=server.takes_objects):
        yield server


OTHER_STARTERS: dict[str, Callable[[Path], AbstractContextManager[S3Server]]] = {
    "localbucket": start_localbucket,
    "nanio": start_nanio,
    "s3rver": start_s3rver,
}
