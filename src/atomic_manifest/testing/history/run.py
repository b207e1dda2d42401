"""One run: a fresh table, workers that are killed on the way, and the verdict."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from atomic_manifest.commit.intent import Isolation
from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.table import Table
from atomic_manifest.testing.env import FakeEnv
from atomic_manifest.testing.history.check import check
from atomic_manifest.testing.history.journal import (
    Ended,
    History,
    Invoked,
    Journal,
    Outcome,
    read_history,
)
from atomic_manifest.testing.history.log import OPERATION, Log, read_log
from atomic_manifest.testing.history.steps import Append, Row
from atomic_manifest.testing.history.supervisor import WORKER, Supervised, Supervisor
from atomic_manifest.testing.history.violations import Violation
from atomic_manifest.testing.history.worker import SCHEMA, Task, to_arrow, to_rows
from atomic_manifest.testing.history.workload import INITIAL

SHORT_BUDGET = 3
"""PUTs of an entry that every third worker makes for a commit at most, so that some give up."""

_CHECKPOINT_EVERY = "20"
_DELTALAKE_NAMES = {
    "key": "AWS_ACCESS_KEY_ID",
    "secret": "AWS_SECRET_ACCESS_KEY",
    "endpoint_url": "AWS_ENDPOINT_URL",
    "region": "AWS_REGION",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What to run.

    Attributes:
        url: Where to make the table.
        folder: Takes the histories.
        storage_options: How to reach the table.
        seconds: How long workers work.
        workers: Processes; every second one has two threads on one handle.
        kills: Of them on the way.
        seed: Of what they do and of the kills.
        isolation: The table's.
        partitioned: Whether the table is, by `part`.
        command: Runs a worker.
    """

    url: str
    folder: Path
    storage_options: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 8.0
    workers: int = 4
    kills: int = 4
    seed: int = 0
    isolation: Isolation = Isolation.SERIALIZABLE
    partitioned: bool = True
    command: Sequence[str] = WORKER


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it.

    Attributes:
        history: What the workers recorded.
        log: What the table's log holds.
        readers: Who read the table at the end.
        supervised: What became of the processes.
        violations: All that was found wrong.
    """

    history: History
    log: Log
    readers: tuple[str, ...]
    supervised: Supervised
    violations: tuple[Violation, ...]

    @property
    def holds(self) -> bool:
        """Whether all is as promised, and no worker failed by itself."""
        return not self.violations and not self.supervised.errors

    @property
    def kinds(self) -> Mapping[str, Counter[Outcome]]:
        """How operations ended, by kind."""
        kinds: dict[str, Counter[Outcome]] = {}
        for operation in self.history.operations.values():
            kinds.setdefault(operation.kind, Counter())[operation.outcome] += 1
        return dict(sorted(kinds.items()))

    @property
    def committed_unknown(self) -> int:
        """Operations whose end nobody was told of that are in the log."""
        logged = {commit.operation for commit in self.log.commits}
        return sum(
            name in logged and operation.outcome is Outcome.UNKNOWN
            for name, operation in self.history.operations.items()
        )

    def lines(self) -> Iterator[str]:
        """The account, in words."""
        reads = sum(len(each.attempts) for each in self.history.operations.values())
        done = self.supervised
        combined = sum(commit.position > 0 for commit in self.log.commits)
        yield f"{len(self.history.operations)} operations, {reads} attempts, {done.starts} processes"
        commits, versions = len(self.log.commits), len(self.log.versions)
        yield f"{commits} commits in {versions} versions: {combined} went along with another's"
        yield f"{done.kills} kills; {self.committed_unknown} operations with no answer are in the log"
        yield f"{len(self.history.resolutions)} commits resolved; read by {', '.join(self.readers)}"


def run(options: Options, env: Env = SYSTEM) -> Report:
    """Make the table, let workers loose on it, and check what they recorded.

    Raises:
        TableAlreadyExists: There is a table at the url.
        AtomicManifestError: The table cannot be made or read.
    """
    _create(options, env)

    def task(slot: int, name: str, number: int) -> Task:
        return Task(
            url=options.url,
            storage_options=dict(options.storage_options),
            name=name,
            app_id=f"worker-{slot}",
            journal=str(options.folder / f"{name}.jsonl"),
            seed=options.seed,
            number=number,
            threads=1 + slot % 2,
            partitioned=options.partitioned,
            plain_reads=options.isolation is Isolation.SERIALIZABLE,
            attempts=SHORT_BUDGET if slot % 3 == 2 else 100,
        )

    draw = FakeEnv(options.seed).random
    supervisor = Supervisor(task, options.folder, env, draw, options.command)
    supervised = supervisor.run(options.workers, options.seconds, options.kills)
    return _judge(options, supervised)


def _create(options: Options, env: Env) -> None:
    """Make the table, and its first rows an operation like any other."""
    configuration = {
        "delta.isolationLevel": options.isolation.value,
        "delta.checkpointInterval": _CHECKPOINT_EVERY,
    }
    table = Table.create(
        options.url,
        SCHEMA,
        partition_by=["part"] if options.partitioned else [],
        configuration=configuration,
        storage_options=options.storage_options,
    )
    name = "setup"
    options.folder.mkdir(parents=True, exist_ok=True)
    with Journal(options.folder / f"{name}.jsonl") as journal:
        journal.write(Invoked(name, name, env.monotonic(), None, (Append(INITIAL),)))
        result = table.append(to_arrow(INITIAL), commit_info={OPERATION: name})
        journal.write(Ended(name, env.monotonic(), Outcome.OK, result.commit_id, result.version))


def _judge(options: Options, supervised: Supervised) -> Report:
    table = Table.open(options.url, storage_options=options.storage_options)
    history, log = read_history(options.folder), read_log(table)
    contents = {"atomic_manifest": Counter(to_rows(table.to_arrow()))}
    if find_spec("deltalake") is not None:
        contents["deltalake"] = _read_by_deltalake(options)
    violations = check(
        history, log, contents, serializable=options.isolation is Isolation.SERIALIZABLE
    )
    return Report(history, log, tuple(contents), supervised, violations)


def _read_by_deltalake(options: Options) -> Counter[Row]:
    import deltalake  # noqa: PLC0415 - it need not be there

    given = {
        _DELTALAKE_NAMES.get(name, name): str(value)
        for name, value in options.storage_options.items()
    }
    if given.get("AWS_ENDPOINT_URL", "").startswith("http://"):
        given.setdefault("AWS_ALLOW_HTTP", "true")
    table = deltalake.DeltaTable(options.url, storage_options=given)
    return Counter(to_rows(table.to_pyarrow_table()))
