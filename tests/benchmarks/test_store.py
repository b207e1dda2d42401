"""The benchmark of the store floor measures every contestant, and writes what it prints."""

import json

from typer.testing import CliRunner

from benchmarks import store
from benchmarks.__main__ import app


def test_command_prints_and_writes_the_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "WARM_UP", 1)
    monkeypatch.setattr(store, "IMPORT_RUNS", 1)
    monkeypatch.setattr(store, "IMPORTS", ("atomic_manifest.store",))
    figures = tmp_path / "figures.json"
    result = CliRunner().invoke(app, ["store", "--puts", "3", "--json", str(figures)])
    assert result.exit_code == 0, result.output
    assert "Processor time" in result.output
    told = json.loads(figures.read_text())
    assert told["cpu_seconds_per_put"].keys() == store.CONTESTANTS.keys()
    assert told["import_seconds"].keys() == set(store.IMPORTS)


def test_contestants_create_and_do_not_replace(modelled_s3):
    from contextlib import ExitStack

    for make in store.CONTESTANTS.values():
        with ExitStack() as stack:
            put = make(modelled_s3, modelled_s3.new_bucket(), stack)
            put("k")
            try:
                put("k")
            except Exception:
                continue
            raise AssertionError(f"{make.__name__} replaced an object")
