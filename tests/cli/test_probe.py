"""`atomic-manifest probe`: a table, JSON, and an exit code."""

import json

import pytest
from typer.testing import CliRunner

from atomic_manifest.cli.app import app
from atomic_manifest.store.capabilities import Capabilities
from tests.servers.one_mechanism import start_one_mechanism


@pytest.fixture(scope="module")
def careless():
    with start_one_mechanism("none") as server:
        yield server


def options_of(server) -> list[str]:
    pairs = (f"{name}={value}" for name, value in server.storage_options.items())
    return [part for pair in pairs for part in ("--storage-option", pair)]


def run(*arguments: str):
    return CliRunner().invoke(app, ["probe", *arguments], env={"COLUMNS": "200"})


def test_safe_store_exits_with_0_and_shows_every_check(tmp_path):
    result = run(str(tmp_path), "--rounds", "2")
    assert result.exit_code == 0, result.output
    for check, _ in Capabilities(endpoint="", source="").findings():
        if "header" not in check and check != "bulk_delete":  # of services alone
            assert check in result.output
    assert "Safe for tables" in result.output


def test_unsafe_store_exits_with_1_and_says_why(careless):
    url = f"s3://{careless.new_bucket()}"
    result = run(url, *options_of(careless), "--rounds", "1")
    assert result.exit_code == 1, result.output
    assert "Not safe for tables" in result.output
    assert "a second create replaced the first" in result.output
    assert careless.secret not in result.output


def test_json_is_the_capabilities(careless):
    url = f"s3://{careless.new_bucket()}"
    result = run(url, *options_of(careless), "--rounds", "1", "--json")
    assert result.exit_code == 1
    assert Capabilities.from_json(result.stdout).put_if_absent.support.value == "ignored"
    assert json.loads(result.stdout)["endpoint"] == careless.endpoint_url


@pytest.mark.parametrize(
    "arguments", [["nowhere://x"], ["memory://x", "-o", "kye=1"], ["memory://x", "-o", "no-pair"]]
)
def test_what_cannot_be_probed_exits_with_2(arguments):
    assert run(*arguments).exit_code == 2


def test_a_bucket_that_is_not_there_exits_with_2(careless):
    result = run("s3://not-there", *options_of(careless))
    assert result.exit_code == 2
    assert "bucket" in result.output + result.stderr
