"""The page of safe stores shows what the probe prints."""

import re
from datetime import date

import pytest

from atomic_manifest.store import ObjectStore, open_store
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.probe import probe
from docs.probe_outputs import PAGE, STORES, block, with_block

QUICK = {"threads": 4, "rounds": 4}


def block_of(name: str) -> str:
    page = PAGE.read_text()
    return page.partition(f"<!-- probe: {name} -->\n")[2].partition("\n<!-- end of probe -->")[0]


@pytest.mark.parametrize("name", ["memory", "local"])
def test_the_page_shows_what_the_probe_prints_of(name, tmp_path):
    store = ObjectStore(MemoryDriver()) if name == "memory" else open_store(tmp_path)
    shown = block_of(name)
    day = date.fromisoformat(re.search(r"probed on (\S+):", shown)[1])
    assert shown == block(name, probe(store, **QUICK), "", day)


@pytest.mark.parametrize("name", sorted(STORES))
def test_the_page_has_the_output_of_every_store_with_version_and_day(name):
    shown = block_of(name)
    assert re.search(
        rf"^{re.escape(STORES[name][0])}( [\d.]+)?, probed on \d{{4}}-", shown, re.MULTILINE
    )
    assert "afe for tables" in shown


def test_a_page_without_the_place_is_an_error():
    with pytest.raises(ValueError, match="0 places"):
        with_block("nothing", "memory", "text")
