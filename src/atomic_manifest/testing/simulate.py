"""`python -m atomic_manifest.testing.simulate`: runs the model of the protocol for as long as you like.

`--seeds` draws many writers and faults at random, in virtual time; `--schedules` runs every schedule of a
few writers. The first that breaks an invariant ends the run with exit status 1, what happened last in it,
and the command that repeats it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from atomic_manifest.env import SYSTEM
from atomic_manifest.testing.model.cases import DEEP, USUAL
from atomic_manifest.testing.model.pool import each, explore_all, processors, repeat
from atomic_manifest.testing.model.schedules import Case
from atomic_manifest.testing.model.simulation import Plan, Simulation

_COMMAND = "python -m atomic_manifest.testing.simulate"
_TRACE_LINES = 30
_BATCH = 10

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
console = Console(highlight=False, soft_wrap=True)


@dataclass
class Simulated:
    """What came of some seeds.

    Attributes:
        seeds: How many were run.
        outcomes: Of their commits, by name.
        faults: Those met, by name.
        failed: The plan of the first that broke an invariant.
        why: What it broke.
        trace: What happened last in it.
    """

    seeds: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    failed: Plan | None = None
    why: str = ""
    trace: Sequence[str] = ()

    def include(self, other: "Simulated") -> None:
        """Add what came of other seeds."""
        self.seeds += other.seeds
        self.outcomes += other.outcomes
        self.faults += other.faults
        if other.failed is not None:
            self.failed, self.why, self.trace = other.failed, other.why, other.trace


def simulate(plans: Iterable[Plan]) -> Simulated:
    """Run plans one after the other, up to the first that breaks an invariant."""
    done = Simulated()
    for plan in plans:
        simulation = Simulation(plan)
        try:
            simulation.run()
        except AssertionError as error:
            trace = simulation.trace[-_TRACE_LINES:]
            done.include(Simulated(failed=plan, why=str(error), trace=trace))
            return done
        done.include(Simulated(1, simulation.outcomes, simulation.faults))
    return done


@app.command()
def main(
    seeds: Annotated[int, typer.Option(min=0, help="Random simulations to run.")] = 0,
    first_seed: Annotated[int, typer.Option(min=0, help="The first one's seed.")] = 0,
    writers: Annotated[int, typer.Option(min=1, help="Writers at the same time.")] = 16,
    commits: Annotated[int, typer.Option(min=1, help="Commits of each writer.")] = 4,
    fault_rate: Annotated[float, typer.Option(min=0, max=1, help="Faults per request.")] = 0.1,
    schedules: Annotated[
        int, typer.Option(min=0, help="Schedules of few writers to run, if there are so many.")
    ] = 0,
    case: Annotated[str, typer.Option(help="Run the schedules of this case only.")] = "",
    script: Annotated[
        str | None, typer.Option(help="Repeat this one schedule of --case, and show it.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0: as many as processors.")] = 0,
) -> None:
    """Look for a schedule or a seed that breaks an invariant of the commit protocol."""
    cases = [known for known in (*USUAL, *DEEP) if case in ("", known.name)]
    if not cases:
        raise typer.BadParameter(f"there is no case {case!r}", param_hint="--case")
    if script is not None:
        _repeat(cases, script)
    elif not seeds and not schedules:
        raise typer.BadParameter("give --seeds or --schedules, or --case and --script")
    jobs = jobs or processors()
    if seeds:
        plans = [
            Plan(seed, writers, commits, fault_rate)
            for seed in range(first_seed, first_seed + seeds)
        ]
        _run_seeds(plans, jobs)
    if schedules:
        _run_schedules(cases, schedules, jobs)


def _run_seeds(plans: Sequence[Plan], jobs: int) -> None:
    started = SYSTEM.monotonic()
    done = Simulated()
    batches = [plans[at : at + _BATCH] for at in range(0, len(plans), _BATCH)]
    for simulated in each(simulate, batches, jobs):
        done.include(simulated)
        if done.failed is not None:
            break
    summary = Table("simulated", "", title_justify="left", show_header=False)
    summary.add_row("seeds", f"{done.seeds:,}")
    summary.add_row("commits", f"{done.outcomes.total():,}")
    for name, times in done.outcomes.most_common():
        summary.add_row(f"  {name}", f"{times:,}")
    summary.add_row("faults", f"{done.faults.total():,}")
    for name, times in done.faults.most_common():
        summary.add_row(f"  {name}", f"{times:,}")
    summary.add_row("seconds", f"{SYSTEM.monotonic() - started:.1f}")
    console.print(summary)
    if done.failed is not None:
        plan = done.failed
        console.print(*done.trace, sep="\n", markup=False)
        _fail(
            f"{done.why}\n{plan}",
            f"--seeds 1 --first-seed {plan.seed} --writers {plan.writers} "
            f"--commits {plan.commits} --fault-rate {plan.fault_rate}",
        )


def _run_schedules(cases: Sequence[Case], enough: int, jobs: int) -> None:
    started = SYSTEM.monotonic()
    run: Counter[str] = Counter()
    found = None
    for explored in explore_all(cases, jobs):
        run[explored.case] += explored.schedules
        found = explored.found
        if found is not None or run.total() >= enough:
            break
    summary = Table("explored", "", show_header=False)
    summary.add_row("schedules", f"{run.total():,}")
    summary.add_row("cases", f"{len(run):,} of {len(cases):,}")
    summary.add_row("seconds", f"{SYSTEM.monotonic() - started:.1f}")
    console.print(summary)
    if found is not None:
        trace, _ = repeat(next(c for c in cases if c.name == found.case), found.script)
        console.print(*trace[-_TRACE_LINES:], sep="\n", markup=False)
        numbers = ".".join(map(str, found.script))
        _fail(f"{found.case}: {found.message}", f'--case "{found.case}" --script {numbers}')


def _repeat(cases: Sequence[Case], script: str) -> None:
    if len(cases) != 1:
        raise typer.BadParameter("needs --case", param_hint="--script")
    trace, broken = repeat(cases[0], [int(option) for option in script.split(".") if option])
    console.print(*trace, sep="\n", markup=False)
    if broken is not None:
        console.print(broken, markup=False)
        raise typer.Exit(1)
    raise typer.Exit


def _fail(why: str, options: str) -> None:
    console.print(f"[red]broken[/]: repeat with {_COMMAND} {options}")
    console.print(why, markup=False)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
