"""The real S3 services the tests talk to, each started on free ports of 127.0.0.1.

Every starter is a context manager that yields an `S3Server` ready to take objects. It raises
`ServerUnavailableError` where the service is not to be had, which skips tests, and
`ServerStartError` where it is but does not come up, which fails them.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.endpoint import S3Endpoint
from tests.servers.process import HOST, ServerUnavailableError, free_ports, running

KEY, SECRET = "testing-key", "testing-secret"
SEAWEEDFS_ROLES = ("master", "volume", "filer", "s3")
_bucket_numbers = itertools.count()


class S3Server(S3Endpoint):
    """A running S3 service."""

    def client(self) -> Any:
        """A boto3 client, to be closed by the caller; it neither retries nor adds checksums,
        which some services refuse."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=self.region,
            config=Config(
                connect_timeout=2,
                read_timeout=10,
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"},
            ),
        )

    def new_bucket(self) -> str:
        """Create a fresh, empty bucket and return its name."""
        name = f"bucket-{os.getpid()}-{next(_bucket_numbers)}"
        with closing(self.client()) as client:
            client.create_bucket(Bucket=name)
        return name

    def obstore(self, bucket: str) -> Any:
        """An obstore store on a bucket, for tests that ask the service without our own code."""
        from obstore.store import S3Store

        return S3Store(
            bucket,
            endpoint=self.endpoint_url,
            access_key_id=self.key,
            secret_access_key=self.secret,
            region=self.region,
            client_options={"allow_http": True},
            virtual_hosted_style_request=False,
        )

    def takes_objects(self) -> bool:
        """Ask the service for what tests need: a bucket and an object in it."""
        with closing(self.client()) as client:
            client.create_bucket(Bucket="ready-probe")
            client.put_object(Bucket="ready-probe", Key="ready", Body=b"yes")
        return True


def _program(name: str) -> str:
    """The command beside this interpreter, or on the path."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ServerUnavailableError(f"the command `{name}` is not installed")
    return found


@contextmanager
def start_ministack(folder: Path) -> Iterator[S3Server]:
    """MiniStack, an AWS emulator."""
    (port,) = free_ports(1)
    server = S3Server("ministack", f"http://{HOST}:{port}", KEY, SECRET)
    env = {
        "SERVICES": "s3",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        # Listeners on fixed ports would keep a second server, of another test run, from starting.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
    }
    log = folder / "ministack.log"
    with running([_program("ministack")], log=log, is_ready=server.takes_objects, env=env):
        yield server


@contextmanager
def start_moto(folder: Path) -> Iterator[S3Server]:
    """Moto's stand-alone server."""
    (port,) = free_ports(1)
    server = S3Server("moto", f"http://{HOST}:{port}", KEY, SECRET)
    argv = [_program("moto_server"), "-H", HOST, "-p", str(port)]
    with running(argv, log=folder / "moto.log", is_ready=server.takes_objects):
        yield server


@contextmanager
def start_seaweedfs(folder: Path) -> Iterator[S3Server]:
    """SeaweedFS: master, volume server, filer and S3 gateway in one process; checks signatures."""
    options = [f"{role}.port{kind}" for role in SEAWEEDFS_ROLES for kind in ("", ".grpc")]
    ports = dict(zip(options, free_ports(len(options)), strict=True))
    server = S3Server("seaweedfs", f"http://{HOST}:{ports['s3.port']}", KEY, SECRET)
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    data = folder / "data"
    data.mkdir()
    argv = [
        _program("weed"),
        "-logtostderr=true",
        "server",
        f"-dir={data}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        "-s3",
        f"-s3.config={config}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=200",
        "-volume.preStopSeconds=0",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    log = folder / "seaweedfs.log"
    try:
        with running(argv, log=log, is_ready=server.takes_objects):
            yield server
    finally:
        # These it leaves behind, and no option moves them.
        for role, kind in itertools.product(SEAWEEDFS_ROLES, ("", "-grpc")):
            port = ports[f"{role}.port{kind.replace('-', '.')}"]
            Path(f"/tmp/seaweedfs-{role}{kind}-{port}.sock").unlink(missing_ok=True)


@contextmanager
def start_minio(folder: Path) -> Iterator[S3Server]:
    """MinIO in a container, where Docker runs."""
    asked = subprocess.run([_program("docker"), "info"], capture_output=True, check=False)
    if asked.returncode != 0:
        raise ServerUnavailableError("Docker does not run here")
    with warnings.catch_warnings():
        # Its modules move from release to release, and warn of it.
        warnings.simplefilter("ignore")
        try:
            from testcontainers.minio import MinioContainer
        except ImportError as error:
            raise ServerUnavailableError(f"testcontainers is not installed: {error}") from error
        try:
            container = MinioContainer().start()
        except Exception as error:
            raise ServerUnavailableError(f"no MinIO container: {error}") from error
    try:
        address = container.get_config()
        endpoint = f"http://{address['endpoint']}"
        yield S3Server("minio", endpoint, address["access_key"], address["secret_key"])
    finally:
        container.stop()


STARTERS: dict[str, Callable[[Path], AbstractContextManager[S3Server]]] = {
    "ministack": start_ministack,
    "seaweedfs": start_seaweedfs,
    "moto": start_moto,
    "minio": start_minio,
}
