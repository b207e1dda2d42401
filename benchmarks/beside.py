"""`python -m benchmarks beside`: our writers and `deltalake`'s at one local table, without rest.

Two processes of ours delete and run transactions; three of deltalake merge, update and compact. Each has
rows of its own, which all share files, so that nearly all of them conflict by the files they rewrite. All
are let go at once; commits are counted until the time is over.
"""

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table as Grid

import atomic_manifest as am

ROWS = 1000
OPEN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Share:
    """What one writer came to.

    Attributes:
        writer: Whose, and what it did.
        commits: Acknowledged within the time.
        refused: Calls that raised.
        worst_seconds: The longest call.
    """

    writer: str
    commits: int
    refused: int
    worst_seconds: float


def rows(owner: str, start: int, count: int, value: float) -> pa.Table:
    """Rows of one writer."""
    ids = pa.array(range(start, start + count), pa.int64())
    return pa.table({"owner": [owner] * count, "id": ids, "v": [value] * count})


def _merge(url: str, owner: str) -> Iterator[bool]:
    from deltalake import DeltaTable

    for number in range(1 << 30):
        merge = DeltaTable(url).merge(
            rows(owner, number % (ROWS - 100), 100, float(number)),
            "t.owner = s.owner and t.id = s.id",
            source_alias="s",
            target_alias="t",
        )
        merge.when_matched_update_all().when_not_matched_insert_all().execute()
        yield True


def _update(url: str, owner: str) -> Iterator[bool]:
    from deltalake import DeltaTable

    for number in range(1 << 30):
        where = f"owner = '{owner}' and id < 100"
        DeltaTable(url).update(predicate=where, updates={"v": f"{number}.0"})
        yield True


def _compact(url: str, _owner: str) -> Iterator[bool]:
    from deltalake import DeltaTable

    while True:
        yield DeltaTable(url).optimize.compact()["numFilesAdded"] > 0


def _delete(url: str, owner: str) -> Iterator[bool]:
    table = am.Table.open(url)
    for number in range(1 << 30):
        done = table.delete([("owner", "=", owner), ("id", "<", number % ROWS + 1)])
        if not done.commit_id:
            table.append(rows(owner, 0, ROWS, 0.0))
        yield True


def _transact(url: str, owner: str) -> Iterator[bool]:
    table = am.Table.open(url)
    where = [("owner", "=", owner), ("id", "=", 5)]

    def body(transaction: am.Transaction) -> None:
        (value,) = transaction.read(["v"], where)["v"].to_pylist()
        transaction.overwrite(rows(owner, 5, 1, value + 1), where=where)

    while True:
        table.run(body, attempts=100)
        yield True


WRITERS: dict[str, Callable[[str, str], Iterator[bool]]] = {
    "deltalake merge": _merge,
    "deltalake update": _update,
    "deltalake compact": _compact,
    "our delete": _delete,
    "our transaction": _transact,
}


def _work(name: str, url: str, seconds: float, ready: Any, go: Any, done: Any) -> None:
    begin, commits, refused, worst = WRITERS[name], 0, 0, 0.0
    steps = begin(url, name)
    ready.release()
    go.wait()
    end = time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        try:
            commits += next(steps)
        except Exception:
            refused += 1
            steps = begin(url, name)
        worst = max(worst, time.monotonic() - started)
    done.put(Share(name, commits, refused, worst))


def measure(seconds: float) -> list[Share]:
    """Let all writers loose on a fresh table for so long."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        url = f"{folder}/table"
        table = am.Table.create(url, rows("", 0, 1, 0.0).schema)
        for name in WRITERS:
            table.append(rows(name, 0, ROWS, 0.0))
        ready, go, done = context.Semaphore(0), context.Event(), context.Queue()
        processes = [
            context.Process(target=_work, args=(name, url, seconds, ready, go, done), daemon=True)
            for name in WRITERS
        ]
        for process in processes:
            process.start()
        for _ in processes:
            if not ready.acquire(timeout=OPEN_SECONDS):
                raise RuntimeError("a writer did not come up")
        go.set()
        shares = [done.get(timeout=seconds + OPEN_SECONDS) for _ in processes]
        for process in processes:
            process.join()
    return sorted(shares, key=lambda share: [*WRITERS].index(share.writer))


def of_an_equal_share(shares: list[Share]) -> dict[str, float]:
    """Each writer's commits over what each would have if all had as many; and ours together."""
    equal = sum(share.commits for share in shares) / len(shares) or 1.0
    found = {share.writer: share.commits / equal for share in shares}
    ours = [found[share.writer] for share in shares if share.writer.startswith("our ")]
    return found | {"ours": sum(ours) / len(ours)}


def main(
    *,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of the run.")] = 20.0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Measure our deletes and transactions beside deltalake's merge, update and compaction."""
    shares = measure(seconds)
    ratios = of_an_equal_share(shares)
    grid = Grid("writer", "commits", "refused", "worst s", "of an equal share")
    for share in shares:
        counts = (str(share.commits), str(share.refused), f"{share.worst_seconds:.1f}")
        grid.add_row(share.writer, *counts, f"{ratios[share.writer]:.2f}")
    console = Console()
    console.print(grid)
    console.print(f"ours together: {ratios['ours']:.2f} of an equal share")
    if json_path is not None:
        told = {"shares": [asdict(share) for share in shares], "ratios": ratios}
        json_path.write_text(json.dumps(told, indent=2) + "\n")
