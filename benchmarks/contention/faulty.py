"""The run in which the service fails: what is acknowledged, refused and unknown must all be true."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import atomic_manifest as am
from atomic_manifest.commit.result import ResolutionState
from benchmarks.contention.figures import OURS
from benchmarks.contention.run import Run, Shape, run
from benchmarks.contention.verify import Verification, verify
from benchmarks.contention.writers import Bounds
from benchmarks.contents import Contents
from benchmarks.measuring import LATENCY_MS
from benchmarks.modelled_s3 import ModelledS3, start_modelled_s3

RATES = {"lost": 0.01, "500": 0.01, "503": 0.01, "409": 0.01}
SHAPE = Shape(16)
BOUNDS = Bounds(seconds=300, commits=50)


@dataclass(frozen=True, slots=True)
class FaultyRun:
    """What happened, and whether it may.

    Attributes:
        run: The run itself.
        verification: Of acknowledged and refused appends.
        resolutions: By state, what `Table.resolve` made of the unknown ones.
        resolved_wrongly: Unknown ones of which the table holds something else than `resolve` said.
    """

    run: Run
    verification: Verification
    resolutions: Counter[str]
    resolved_wrongly: int

    @property
    def holds(self) -> bool:
        """Whether all is as promised."""
        settled = not (self.resolved_wrongly or self.resolutions[ResolutionState.OPEN.value])
        return self.verification.holds and settled and not self.run.hung

    def lines(self) -> Iterator[str]:
        """The account, to print."""
        appends, faults = self.run.appends, self.run.stats["faults"]
        errors = Counter(each.error.partition(":")[0] for each in appends if each.error)
        yield f"{len(appends)} appends by {self.run.shape} processes in {self.run.elapsed:.0f} s"
        yield f"faults: {faults}"
        yield f"acknowledged {self.verification.acknowledged}, raised {dict(errors)}"
        yield f"unknown outcomes resolved: {dict(self.resolutions)}"
        problems = list(self.verification.problems())
        if self.resolved_wrongly:
            problems.append(f"{self.resolved_wrongly} resolved wrongly")
        if self.run.hung:
            problems.append(f"{self.run.hung} writers hung")
        verdict = "all as promised" if self.holds else f"VIOLATED: {', '.join(problems)}"
        yield f"verdict: {verdict}"


def faulty_run(
    shape: Shape = SHAPE, bounds: Bounds = BOUNDS, rates: dict[str, float] = RATES
) -> FaultyRun:
    """Run our writers on a service that loses replies and refuses requests."""
    with start_modelled_s3(**LATENCY_MS, seed=1) as server:
        result = run(server, OURS, shape, bounds, at_start=lambda: server.set_rates(rates))
        server.set_rates({})
        states = _resolve(server, result)
        contents = result.contestant.contents()
    wrong = sum(1 for number, state in states.items() if not _agrees(state, number, contents))
    resolutions = Counter(state.value for state in states.values())
    return FaultyRun(result, verify(result.appends, contents), resolutions, wrong)


def _resolve(server: ModelledS3, result: Run) -> dict[int, ResolutionState]:
    table = am.Table.open(result.url, storage_options=server.storage_options)
    return {
        each.number: table.resolve(each.unknown, settle=True).state
        for each in result.appends
        if each.unknown
    }


def _agrees(state: ResolutionState, number: int, contents: Contents) -> bool:
    return (contents.rows[number] > 0) == (state is ResolutionState.COMMITTED)
