"""`python -m benchmarks contention`: ours, `deltalake` and Lance where many writers meet.

For each number of writers the contestants run back to back, each on a fresh table of one modelled S3
in a process of its own. A writer is a process: it has imported, opened and appended to a table of its
own before all are let go at once.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.contention.faulty import BOUNDS, HASTY, HASTY_BOUNDS, faulty_run
from benchmarks.contention.figures import OURS, Figures, as_json, details, figures, table
from benchmarks.contention.plot import plot
from benchmarks.contention.run import Shape, run
from benchmarks.contention.verify import verify
from benchmarks.contention.writers import Bounds
from benchmarks.contestants import CONTESTANTS
from benchmarks.measuring import LATENCY_MS
from benchmarks.modelled_s3 import start_modelled_s3

WRITERS = "1,4,16,32,64"
BUSY = "2x16,2x32,4x16"
NICKNAMES = {"ours": OURS}


def measure(
    names: Sequence[str],
    shapes: Sequence[Shape],
    bounds: Bounds,
    latency_ms: dict[str, int] = LATENCY_MS,
) -> Iterator[Figures]:
    """Run every contestant with every shape of writers, and verify each table.

    Args:
        names: Contestants, keys of `CONTESTANTS`.
        shapes: The writers.
        bounds: When writers stop.
        latency_ms: Of the modelled service.
    """
    with start_modelled_s3(**latency_ms) as server:
        for shape in shapes:
            for name in names:
                result = run(server, name, shape, bounds)
                yield figures(result, verify(result.appends, result.contestant.contents()))
                server.reset()


def _shapes(writers: str, threads: int, *, busy: bool) -> list[Shape]:
    texts = [text for text in writers.split(",") if text]
    texts += [f"1x{threads}"] if threads else []
    texts += BUSY.split(",") if busy else []
    try:
        return [Shape.parse(text) for text in texts or WRITERS.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"writers: {error}") from None


def _names(only: str) -> list[str]:
    names = [NICKNAMES.get(name, name) for name in only.split(",") if name]
    if unknown := set(names) - CONTESTANTS.keys():
        raise typer.BadParameter(f"{sorted(unknown)} are none of {', '.join(CONTESTANTS)}")
    return names or list(CONTESTANTS)


def main(
    *,
    writers: Annotated[
        str, typer.Option(help=f"Processes, or processes x threads as 2x32. Alone: {WRITERS}")
    ] = "",
    threads: Annotated[
        int, typer.Option(min=0, help="One process of so many threads on one handle.")
    ] = 0,
    busy: Annotated[bool, typer.Option("--busy", help=f"Fewer, busier: {BUSY}.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each run.")] = 10.0,
    commits: Annotated[
        int, typer.Option(min=0, help="Appends of each writer at most; 0: no bound.")
    ] = 0,
    only: Annotated[str, typer.Option(help="Of ours,deltalake,lance.")] = "",
    faults: Annotated[
        bool, typer.Option("--faults", help="Instead: ours on a service that fails; is all true?")
    ] = False,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
    plot_path: Annotated[Path | None, typer.Option("--plot", help="Draw them here.")] = None,
) -> None:
    """Measure many writers of one table: ours, deltalake's and Lance's."""
    console = Console()
    if faults:
        _try_faults(console)
        return
    shapes, names = _shapes(writers, threads, busy=busy), _names(only)
    if plot_path is not None and not any(shape.threads == 1 for shape in shapes):
        raise typer.BadParameter("--plot draws writers that are processes: none are asked for")
    results: list[Figures] = []
    for each in measure(names, shapes, Bounds(seconds, commits or None)):
        results.append(each)
        console.print(f"{each.shape} {each.name}: {each.commits_per_second:.1f} commits/s")
    console.print(table(results))
    for line in details(results):
        console.print(line, highlight=False, soft_wrap=True)
    if json_path is not None:
        json_path.write_text(json.dumps(as_json(results), indent=2) + "\n")
    if plot_path is not None:
        plot(results, plot_path)


def _try_faults(console: Console) -> None:
    held = []
    for title, bounds, hasty in (
        ("patient writers", BOUNDS, None),
        (f"every second writer gives a commit {HASTY.seconds} s", HASTY_BOUNDS, HASTY),
    ):
        console.print(title, style="bold", highlight=False)
        outcome = faulty_run(bounds=bounds, hasty=hasty)
        for line in outcome.lines():
            console.print(line, highlight=False)
        held.append(outcome.holds)
    if not all(held):
        raise typer.Exit(1)
