"""Fixtures of the store floor's tests."""

import os
from collections.abc import Iterator

import pytest

from benchmarks.modelled_s3 import ModelledS3
from tests.conftest import server_fixture
from tests.servers.one_mechanism import MECHANISMS, start_one_mechanism
from tests.servers.start_other import OTHER_STARTERS
from tests.store.scripted import ScriptedServer


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_ambient_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing of the machine the tests run on: neither variables nor the AWS tools' files."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


localbucket = server_fixture(
    "localbucket", OTHER_STARTERS["localbucket"], "LocalBucket, which honours If-None-Match alone."
)
nanio = server_fixture("nanio", OTHER_STARTERS["nanio"], "nanio, which ignores every condition.")
s3rver = server_fixture(
    "s3rver", OTHER_STARTERS["s3rver"], "S3rver, which ignores every condition."
)


@pytest.fixture(scope="session", params=MECHANISMS[:-1])
def one_mechanism(request: pytest.FixtureRequest) -> Iterator[tuple[str, ModelledS3]]:
    """An S3 that honours one way only to create if absent, and the name of that."""
    with start_one_mechanism(request.param) as server:
        yield request.param, server


@pytest.fixture(scope="session")
def no_mechanism() -> Iterator[ModelledS3]:
    """An S3 that ignores every condition."""
    with start_one_mechanism("none") as server:
        yield server
