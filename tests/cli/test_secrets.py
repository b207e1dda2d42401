"""No secret that is typed on the command line is printed."""

import pytest
from typer.testing import CliRunner

from atomic_manifest.cli.app import app

SECRET = "sEcReT"
AT = ["-o", "endpoint_url=http://127.0.0.1:9", "-o", "key=k", "-o", "timeout=1"]


@pytest.mark.parametrize("command", [["probe", "s3://b/t"], ["demo", "--uri", "s3://b/t"]])
@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", SECRET],
        ["-o", "key=k", f"secret={SECRET}"],
        ["-o", f"sekret={SECRET}"],
        ["-o", f"endpoint_url=http://u:{SECRET}@host"],
        ["-o", f"region={SECRET}?"],
        [*AT, "-o", f"secret={SECRET}"],
        [f"--storage-optoin=secret={SECRET}"],
    ],
)
def test_option_is_refused_without_its_value(command, arguments):
    done = CliRunner().invoke(app, [*command, *arguments])
    assert done.exit_code == 2
    assert SECRET not in done.output + str(done.exception)


@pytest.mark.parametrize(
    "url",
    [f"az://c/t?sig={SECRET}", f"s3://k:{SECRET}@b/t", f"https://u:{SECRET}@h/t", f"x:{SECRET}"],
)
def test_url_is_refused_without_its_secret(url):
    done = CliRunner().invoke(app, ["probe", url])
    assert done.exit_code == 2
    assert SECRET not in done.output
