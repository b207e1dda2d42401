"""The demo from start to verdict."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from atomic_manifest.cli.demo.flights import load_flights, slices
from atomic_manifest.cli.demo.verify import Check, verify
from atomic_manifest.cli.demo.worker import Task
from atomic_manifest.cli.demo.writers import WriterLog, run_writers
from atomic_manifest.env import Env
from atomic_manifest.errors import UnsupportedByStore
from atomic_manifest.table import Table

PARTITION = "month"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asks for.

    Attributes:
        uri: Where to make the table; None for a new temporary folder.
        writers: Processes at once.
        commits: Commits of each writer.
        kills: Kills in all, spread over the writers.
        storage_options: How to reach the store.
    """

    uri: str | None = None
    writers: int = 6
    commits: int = 20
    kills: int = 4
    storage_options: Mapping[str, Any] = field(default_factory=dict)


def run_demo(options: DemoOptions, console: Console, env: Env) -> bool:
    """Ingest, verify, report. True if every check holds.

    Raises:
        AtomicManifestError: The data package is missing, or the table cannot be made.
    """
    if (options.uri or "").lower().startswith("memory:"):
        raise UnsupportedByStore("the writers are processes, and a memory:// table is in one alone")
    source = load_flights()
    url = options.uri or f"{tempfile.mkdtemp(prefix='atomic-manifest-demo-')}/flights"
    Table.create(
        url, source.schema, partition_by=[PARTITION], storage_options=options.storage_options
    )
    console.print(
        f"{source.num_rows:,} flights, {options.writers} writer processes, "
        f"{options.writers * options.commits} commits, {options.kills} kills on the way"
    )
    with tempfile.TemporaryDirectory() as folder:
        tasks = _tasks(options, url, source, Path(folder) / "flights.arrow")
        started = env.monotonic()
        logs = _run_with_progress(tasks, _kills(options, env), console, env)
        seconds = env.monotonic() - started
    expected = [(task.app_id, index) for task in tasks for index in range(len(task.slices))]
    checks = verify(url, options.storage_options, source, expected)
    _report(console, url, logs, checks, seconds)
    return all(check.holds for check in checks) and not any(log.error for log in logs)


def _tasks(options: DemoOptions, url: str, source: pa.Table, file: Path) -> list[Task]:
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, source.schema) as writer:
        writer.write_table(source)
    dealt = slices(source.num_rows, options.writers, options.commits)
    return [
        Task(url, dict(options.storage_options), f"demo-writer-{number}", str(file), spans)
        for number, spans in enumerate(dealt)
    ]


def _kills(options: DemoOptions, env: Env) -> list[list[int]]:
    """For each writer, after which of its commits it is killed: never the last."""
    kills: list[list[int]] = [[] for _ in range(options.writers)]
    if options.commits > 1:
        for kill in range(options.kills):
            index = int(env.random() * (options.commits - 1))
            kills[kill % options.writers].append(index)
    return kills


def _run_with_progress(
    tasks: Sequence[Task], kills: Sequence[Sequence[int]], console: Console, env: Env
) -> list[WriterLog]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        bars = [progress.add_task(task.app_id, total=len(task.slices), note="") for task in tasks]

        def show(number: int, log: WriterLog) -> None:
            notes = [f"killed {log.kills}x, restarted"] if log.kills else []
            notes += [f"{log.retries} retries"] if log.retries else []
            progress.update(bars[number], completed=len(log.commits), note=", ".join(notes))

        return run_writers(tasks, kills, env, show)


def _report(
    console: Console,
    url: str,
    logs: Sequence[WriterLog],
    checks: Sequence[Check],
    seconds: float,
) -> None:
    for log in logs:
        if log.error:
            console.print("[red]a writer failed:[/]", escape(log.error), highlight=False)
    grid = Grid("check", "holds", "seen")
    for check in checks:
        grid.add_row(check.name, "[green]yes[/]" if check.holds else "[red]NO[/]", check.seen)
    console.print(grid)
    commits = sum(len(log.commits) for log in logs)
    repeats = sum(commit.already_committed for log in logs for commit in log.commits.values())
    console.print(
        f"{commits} commits in {seconds:.1f} s: {commits / seconds:.1f} commits/s with process starts, "
        f"{sum(log.retries for log in logs)} retries, {sum(log.kills for log in logs)} kills, "
        f"{repeats} commits found done by a killed writer"
    )
    console.print(f"The table: {url}", soft_wrap=True, highlight=False, markup=False)
