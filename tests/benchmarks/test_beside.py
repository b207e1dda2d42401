"""The benchmark beside hot writers of another library counts every writer's commits."""

import json

from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.beside import WRITERS, Share, of_an_equal_share


def test_each_writer_is_counted_and_ours_commit_beside_the_others(tmp_path):
    path = tmp_path / "figures.json"
    ran = CliRunner().invoke(app, ["beside", "--seconds", "3", "--json", str(path)])
    assert ran.exit_code == 0, ran.output
    told = json.loads(path.read_text())
    assert [share["writer"] for share in told["shares"]] == [*WRITERS]
    assert sum(s["commits"] for s in told["shares"] if s["writer"].startswith("our ")) > 0


def test_an_equal_share_is_one():
    shares = [Share("our delete", 5, 0, 0.1), Share("our transaction", 1, 0, 0.1)]
    shares += [Share("deltalake merge", 6, 9, 0.1)]
    assert of_an_equal_share(shares) == {
        "our delete": 1.25,
        "our transaction": 0.25,
        "deltalake merge": 1.5,
        "ours": 0.75,
    }
