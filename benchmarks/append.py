"""`python -m benchmarks append`: small appends from an open handle, ours and `deltalake`'s.

Both run in this process, in one run, against one modelled S3 in a process of its own. They take
turns in rounds, the order changing from round to round, so that a noisy machine disturbs both
alike; commits before the first round warm both up and are not counted.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import obstore
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.measuring import LATENCY_MS, quantile, request_counts, rows
from benchmarks.modelled_s3 import ModelledS3, start_modelled_s3

ROUND = 5
WARM_UP = 2
DEFAULT = ["atomic_manifest", "deltalake"]


@dataclass(slots=True)
class Measurement:
    """What one contestant's counted commits took.

    Attributes:
        seconds: Of each commit, in order.
        requests: Total by kind, such as `PUT log`.
    """

    seconds: list[float] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)

    def summary(self) -> "Summary":
        """The figures to show."""
        ordered, count = sorted(self.seconds), len(self.seconds)
        per_commit = {kind: total / count for kind, total in sorted(self.requests.items())}
        return Summary(
            commits=count,
            commits_per_second=count / sum(ordered),
            p50_ms=quantile(ordered, 0.50) * 1000,
            p99_ms=quantile(ordered, 0.99) * 1000,
            requests_per_commit=per_commit,
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """One contestant's figures."""

    commits: int
    commits_per_second: float
    p50_ms: float
    p99_ms: float
    requests_per_commit: dict[str, float]


def add_files(server: ModelledS3, bucket: str, table: str, count: int) -> None:
    """Put `count` files into a new table's log as its version 1; the files themselves are not
    there, since an append reads none."""
    stats = {
        "numRecords": 1000,
        "minValues": {"id": 0, "day": 0, "amount": 0.0, "name": "name-0"},
        "maxValues": {"id": 999, "day": 0, "amount": 249.75, "name": "name-96"},
        "nullCount": dict.fromkeys(["id", "day", "amount", "name", "paid"], 0),
    }
    actions = [
        {
            "add": {
                "path": f"part-{number:05}.snappy.parquet",
                "partitionValues": {},
                "size": 12_345,
                "modificationTime": 1_700_000_000_000,
                "dataChange": True,
                "stats": json.dumps(stats),
            }
        }
        for number in range(count)
    ]
    store = server.bucket_store(bucket)
    entry = "\n".join(map(json.dumps, [{"commitInfo": {"operation": "WRITE"}}, *actions]))
    obstore.put(store, f"{table}/_delta_log/{1:020}.json", entry.encode(), mode="create")


def run_round(
    server: ModelledS3, contestant: Contestant, numbers: range, measurement: Measurement
) -> None:
    """Append once for each number, from the handle the contestant holds."""
    batches = [rows(number) for number in numbers]
    before = request_counts(server)
    for batch in batches:
        start = time.perf_counter()
        contestant.append(batch)
        measurement.seconds.append(time.perf_counter() - start)
    measurement.requests += request_counts(server) - before


def measure(names: Sequence[str], commits: int, files: int) -> dict[str, Summary]:
    """Run the benchmark.

    Args:
        names: Contestants, keys of `CONTESTANTS`.
        commits: How many appends of each are counted.
        files: How many files the table has before; 0 for a fresh table.
    """
    with start_modelled_s3(**LATENCY_MS) as server:
        bucket = server.new_bucket()
        contestants: dict[str, Contestant] = {}
        for name in names:
            contestant = CONTESTANTS[name](server, f"s3://{bucket}/{name}")
            contestant.create(rows(0).schema)
            if files:
                add_files(server, bucket, name, files)
            contestant.open()
            run_round(server, contestant, range(WARM_UP), Measurement())
            contestants[name] = contestant
        measurements = {name: Measurement() for name in names}
        order = list(names)
        for start in range(0, commits, ROUND):
            numbers = range(WARM_UP + start, WARM_UP + min(start + ROUND, commits))
            for name in order:
                run_round(server, contestants[name], numbers, measurements[name])
            order.reverse()
    return {name: measurement.summary() for name, measurement in measurements.items()}


def report(summaries: dict[str, Summary], files: int) -> Table:
    """The figures as a table to print."""
    table = Table(title=f"Appends from an open handle to a table of {files:,} files")
    table.add_column("")
    for heading in ("commits/s", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    table.add_column("requests per commit")
    for name, each in summaries.items():
        figures = (each.commits_per_second, each.p50_ms, each.p99_ms)
        requests = "\n".join(f"{n:.2f} {kind}" for kind, n in each.requests_per_commit.items())
        table.add_row(name, *(f"{figure:.1f}" for figure in figures), requests)
    return table


def ratio(summaries: dict[str, Summary]) -> float | None:
    """Our commits per second over `deltalake`'s, where both ran."""
    if not {"atomic_manifest", "deltalake"} <= summaries.keys():
        return None
    ours, theirs = summaries["atomic_manifest"], summaries["deltalake"]
    return ours.commits_per_second / theirs.commits_per_second


def main(
    commits: Annotated[int, typer.Option(min=1, help="Counted appends of each.")] = 40,
    files: Annotated[int, typer.Option(min=0, help="Files in the table before.")] = 0,
    only: Annotated[str, typer.Option(help="Run this one alone.")] = "",
    json_path: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Measure small appends from an open handle: ours against deltalake's."""
    if only and only not in CONTESTANTS:
        raise typer.BadParameter(f"{only!r} is none of {', '.join(CONTESTANTS)}")
    names = [only] if only else DEFAULT
    summaries = measure(names, commits, files)
    console = Console()
    console.print(report(summaries, files))
    speed = ratio(summaries)
    if speed is not None:
        console.print(f"atomic_manifest commits {speed:.2f} times as often as deltalake")
    if json_path is not None:
        figures: dict[str, Any] = {name: asdict(each) for name, each in summaries.items()}
        result = {"latency_ms": LATENCY_MS, "files": files, "ratio": speed, "results": figures}
        json_path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
