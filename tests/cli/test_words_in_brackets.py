"""What the user gave may have brackets: it is printed as it is, and is no markup."""

import pytest
from typer.testing import CliRunner

from atomic_manifest.cli.app import app


@pytest.mark.parametrize("command", [["probe"], ["demo", "--uri"]], ids=["probe", "demo"])
@pytest.mark.parametrize("option", ["[/x]", "[bold]"])
def test_an_error_is_printed_with_its_brackets(command, option):
    environment = {"COLUMNS": "200"}
    result = CliRunner().invoke(app, [*command, "s3://b/x", "-o", f"{option}=1"], env=environment)
    assert result.exit_code == 2, result.output
    assert f"InvalidStorageOption: storage option '{option}' is not known" in result.output


def test_the_demo_names_its_table_as_it_is(tmp_path):
    url = str(tmp_path / "[bold]trips")
    arguments = ["--uri", url, "--writers", "1", "--commits", "1", "--kills", "0"]
    result = CliRunner().invoke(app, ["demo", *arguments])
    assert f"The table: {url}" in result.output, result.output
