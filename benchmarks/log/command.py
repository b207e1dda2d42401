"""`python -m benchmarks log`: the log of tables with more and more files, ours and `deltalake`'s.

Each table's log is written once and shared: the entries are the same files, and each library adds its own
checkpoint. Every measure is made in a fresh process, so that nothing is warm and peak memory is true.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.log import tables
from benchmarks.log.measures import LIBRARIES

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 600
SLOW = 1.0  # seconds from which on a measure is made once

OURS, THEIRS = "atomic_manifest", "deltalake"


@dataclass(frozen=True, slots=True)
class Row:
    """One measure at one size.

    Attributes:
        what: Key of `TITLES`.
        files: Of the table.
        figures: By library; seconds, MiB or bytes. Less is better.
    """

    what: str
    files: int
    figures: dict[str, float]

    @property
    def ratio(self) -> float:
        """How many times `deltalake`'s figure is ours."""
        return self.figures[THEIRS] / max(self.figures[OURS], 1e-9)


TITLES = {
    "open": ("open for append", "ms"),
    "list": ("list all files of an open handle", "ms"),
    "open_and_list": ("open and list all files", "ms"),
    "paths": ("open and list all paths", "ms"),
    "partition": ("open and plan one partition", "ms"),
    "statistics": ("open and plan by statistics", "ms"),
    "append": ("processor time of an append, open handle", "ms"),
    "checkpoint": ("write a checkpoint", "ms"),
    "size": ("size of the checkpoint", "MiB"),
    "memory": ("peak memory of open and list", "MiB"),
    "paths_memory": ("peak memory of open and list paths", "MiB"),
}
_ORDER = ("open", "list", "open_and_list", "paths", "partition", "statistics", "append")
_MEMORY = {"open_and_list": "memory", "paths": "paths_memory"}


def measure(sizes: list[int], folder: Path) -> list[Row]:
    """Run the benchmark on tables that are made below `folder`."""
    return [row for files in sizes for row in _measured(files, folder / str(files))]


def _measured(files: int, folder: Path) -> list[Row]:
    tables.make(folder / "log", files)
    tables.make(folder / "warm", 1)
    paths = {name: tables.linked(folder / "log", folder / name) for name in LIBRARIES}
    written = {name: _run(name, "checkpoint", path, files) for name, path in paths.items()}
    rows = [
        Row("checkpoint", files, {name: each["seconds"] for name, each in written.items()}),
        Row("size", files, {name: each["bytes"] / 2**20 for name, each in written.items()}),
    ]
    idle = {name: _run(name, "import", path, files)["peak_mib"] for name, path in paths.items()}
    for what in _ORDER:
        found = {name: _best(name, what, path, files) for name, path in paths.items()}
        rows.append(Row(what, files, {name: each["seconds"] for name, each in found.items()}))
        if what in _MEMORY:
            peaks = {name: each["peak_mib"] - idle[name] for name, each in found.items()}
            rows.append(Row(_MEMORY[what], files, peaks))
    shutil.rmtree(folder)
    return rows


def _best(name: str, what: str, path: Path, files: int) -> dict[str, float]:
    """The fastest of a few runs, for the machine may have something else to do; one if it is slow."""
    found = _run(name, what, path, files)
    for _ in range(0 if what == "append" or found["seconds"] > SLOW else 2):
        found = min(found, _run(name, what, path, files), key=lambda run: run["seconds"])
    return found


def _run(name: str, what: str, path: Path, files: int) -> dict[str, float]:
    warm = path.parent / "warm"
    module = [sys.executable, "-m", "benchmarks.log.measures"]
    command = [*module, name, what, str(path), str(files), str(warm)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{name}, {what}, {files} files:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def report(rows: list[Row]) -> Table:
    """The figures as a table to print."""
    table = Table(title="The log of a table")
    for heading in ("", "files", OURS, THEIRS, "ratio"):
        table.add_column(heading, justify="left" if not heading else "right")
    for what, (title, unit) in TITLES.items():
        for number, row in enumerate(row for row in rows if row.what == what):
            factor = 1000 if unit == "ms" else 1
            figures = [f"{row.figures[name] * factor:,.1f} {unit}" for name in (OURS, THEIRS)]
            table.add_row("" if number else title, f"{row.files:,}", *figures, f"{row.ratio:.1f}")
        table.add_section()
    return table


def main(
    files: Annotated[str, typer.Option(help="Sizes of the tables, in files.")] = (
        "10000,100000,1000000"
    ),
    json_path: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
    plot_path: Annotated[Path | None, typer.Option("--plot", help="Draw the growth here.")] = None,
) -> None:
    """Measure the log of tables with many files: ours against deltalake's."""
    try:
        sizes = [int(each) for each in files.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"not numbers with commas between them: {files!r}") from error
    with tempfile.TemporaryDirectory(prefix="benchmark-log-") as folder:
        rows = measure(sizes, Path(folder))
    Console(width=110).print(report(rows))
    if json_path is not None:
        results: list[dict[str, Any]] = [{**asdict(row), "ratio": row.ratio} for row in rows]
        json_path.write_text(json.dumps({"results": results}, indent=2) + "\n")
    if plot_path is not None:
        from benchmarks.log.plot import plot

        plot(rows, plot_path)
