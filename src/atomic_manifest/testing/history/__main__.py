"""`python -m atomic_manifest.testing.history`: run workers, kill some, and check what they recorded.

The exit code is 0 if all is as promised, 1 if not, 2 if the table cannot be used.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from atomic_manifest.commit.intent import Isolation
from atomic_manifest.errors import AtomicManifestError
from atomic_manifest.testing.history.journal import Outcome
from atomic_manifest.testing.history.run import Options, Report, run

_USAGE_ERROR = 2

app = typer.Typer(pretty_exceptions_show_locals=False)


@app.command()
def main(
    *,
    url: Annotated[
        str | None, typer.Option(help="Where to make the table. Default: a new temporary folder.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long workers work.")] = 8.0,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes at once.")] = 4,
    kills: Annotated[int, typer.Option(min=0, help="Workers to kill on the way.")] = 4,
    seed: Annotated[int, typer.Option(help="Of what workers do, and of the kills.")] = 0,
    weak: Annotated[
        bool, typer.Option("--weak", help="WriteSerializable instead of serializable.")
    ] = False,
    unpartitioned: Annotated[
        bool, typer.Option("--unpartitioned", help="A table without partitions.")
    ] = False,
    storage_option: Annotated[
        list[str] | None,
        typer.Option("--storage-option", "-o", metavar="NAME=VALUE", help="May be repeated."),
    ] = None,
    histories: Annotated[
        Path | None, typer.Option(help="Folder for what workers record. Default: a new one.")
    ] = None,
) -> None:
    """Check that concurrent, killed processes leave a serializable history."""
    folder = histories or Path(tempfile.mkdtemp(prefix="atomic-manifest-history-"))
    options = Options(
        url=url or str(folder / "table"),
        folder=folder / "histories",
        storage_options=dict(_pair(text) for text in storage_option or ()),
        seconds=seconds,
        workers=workers,
        kills=kills,
        seed=seed,
        isolation=Isolation.WRITE_SERIALIZABLE if weak else Isolation.SERIALIZABLE,
        partitioned=not unpartitioned,
    )
    console = Console()
    try:
        report = run(options)
    except AtomicManifestError as error:
        console.print(f"[red]{type(error).__name__}[/]: {error}", highlight=False)
        raise typer.Exit(_USAGE_ERROR) from None
    _print(console, options, report)
    if not report.holds:
        raise typer.Exit(1)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise typer.BadParameter(f"expected NAME=VALUE, got {name!r}")
    return name, value


def _print(console: Console, options: Options, report: Report) -> None:
    grid = Grid("operation", *(outcome.value for outcome in Outcome))
    for kind, outcomes in report.kinds.items():
        grid.add_row(kind, *(str(outcomes[outcome]) for outcome in Outcome))
    console.print(grid)
    for line in report.lines():
        console.print(line, highlight=False)
    for error in report.supervised.errors:
        console.print("[red]a worker failed:[/]", escape(error), highlight=False)
    for violation in report.violations:
        console.print("[red]VIOLATED[/]", escape(str(violation)), highlight=False, soft_wrap=True)
    console.print(f"The table: {options.url}", highlight=False, soft_wrap=True)
    console.print(f"Histories: {options.folder}", highlight=False, soft_wrap=True)
    console.print("[green]serializable[/]" if report.holds else "[red]NOT AS PROMISED[/]")


if __name__ == "__main__":
    app()
