"""Every operation on a local table, with each of its system calls failing in turn."""

import errno
import itertools
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.commit.messages import Budget
from atomic_manifest.errors import AtomicManifestError, CommitOutcomeUnknown, TableNotFound
from atomic_manifest.testing import FakeEnv
from tests.faults.local_calls import FailingCalls, Mode

pytestmark = pytest.mark.faults

ERRNOS = (errno.EIO, errno.EACCES, errno.EMFILE, errno.ENOSPC, errno.EINTR)
ENV = FakeEnv()
"""Of all handles: no two of them give the same id."""

BUDGET = Budget(attempts=4, seconds=30)
OLD, NEW = [0, 1], [7, 8]
CHECKPOINTING = {"delta.checkpointInterval": "1", "atomicManifest.logCompactionInterval": "2"}


def rows(values: list[int]) -> pa.Table:
    return pa.table({"i": pa.array(values, pa.int64())})


@dataclass(frozen=True)
class Operation:
    """What is done to a table.

    Attributes:
        begin: Before anything fails; gives what is to be done then.
        before: The rows before; None if there is no table.
        after: The rows after.
        configuration: Of the table.
    """

    begin: Callable[[Path], Callable[[], object]]
    before: list[int] | None
    after: list[int]
    configuration: dict[str, str] | None = None


def opened(path: Path) -> am.Table:
    return am.Table.open(path, env=ENV, budget=BUDGET)


def transaction(path: Path) -> Callable[[], object]:
    table = opened(path)

    def run() -> None:
        with table.transaction() as work:
            work.delete("i = 0")
            work.append(rows(NEW))

    return run


def behind(path: Path) -> Callable[[], object]:
    """Another handle was there first: what it wrote is read before the next attempt."""
    table, other = opened(path), opened(path)
    other.append(rows([3]))
    return lambda: table.append(rows(NEW))


def contended(path: Path) -> Callable[[], object]:
    """A writer that lost before posts its intent."""
    table, other = opened(path), opened(path)
    for value in (3, 4):
        other.append(rows([value]))
        table.append(rows([value]))
        table.delete(f"i = {value}")
    other.refresh()
    other.append(rows([3]))
    return lambda: table.append(rows(NEW))


def large(path: Path) -> Callable[[], object]:
    options = am.WriteOptions(part_size=64, max_rows_per_group=1, compression="none")
    table = opened(path)
    return lambda: table.append(rows(NEW), options=options)


OPERATIONS = {
    "append": Operation(lambda path: lambda: opened(path).append(rows(NEW)), OLD, OLD + NEW),
    "append behind another": Operation(behind, OLD, [*OLD, 3, *NEW]),
    "append after losses": Operation(contended, OLD, [*OLD, 3, *NEW]),
    "append a large file": Operation(large, OLD, OLD + NEW),
    "overwrite": Operation(lambda path: lambda: opened(path).overwrite(rows(NEW)), OLD, NEW),
    "delete": Operation(lambda path: lambda: opened(path).delete("i = 0"), OLD, [1]),
    "transaction": Operation(transaction, OLD, [1, *NEW]),
    "create": Operation(
        lambda path: lambda: am.Table.create(path, rows([]).schema, env=ENV, budget=BUDGET),
        None,
        [],
    ),
    "create with rows": Operation(
        lambda path: lambda: am.append(path, rows(NEW), env=ENV), None, NEW
    ),
    "append and checkpoint": Operation(
        lambda path: lambda: opened(path).append(rows(NEW)), OLD, OLD + NEW, CHECKPOINTING
    ),
    "write a dataset": Operation(
        lambda path: (
            lambda: am.write_dataset(
                rows(NEW), path, existing_data_behavior="overwrite_or_ignore", env=ENV
            )
        ),
        OLD,
        OLD + NEW,
    ),
}


def found(path: Path) -> list[int] | None:
    """The rows of a table that is opened anew; None if there is none."""
    try:
        return sorted(am.Table.open(path).to_arrow()["i"].to_pylist())
    except TableNotFound:
        return None


def commit_ids(path: Path) -> list[str]:
    return [
        record["id"]
        for entry in sorted(path.glob("_delta_log/*.json"))
        if len(entry.stem) == 20
        for line in entry.read_text().splitlines()
        if (info := json.loads(line).get("commitInfo"))
        for record in info["atomicManifest"].get("commits", [])
    ]


def check(operation: Operation, path: Path, act: Callable[[], object], before: object) -> str:
    """Do it, and hold what was said of it against what is there; gives what was said."""
    try:
        act()
    except CommitOutcomeUnknown as error:
        said = "unknown"
        committed = found(path) == sorted(operation.after)
        assert committed or found(path) == before
        if found(path) is not None:
            state = opened(path).resolve(error).state.value
            assert state == "committed" if committed else state in {"not committed", "open"}
    except AtomicManifestError:
        said = "failed"
        assert found(path) == before
    else:
        said = "done"
        assert found(path) == sorted(operation.after)
    ids = commit_ids(path)
    assert len(ids) == len(set(ids))
    return said


def sweep(
    name: str,
    folder: Path,
    patch: pytest.MonkeyPatch,
    mode: Mode,
    errors: Callable[[int], Sequence[int]],
) -> set[str]:
    """Fail call after call, until the operation completes untouched; gives what was said."""
    patch.setattr(os, "fsync", lambda _: None)  # the disk is trusted, and slow
    operation = OPERATIONS[name]
    template = folder / "template"
    if operation.before is not None:
        am.Table.create(template, rows([]).schema, configuration=operation.configuration)
        for value in operation.before:
            am.append(template, rows([value]))
    said: set[str] = set()
    for first in itertools.count():
        failed = False
        for number in errors(first):
            path = folder / f"{first}-{number}"
            if operation.before is not None:
                shutil.copytree(template, path)
            act = operation.begin(path)
            before = found(path)
            calls = FailingCalls(path, number, mode, first)

            def failing(calls: FailingCalls = calls, act: Callable[[], object] = act) -> None:
                with patch.context() as patched:
                    calls.install(patched)
                    act()

            try:
                said.add(check(operation, path, failing, before))
            except BaseException as error:
                call = calls.names[first] if calls.has_failed else "none"
                error.add_note(f"call {first} ({call}), {errno.errorcode[number]}, {mode}")
                raise
            shutil.rmtree(path, ignore_errors=True)
            failed |= calls.has_failed
        if not failed:
            return said
    raise AssertionError("unreachable: the sweep ends when nothing fails")


@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.name)
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_failing_call_loses_a_commit_or_tells_its_fate_wrong(name, mode, tmp_path, monkeypatch):
    """Each call fails with one of the errors; neighbouring calls with others."""
    said = sweep(name, tmp_path, monkeypatch, mode, lambda first: [ERRNOS[first % len(ERRNOS)]])
    assert "done" in said


@pytest.mark.slow
@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.name)
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_call_failing_in_any_way_loses_a_commit(name, mode, tmp_path, monkeypatch):
    assert "done" in sweep(name, tmp_path, monkeypatch, mode, lambda _: ERRNOS)
