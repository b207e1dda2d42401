"""Servers shared by all tests, and the account of them at the end of a run."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from benchmarks.modelled_s3 import ModelledS3, start_modelled_s3
from tests.servers.process import ServerUnavailableError
from tests.servers.start import STARTERS, S3Server
from tests.servers.start_cloud import CLOUD_STARTERS

SERVERS: set[str] = {"s3_server"}
"""Names of the fixtures that are servers nobody here wrote; `server_fixture` adds them."""

outcomes = pytest.StashKey[dict[str, str]]()
_Server = TypeVar("_Server")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[outcomes] = {}


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name filters and Arrow values by what they say, without addresses: each process has others."""
    if not (isinstance(val, list | tuple) or type(val).__module__.startswith("pyarrow")):
        return None
    try:
        return _ADDRESS.sub("", str(val))
    except OverflowError:  # a value that no Python object can show
        return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a real server, so that `-m "not servers"` leaves it out."""
    for item in items:
        if SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which servers ran and why others did not."""
    if config.stash[outcomes]:
        terminalreporter.section("servers")
        for name, outcome in sorted(config.stash[outcomes].items()):
            terminalreporter.write_line(f"{name}: {outcome}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of pytest-xdist, hand the account to the one that prints it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["servers"] = session.config.stash[outcomes]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the account of a process of pytest-xdist."""
    node.config.stash[outcomes].update(getattr(node, "workeroutput", {}).get("servers", {}))


def server_fixture(
    name: str, start: Callable[[Path], AbstractContextManager[_Server]], about: str
) -> Callable[..., Iterator[_Server]]:
    """A fixture that runs a server for the whole session, or skips with the reason.

    Args:
        name: Of the fixture, and in the account at the end.
        start: Takes a folder for the server's files; gives something with an `endpoint_url`.
        about: What `pytest --fixtures` says.
    """
    SERVERS.add(name)

    @pytest.fixture(scope="session", name=name)
    def server(
        pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[_Server]:
        account = pytestconfig.stash[outcomes]
        try:
            with start(tmp_path_factory.mktemp(name)) as running:
                account[name] = f"ran at {running.endpoint_url}"  # type: ignore[attr-defined]
                yield running
        except ServerUnavailableError as error:
            account[name] = f"skipped: {error}"
            pytest.skip(f"{name}: {error}")

    server.__doc__ = about
    return server


ministack = server_fixture("ministack", STARTERS["ministack"], "MiniStack.")
seaweedfs = server_fixture(
    "seaweedfs", STARTERS["seaweedfs"], "SeaweedFS, which checks signatures."
)
moto = server_fixture("moto", STARTERS["moto"], "Moto's server.")
minio = server_fixture("minio", STARTERS["minio"], "MinIO, where Docker runs.")
azurite = server_fixture(
    "azurite", CLOUD_STARTERS["azurite"], "Azurite, which speaks Azure Blob Storage."
)
fake_gcs = server_fixture(
    "fake_gcs", CLOUD_STARTERS["fake_gcs"], "fake-gcs-server, which speaks Google Cloud Storage."
)


@pytest.fixture(scope="session", params=[name for name in STARTERS if name != "moto"])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Each real S3 service that tables are safe on, in turn.

    Moto is none: it looks whether the object is there and writes it later, so that under load several
    creators win, and tables refuse it as soon as the probe has seen that.
    """
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def _modelled_s3() -> Iterator[ModelledS3]:
    with start_modelled_s3() as server:
        yield server


@pytest.fixture
def modelled_s3(_modelled_s3: ModelledS3) -> ModelledS3:
    """The modelled S3 without latency, emptied: counts requests and fails them on demand."""
    _modelled_s3.reset()
    return _modelled_s3
