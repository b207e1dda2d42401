"""The growth of every measure with the number of files, both axes logarithmic."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contention.plot import COLOURS
from benchmarks.log.command import TITLES, Row

_ACROSS = 3


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw one small picture a measure; the suffix of the path gives the format."""
    import matplotlib as mpl

    mpl.use("Agg")
    # The same figures give the same file, and text stays text.
    mpl.rcParams.update({"svg.hashsalt": "log", "svg.fonttype": "none", "font.size": 9})
    import matplotlib.pyplot as plt

    lines = -(-len(TITLES) // _ACROSS)
    figure, grid = plt.subplots(lines, _ACROSS, figsize=(10, 2.6 * lines), layout="constrained")
    for axes in grid.flat[len(TITLES) :]:
        axes.remove()
    for axes, (what, (title, unit)) in zip(grid.flat, TITLES.items(), strict=False):
        of_measure = sorted((row for row in rows if row.what == what), key=lambda row: row.files)
        factor = 1000 if unit == "ms" else 1
        for name in next((row.figures for row in of_measure), ()):
            line = [(row.files, row.figures[name] * factor) for row in of_measure]
            axes.plot(*zip(*line, strict=True), "o-", color=COLOURS[name], label=name)
        _dress(axes, f"{title}, {unit}", sorted({row.files for row in of_measure}))
    grid[0][0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _dress(axes: Any, title: str, sizes: list[int]) -> None:
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
