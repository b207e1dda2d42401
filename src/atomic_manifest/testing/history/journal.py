"""Histories on disk: what processes were about to do and what came of it, to be read after any crash.

Each process appends JSON lines to a file of its own, and goes on only when the line is on disk: an
operation is there before the library is called for it, and its end before the next one begins. A line
torn by a kill tells of something that had not begun, or of an end that nobody was told of, and is left
out.

Times are those of `Env.monotonic`, which all processes of one machine share.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias

import msgspec

from atomic_manifest.testing.history.steps import Step


class Outcome(Enum):
    """What a process was told of an operation."""

    OK = "ok"
    FAILED = "failed"
    """It is certainly not in the log."""
    UNKNOWN = "unknown"
    """The library said so, or the process was killed."""


class Invoked(msgspec.Struct, frozen=True, tag="invoke"):
    """An operation begins.

    Attributes:
        operation: Its name, given along as `commit_info` so that the log holds it.
        kind: What it is, in words.
        at: When.
        txn: (application id, version), if it gives one.
        steps: What it does, where that is settled beforehand.
    """

    operation: str
    kind: str
    at: float
    txn: tuple[str, int] | None = None
    steps: tuple[Step, ...] | None = None


class Prepared(msgspec.Struct, frozen=True, tag="prepare"):
    """A transaction has done what it will do, and is about to commit.

    Attributes:
        operation: Whose.
        commit_id: The commit's id; empty if there will be none.
        base: The version that it sees.
        steps: What it read and wrote.
    """

    operation: str
    commit_id: str
    base: int
    steps: tuple[Step, ...]


class Ended(msgspec.Struct, frozen=True, tag="end"):
    """The library has returned or raised.

    Attributes:
        operation: Which.
        at: When.
        outcome: What was told.
        commit_id: The commit's id; empty if nothing had to be committed.
        version: The version told; None if it raised.
        rows_deleted: As told; None where that is not told.
        already_committed: Whether its transaction was found in the log.
        error: What it raised.
    """

    operation: str
    at: float
    outcome: Outcome
    commit_id: str = ""
    version: int | None = None
    rows_deleted: int | None = None
    already_committed: bool = False
    error: str = ""

    @property
    def found_nothing(self) -> bool:
        """Whether it succeeded and there was nothing to commit."""
        ok = self.outcome is Outcome.OK
        return ok and not self.commit_id and not self.already_committed


class Resolved(msgspec.Struct, frozen=True, tag="resolve"):
    """What `Table.resolve` said of a commit.

    Attributes:
        commit_id: The commit.
        state: The value of `ResolutionState`.
        version: Where it is committed.
        settled: Whether it was to be settled, so that the answer must be final.
    """

    commit_id: str
    state: str
    version: int | None
    settled: bool


Event: TypeAlias = Invoked | Prepared | Ended | Resolved

_LINE = msgspec.json.Decoder(Event)


class Journal:
    """Writes the file of one process. Its threads may share it.

    Args:
        path: A new file.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("xb", buffering=0)
        self._lock = threading.Lock()

    def write(self, event: Event) -> None:
        """Append a line; it is on disk when this returns."""
        line = msgspec.json.encode(event) + b"\n"
        with self._lock:
            self._file.write(line)
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_events(path: Path) -> list[Event]:
    """The events of one process; without a last line that is torn."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return _LINE.decode_lines(whole) if whole else []


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of an operation: what it would do to which version.

    Attributes:
        steps: What it read and wrote.
        commit_id: Of its commit; None where only the result tells it.
        base: The version that it saw; None where nothing tells.
    """

    steps: tuple[Step, ...]
    commit_id: str | None = None
    base: int | None = None


@dataclass(slots=True)
class Operation:
    """All that is known of one operation.

    Attributes:
        name: See `Invoked.operation`.
        process: Who did it.
        kind: See `Invoked`.
        began: See `Invoked.at`.
        txn: See `Invoked`.
        attempts: What it tried, in order. Of these the last one may be in the log.
        end: What was told; None if the process was killed before.
    """

    name: str
    process: str
    kind: str
    began: float
    txn: tuple[str, int] | None = None
    attempts: list[Attempt] = field(default_factory=list)
    end: Ended | None = None

    @property
    def outcome(self) -> Outcome:
        """What was told."""
        return Outcome.UNKNOWN if self.end is None else self.end.outcome

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}, {self.outcome.value})"


@dataclass(slots=True)
class History:
    """What all processes recorded.

    Attributes:
        operations: By name.
        resolutions: Answers of `Table.resolve`.
    """

    operations: dict[str, Operation] = field(default_factory=dict)
    resolutions: list[Resolved] = field(default_factory=list)

    @classmethod
    def of(cls, processes: Iterable[tuple[str, Sequence[Event]]]) -> "History":
        """Put together the events of processes, given by name."""
        history = cls()
        for process, events in processes:
            for event in events:
                history._take(process, event)
        return history

    def _take(self, process: str, event: Event) -> None:
        match event:
            case Invoked():
                operation = Operation(event.operation, process, event.kind, event.at, event.txn)
                if event.steps is not None:
                    operation.attempts.append(Attempt(event.steps))
                self.operations[event.operation] = operation
            case Prepared(operation=name):
                attempt = Attempt(event.steps, event.commit_id, event.base)
                self.operations[name].attempts.append(attempt)
            case Ended(operation=name):
                self.operations[name].end = event
            case Resolved():
                self.resolutions.append(event)


def read_history(folder: Path) -> History:
    """What the processes that kept their files in a folder recorded."""
    files = sorted(folder.glob("*.jsonl"))
    return History.of((file.stem, read_events(file)) for file in files)
