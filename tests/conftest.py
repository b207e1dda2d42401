"""Servers shared by all tests, and the account of them at the end of a run."""

from collections.abc import Iterator

import pytest

from benchmarks.modelled_s3 import ModelledS3, start_modelled_s3
from tests.servers.process import ServerUnavailableError
from tests.servers.start import STARTERS, S3Server

SERVER_FIXTURES = {*STARTERS, "s3_server"}
outcomes = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[outcomes] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a real server, so that `-m "not servers"` leaves it out."""
    for item in items:
        if SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which servers ran and why others did not."""
    if config.stash[outcomes]:
        terminalreporter.section("servers")
        for name, outcome in config.stash[outcomes].items():
            terminalreporter.write_line(f"{name}: {outcome}")


def _server(
    name: str, config: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    try:
        with STARTERS[name](tmp_path_factory.mktemp(name)) as server:
            config.stash[outcomes][name] = f"ran at {server.endpoint_url}"
            yield server
    except ServerUnavailableError as error:
        config.stash[outcomes][name] = f"skipped: {error}"
        pytest.skip(f"{name}: {error}")


@pytest.fixture(scope="session")
def ministack(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    """MiniStack."""
    yield from _server("ministack", pytestconfig, tmp_path_factory)


@pytest.fixture(scope="session")
def seaweedfs(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    """SeaweedFS, which checks signatures."""
    yield from _server("seaweedfs", pytestconfig, tmp_path_factory)


@pytest.fixture(scope="session")
def moto(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    """Moto's server."""
    yield from _server("moto", pytestconfig, tmp_path_factory)


@pytest.fixture(scope="session")
def minio(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    """MinIO, where Docker runs."""
    yield from _server("minio", pytestconfig, tmp_path_factory)


@pytest.fixture(scope="session", params=list(STARTERS))
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Each real S3 service in turn."""
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
