"""`atomic-manifest probe`: what a store does with conditional requests, as a table or as JSON."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from atomic_manifest.env import Env
from atomic_manifest.store import open_store
from atomic_manifest.store.capabilities import Capabilities, Support
from atomic_manifest.store.probe import probe

_COLOURS = {
    Support.SAFE: "green",
    Support.SEQUENTIAL_ONLY: "red",
    Support.IGNORED: "red",
    Support.REFUSED: "yellow",
    Support.UNSUPPORTED: "bright_black",
    Support.UNTESTED: "bright_black",
}


def run_probe(
    url: str,
    storage_options: Mapping[str, Any],
    *,
    rounds: int,
    as_json: bool,
    console: Console,
    env: Env,
) -> bool:
    """Probe the store at `url` and print what was found. True if it is safe for tables.

    Raises:
        AtomicManifestError: Nothing can be written there.
    """
    store = open_store(url, storage_options, env=env)
    started = env.monotonic()
    with nullcontext() if as_json else console.status(f"racing writers at {store.url}"):
        found = probe(store, rounds=rounds)
    if as_json:
        console.file.write(found.to_json().decode() + "\n")
    else:
        report(found, console)
        console.print(f"[bright_black]{env.monotonic() - started:.1f} s[/]", highlight=False)
    return found.safe_for_tables


def report(found: Capabilities, console: Console) -> None:
    """Print findings as a table, and the verdict."""
    grid = Grid("check", "found", "why", title=f"Conditional requests at {found.endpoint}")
    for check, finding in found.findings():
        if finding.support is Support.UNTESTED and not finding.detail:
            continue
        verdict = Text(finding.support.value, style=_COLOURS[finding.support])
        grid.add_row(check, verdict, Text(finding.detail))
    grid.add_section()
    grid.add_row("etag_form", found.etag_form.value, "")
    grid.add_row("both_headers", found.both_headers.value, "If-Match and If-None-Match in one PUT")
    console.print(grid)
    if found.create_strategy is None:
        console.print(
            "[bold red]Not safe for tables:[/] several writers can win one version of the log."
        )
    else:
        console.print(
            f"[bold green]Safe for tables:[/] objects are created by {found.create_strategy.value}."
        )
