"""The guides to the store floor: every block of Python runs, and the driver shown passes the suite."""

import re
from pathlib import Path

import pytest

from atomic_manifest.store import open as opening
from atomic_manifest.testing import Fault, StoreConformance

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run(name):
    """The names after all blocks of a page have run, one after the other."""
    names = {"__name__": name}
    text = (DOCS / name).read_text(encoding="utf-8")
    for number, block in enumerate(BLOCK.findall(text), 1):
        exec(compile(block, f"{name}, block {number}", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def _fresh_memories(monkeypatch):
    monkeypatch.setattr(opening, "_memories", {})


def test_every_block_of_the_guide_to_the_store_runs():
    assert "count" in run("store.md")


def test_every_block_of_the_guide_for_drivers_runs(capsys):
    assert issubclass(run("drivers.md")["TestDictDriver"], StoreConformance)
    assert capsys.readouterr().out


def test_every_fault_is_in_the_guide_for_drivers():
    text = (DOCS / "drivers.md").read_text(encoding="utf-8")
    assert [fault.name for fault in Fault if f"`{fault.name}`" not in text] == []


_shown = run("drivers.md")


class TestShownDriver(_shown["TestDictDriver"]):
    @pytest.fixture
    def driver(self):
        return _shown["DictDriver"]()
