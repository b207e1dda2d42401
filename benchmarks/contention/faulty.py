"""The runs in which the service fails: what is acknowledged, refused and unknown must all be true.

Unknown outcomes are resolved in another process than the writer's: while the others still write on the
failing service, and after the run once more. No answer may differ from what the log holds in the end.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import atomic_manifest as am
from atomic_manifest.commit.messages import Budget
from atomic_manifest.commit.result import Resolution, ResolutionState
from atomic_manifest.errors import AtomicManifestError
from benchmarks.contention.figures import OURS
from benchmarks.contention.run import Run, Shape, run
from benchmarks.contention.verify import Verification, verify
from benchmarks.contention.writers import Append, Bounds
from benchmarks.contents import Contents
from benchmarks.measuring import LATENCY_MS, ROWS
from benchmarks.modelled_s3 import ModelledS3, start_modelled_s3

RATES = {"lost": 0.01, "500": 0.01, "503": 0.01, "409": 0.01}
SHAPE = Shape(16)
BOUNDS = Bounds(seconds=300, commits=50)
HASTY_BOUNDS = Bounds(seconds=300, commits=20)
"""Fewer, for each unknown outcome is resolved twice, which reads the log."""
HASTY = Budget(seconds=0.05)
"""So little that a commit which meets a fault or another writer gives up, often without an answer;
what it posted may then be taken along by writers with more patience."""


@dataclass(frozen=True, slots=True)
class FaultyRun:
    """What happened, and whether it may.

    Attributes:
        run: The run itself.
        verification: Of acknowledged and refused appends.
        early: By state, what `Table.resolve` made of unknown outcomes while others wrote; "failed"
            where it could not tell, for the service failed it too.
        resolutions: By state, what it made of them after the run.
        resolved_wrongly: Answers that are not what the log holds.
    """

    run: Run
    verification: Verification
    early: Counter[str]
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
        yield f"unknown outcomes resolved at once: {dict(self.early)}"
        yield f"and after the run: {dict(self.resolutions)}"
        problems = list(self.verification.problems())
        if self.resolved_wrongly:
            problems.append(f"{self.resolved_wrongly} resolved wrongly")
        if self.run.hung:
            problems.append(f"{self.run.hung} writers hung")
        verdict = "all as promised" if self.holds else f"VIOLATED: {', '.join(problems)}"
        yield f"verdict: {verdict}"


class Resolver:
    """Asks what became of appends, and keeps the answers.

    Args:
        server: Where the table is.

    Attributes:
        answers: By number of the append; None where asking failed.
    """

    def __init__(self, server: ModelledS3) -> None:
        self.answers: dict[int, Resolution | None] = {}
        self._options = server.storage_options

    def ask(self, url: str, append: Append) -> None:
        """Ask about an unknown outcome; of every second one, so that the answer is final."""
        assert append.unknown is not None
        try:
            table = am.Table.open(url, storage_options=self._options)
            answer = table.resolve(append.unknown, settle=append.number % 2 == 0)
        except AtomicManifestError:
            self.answers[append.number] = None
        else:
            self.answers[append.number] = answer


def faulty_run(
    shape: Shape = SHAPE,
    bounds: Bounds = BOUNDS,
    rates: Mapping[str, float] = RATES,
    hasty: Budget | None = None,
) -> FaultyRun:
    """Run our writers on a service that loses replies and refuses requests.

    Args:
        shape: The writers.
        bounds: When they stop.
        rates: How often requests fail, by kind.
        hasty: Bounds of each commit of every second writer; None for the library's own.
    """
    with start_modelled_s3(**LATENCY_MS, seed=1) as server:
        resolver = Resolver(server)
        result = run(
            server,
            OURS,
            shape,
            bounds,
            at_start=lambda: server.set_rates(rates),
            hasty=hasty,
            on_unknown=resolver.ask,
        )
        server.set_rates({})
        table = am.Table.open(result.url, storage_options=server.storage_options)
        unknown = {each.number: each for each in result.appends if each.unknown}
        final = {number: _settled(table, each) for number, each in unknown.items()}
        logged = {commit.id: entry.version for entry in table.history() for commit in entry.commits}
        contents = result.contestant.contents()
    told = [*resolver.answers.items(), *final.items()]
    wrong = sum(
        not agrees_with_log(answer, unknown[number], logged, contents) for number, answer in told
    )
    return FaultyRun(
        result,
        verify(result.appends, contents),
        Counter(answer.state.value if answer else "failed" for answer in resolver.answers.values()),
        Counter(answer.state.value for answer in final.values()),
        wrong,
    )


def _settled(table: am.Table, append: Append) -> Resolution:
    assert append.unknown is not None
    return table.resolve(append.unknown, settle=True)


def agrees_with_log(
    answer: Resolution | None, append: Append, logged: Mapping[str, int], contents: Contents
) -> bool:
    """Whether an answer is what the log and the table say in the end."""
    assert append.unknown is not None
    version, rows = logged.get(append.unknown.commit_id), contents.rows[append.number]
    match answer and answer.state:
        case ResolutionState.COMMITTED:
            assert answer is not None
            return version == answer.version and rows == ROWS
        case ResolutionState.NOT_COMMITTED:
            return version is None and rows == 0
        case _:
            return rows == (0 if version is None else ROWS)
