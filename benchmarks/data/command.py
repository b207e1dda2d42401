"""`python -m benchmarks data`: writing tables, ours beside others, each write in a fresh process.

The contestants of a scenario take turns, and the order changes from round to round; the median of the
rounds counts. Local tables are in a temporary folder, those of `upload` on a SeaweedFS of their own.
"""

import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.data.measure import Job, Taken, measure
from benchmarks.data.writers import OURS
from benchmarks.endpoint import S3Endpoint

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is compared.

    Attributes:
        title: For people.
        source: A function of `benchmarks.data.sources`.
        arguments: Of the source.
        writers: Who takes part.
        partition_by: Partition columns.
        on_s3: Whether tables are on a SeaweedFS, and not on local disk.
        appends: Commits that the rows are split into.
    """

    title: str
    source: str
    arguments: dict[str, Any]
    writers: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    on_s3: bool = False
    appends: int = 1


SCENARIOS = {
    "file": Scenario(
        "1 GB, not partitioned",
        "trips",
        {"megabytes": 1000},
        (OURS, "pyarrow.dataset", "pyarrow.fs", "deltalake"),
    ),
    "upload": Scenario(
        "250 MB, not partitioned",
        "trips",
        {"megabytes": 250},
        (OURS, "pyarrow.fs", "pyarrow.dataset", "s3fs", "deltalake"),
        on_s3=True,
    ),
    "appends": Scenario(
        "200 appends of 1,000 rows",
        "wide",
        {"columns": 8, "rows": 200_000},
        (OURS, "deltalake"),
        appends=200,
    ),
    "partitions": Scenario(
        "250 MB in 1,000 partitions in random order",
        "trips",
        {"megabytes": 250, "partitions": 1000},
        (OURS, "pyarrow.dataset", "deltalake"),
        partition_by=("zone",),
    ),
    "wide": Scenario(
        "2,000 columns, 20,000 rows",
        "wide",
        {"columns": 2000, "rows": 20_000},
        (OURS, "pyarrow.dataset", "deltalake"),
    ),
    "stream": Scenario(
        "5 GB from a reader",
        "stream",
        {"megabytes": 5000},
        (OURS, "pyarrow.dataset", "deltalake"),
    ),
}


@dataclass(slots=True)
class Figures:
    """What came of one scenario, by writer."""

    scenario: Scenario
    taken: dict[str, list[Taken]] = field(default_factory=dict)

    def median(self, writer: str) -> Taken:
        """The round of median time."""
        rounds = sorted(self.taken[writer], key=lambda each: each.seconds)
        return rounds[(len(rounds) - 1) // 2]

    def ratios(self) -> dict[str, float]:
        """Our throughput over everybody's."""
        own = self.median(OURS).seconds
        return {
            writer: self.median(writer).seconds / own
            for writer in self.taken
            if writer != OURS and not self.median(writer).error
        }


@contextmanager
def service(wanted: bool) -> Iterator[tuple[S3Endpoint, str] | None]:  # noqa: FBT001 - one flag
    """A SeaweedFS with a bucket, if it is wanted."""
    if not wanted:
        yield None
        return
    from tests.servers.start import start_seaweedfs

    with tempfile.TemporaryDirectory() as folder, start_seaweedfs(Path(folder)) as server:
        endpoint = S3Endpoint(server.name, server.endpoint_url, server.key, server.secret)
        yield endpoint, server.new_bucket()


def compare(scenario: Scenario, rounds: int) -> Figures:
    """Run one scenario.

    Nobody pays for what others left behind: what they wrote is on the disk before the next begins, and
    stays there until the end, for some file systems are slow to create files after many were removed.
    """
    figures = Figures(scenario, {writer: [] for writer in scenario.writers})
    order = list(scenario.writers)
    with service(scenario.on_s3) as found, tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for writer in order:
                endpoint, url = None, f"{folder}/{writer}-{number}"
                if found is not None:
                    endpoint, url = found[0], f"s3://{found[1]}/{writer}-{number}"
                job = Job(
                    writer,
                    scenario.source,
                    scenario.arguments,
                    url,
                    scenario.partition_by,
                    endpoint,
                    scenario.appends,
                )
                if hasattr(os, "sync"):
                    os.sync()
                figures.taken[writer].append(measure(job))
            order.reverse()
    return figures


def report(figures: Figures) -> Table:
    """The figures as a table to print."""
    place = "SeaweedFS" if figures.scenario.on_s3 else "local disk"
    table = Table("", title=f"{figures.scenario.title}, on {place}")
    for heading in ("s", "spread", "cpu s", "peak MB", "MB/s"):
        table.add_column(heading, justify="right")
    for writer, rounds in figures.taken.items():
        taken = figures.median(writer)
        if taken.error:
            table.add_row(writer, taken.error)
            continue
        seconds = [each.seconds for each in rounds]
        size = taken.input_bytes or figures.scenario.arguments.get("megabytes", 0) * _MEGABYTE
        table.add_row(
            writer,
            f"{taken.seconds:.2f}",
            f"{statistics.pstdev(seconds):.2f}",
            f"{taken.cpu_seconds:.2f}",
            f"{taken.peak_bytes / _MEGABYTE:.0f}",
            f"{size / _MEGABYTE / taken.seconds:.0f}",
        )
    return table


def main(
    only: Annotated[str, typer.Option(help=f"Some of {','.join(SCENARIOS)}.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Writes of each contestant.")] = 3,
    megabytes: Annotated[int, typer.Option(min=0, help="Another size of the input.")] = 0,
    s3: Annotated[bool, typer.Option("--s3", help="All on SeaweedFS.")] = False,  # noqa: FBT002 - a flag
    json_path: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Measure writing: throughput, processor time and memory, beside other libraries."""
    names = only.split(",") if only else list(SCENARIOS)
    if unknown := set(names) - SCENARIOS.keys():
        raise typer.BadParameter(f"{', '.join(unknown)}: none of {', '.join(SCENARIOS)}")
    console, results = Console(), {}
    for name in names:
        scenario = SCENARIOS[name]
        if megabytes and "megabytes" in scenario.arguments:
            arguments = scenario.arguments | {"megabytes": megabytes}
            scenario = replace(scenario, arguments=arguments, title=f"{name}: {megabytes} MB")
        scenario = replace(scenario, on_s3=scenario.on_s3 or s3)
        figures = compare(scenario, rounds)
        console.print(report(figures))
        for writer, ratio in figures.ratios().items():
            console.print(f"{OURS} is {ratio:.2f} times as fast as {writer}")
        results[name] = {
            "title": scenario.title,
            "on_s3": scenario.on_s3,
            "ratios": figures.ratios(),
            "taken": {
                writer: [asdict(each) for each in rounds_]
                for writer, rounds_ in figures.taken.items()
            },
        }
    if json_path is not None:
        json_path.write_text(json.dumps(results, indent=2) + "\n")
