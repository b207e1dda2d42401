"""The figures as a picture: commits per second and latency, by the number of writers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contention.figures import Figures

COLOURS = {"atomic_manifest": "#0b6e4f", "deltalake": "#c8553d", "lance": "#5f6caf"}


def plot(results: Sequence[Figures], path: Path) -> None:
    """Draw the runs of one writer a process; the suffix of the path gives the format."""
    import matplotlib as mpl

    mpl.use("Agg")
    # The same figures give the same file, and text stays text.
    mpl.rcParams.update({"svg.hashsalt": "contention", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    figure, (rates, latencies) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, colour in COLOURS.items():
        line = sorted(
            (each.shape.processes, each.commits_per_second, each.p99_ms / 1000)
            for each in results
            if each.name == name and each.shape.threads == 1
        )
        writers, per_second, seconds = zip(*line, strict=True) if line else ((), (), ())
        rates.plot(writers, per_second, "o-", color=colour, label=name)
        latencies.plot(writers, seconds, "o-", color=colour, label=name)
    _dress(rates, "commits per second, in all", results)
    _dress(latencies, "99th percentile of an append, seconds", results)
    rates.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _dress(axes: Any, title: str, results: Sequence[Figures]) -> None:
    from matplotlib.ticker import LogLocator

    ticks = sorted({each.shape.processes for each in results if each.shape.threads == 1})
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("processes that write one table")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
