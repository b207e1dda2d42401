"""From runs to figures, and the figures as a table and as JSON."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from benchmarks.contention.run import Run, Shape
from benchmarks.contention.verify import Verification
from benchmarks.measuring import LATENCY_MS, quantile

OURS = "atomic_manifest"


@dataclass(frozen=True, slots=True)
class Figures:
    """One contestant with one number of writers.

    Attributes:
        name: The contestant.
        shape: The writers.
        attempts: Appends called.
        failures: Appends that raised, and writers that hung.
        errors: How often each kind of error was raised.
        commits_per_second: Acknowledged within the bound of time, per second of it.
        p50_ms: Of the time of an append, however it ended.
        p99_ms: Likewise.
        max_ms: Likewise.
        requests_per_commit: By kind, per acknowledged append.
        refused_puts_per_commit: PUTs answered 412, per acknowledged append.
        cpu_ms_per_commit: Processor time of the writers, user and system.
        cpu_share: Of the machine's processors, what the writers used.
        service_cpu_share: Of one processor, what the modelled service used; near 1 it is what binds.
        verification: Whether the table holds what was acknowledged.
    """

    name: str
    shape: Shape
    attempts: int
    failures: int
    errors: dict[str, int]
    commits_per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    requests_per_commit: dict[str, float]
    refused_puts_per_commit: float
    cpu_ms_per_commit: float
    cpu_share: float
    service_cpu_share: float
    verification: Verification


def figures(run: Run, verification: Verification) -> Figures:
    """Reduce a run to its figures."""
    errors = Counter(each.error.partition(":")[0] for each in run.appends if each.error)
    times = sorted((each.ended - each.began) * 1000 for each in run.appends) or [0.0]
    count = max(verification.acknowledged, 1)
    return Figures(
        name=run.name,
        shape=run.shape,
        attempts=len(run.appends),
        failures=errors.total() + run.hung,
        errors=dict(errors),
        commits_per_second=_commits_per_second(run),
        p50_ms=quantile(times, 0.50),
        p99_ms=quantile(times, 0.99),
        max_ms=times[-1],
        requests_per_commit={kind: n / count for kind, n in sorted(run.requests.items())},
        refused_puts_per_commit=run.stats["statuses"].get("PutObject 412", 0) / count,
        cpu_ms_per_commit=run.cpu_seconds * 1000 / count,
        cpu_share=run.cpu_seconds / run.elapsed / (os.cpu_count() or 1),
        service_cpu_share=run.stats["cpu_seconds"] / run.elapsed,
        verification=verification,
    )


def _commits_per_second(run: Run) -> float:
    ends = [each.ended - run.started for each in run.appends if not each.error]
    seconds = min(run.bounds.seconds, max(ends, default=run.bounds.seconds))
    return sum(1 for end in ends if end <= seconds) / seconds


def ratios(results: Sequence[Figures]) -> dict[str, dict[str, float]]:
    """Our commits per second over the others', by shape and contestant; those with none left out."""
    rates = {(each.name, each.shape): each.commits_per_second for each in results}
    found: dict[str, dict[str, float]] = {}
    for (name, shape), rate in rates.items():
        if name != OURS and rate and (OURS, shape) in rates:
            found.setdefault(str(shape), {})[name] = rates[OURS, shape] / rate
    return found


def as_json(results: Sequence[Figures]) -> dict[str, Any]:
    """All of it, for a program to read."""
    each_as_json = [{**asdict(each), "shape": str(each.shape)} for each in results]
    return {
        "latency_ms": LATENCY_MS,
        "processors": os.cpu_count(),
        "ratios": ratios(results),
        "results": each_as_json,
    }


def table(results: Sequence[Figures]) -> Table:
    """The chief figures, to print."""
    found = Table(
        title="Writers of one table, each appending in a loop", box=None, padding=(0, 2, 0, 0)
    )
    found.add_column("writers", justify="right", no_wrap=True)
    found.add_column("", no_wrap=True)
    for heading in ("commits/s", "p50 ms", "p99 ms", "max ms", "failed"):
        found.add_column(heading, justify="right", no_wrap=True)
    found.add_column("verified")
    shape = None
    for each in results:
        if shape not in (None, each.shape):
            found.add_row()
        shape = each.shape
        found.add_row(*_cells(each))
    return found


def _cells(each: Figures) -> Iterable[str]:
    checked = each.verification
    return (
        str(each.shape),
        each.name,
        f"{each.commits_per_second:.1f}",
        *(f"{figure:,.0f}" for figure in (each.p50_ms, each.p99_ms, each.max_ms)),
        f"{each.failures}/{each.attempts}",
        "yes" if checked.holds else "; ".join(checked.problems()),
    )


def details(results: Sequence[Figures]) -> Iterator[str]:
    """Lines to print below the table: what a commit took, what was raised, the ratios."""
    for each in results:
        kinds = ", ".join(f"{n:.2f} {kind}" for kind, n in each.requests_per_commit.items())
        yield f"{each.shape} {each.name}, of each of {each.verification.acknowledged} commits:"
        yield f"    {sum(each.requests_per_commit.values()):.1f} requests: {kinds}"
        yield (
            f"    {each.refused_puts_per_commit:.2f} PUTs refused; "
            f"{each.cpu_ms_per_commit:.1f} ms of processor time, {each.cpu_share:.0%} of the machine "
            f"(the service: {each.service_cpu_share:.0%} of one processor); "
            f"{each.verification.versions} versions"
        )
        if each.errors:
            yield f"    raised {each.errors}"
    for shape, others in ratios(results).items():
        told = " and ".join(
            f"{ratio:.1f} times as often as {name}" for name, ratio in others.items()
        )
        yield f"{shape}: {OURS} commits {told}"
