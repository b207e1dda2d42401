"""The commands and their arguments. What a command does is in a module of its own."""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from atomic_manifest.cli.demo.command import DemoOptions, run_demo
from atomic_manifest.cli.probe import run_probe
from atomic_manifest.env import SYSTEM
from atomic_manifest.errors import AtomicManifestError
from atomic_manifest.store.probe import ROUNDS
from atomic_manifest.version import VERSION

app = typer.Typer(
    help="Serializable table commits on plain object storage.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

_USAGE_ERROR = 2
_NO_MORE = {"allow_extra_args": True}
"""Arguments too many are refused here, since click shows them, and one can be an option's value."""


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def common(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Serializable table commits on plain object storage."""


@app.command(context_settings=_NO_MORE)
def demo(
    context: typer.Context,
    uri: Annotated[
        str | None,
        typer.Option(
            help="Where to make the table: s3://..., a path. Default: a new temporary folder."
        ),
    ] = None,
    writers: Annotated[int, typer.Option(min=1, help="Writer processes.")] = 6,
    commits: Annotated[int, typer.Option(min=1, help="Commits of each writer.")] = 20,
    kills: Annotated[int, typer.Option(min=0, help="Writers to kill on the way.")] = 4,
    storage_option: Annotated[
        list[str] | None,
        typer.Option("--storage-option", "-o", metavar="NAME=VALUE", help="May be repeated."),
    ] = None,
) -> None:
    """Ingest a year of flights with several processes at once, kill some, and verify every row."""
    _refuse_more(context)
    options = DemoOptions(
        uri=uri,
        writers=writers,
        commits=commits,
        kills=kills,
        storage_options=dict(_pair(text) for text in storage_option or ()),
    )
    console = Console()
    try:
        verified = run_demo(options, console, SYSTEM)
    except AtomicManifestError as error:
        console.print(_words(error), highlight=False)
        raise typer.Exit(_USAGE_ERROR) from None
    if not verified:
        raise typer.Exit(1)


@app.command(context_settings=_NO_MORE)
def probe(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Where to probe: s3://bucket/folder, a path.")],
    storage_option: Annotated[
        list[str] | None,
        typer.Option("--storage-option", "-o", metavar="NAME=VALUE", help="May be repeated."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Races of each check, at most; more find rarer failures.")
    ] = ROUNDS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 - typer's flag
) -> None:
    """Race writers on a store to learn which conditional requests it does atomically.

    Exit code 0: safe for tables; 1: not safe; 2: it could not be probed. Keys below a prefix of the
    probe's own are written and removed.
    """
    _refuse_more(context)
    options = dict(_pair(text) for text in storage_option or ())
    try:
        safe = run_probe(
            url, options, rounds=rounds, as_json=as_json, console=Console(), env=SYSTEM
        )
    except AtomicManifestError as error:
        Console(stderr=True).print(_words(error), highlight=False)
        raise typer.Exit(_USAGE_ERROR) from None
    if not safe:
        raise typer.Exit(1)


def _words(error: AtomicManifestError) -> str:
    """What went wrong, as markup in which brackets of its own words are none."""
    return f"[red]{type(error).__name__}[/]: {escape(str(error))}"


def _refuse_more(context: typer.Context) -> None:
    if context.args:
        raise typer.BadParameter(
            f"{len(context.args)} arguments too many (not shown): write each option as -o NAME=VALUE"
        )


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise typer.BadParameter("expected NAME=VALUE, got a text without = (not shown)")
    return name, value
