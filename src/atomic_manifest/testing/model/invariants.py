"""What must hold once all that was on its way has arrived."""

from collections import Counter
from collections.abc import Mapping, Sequence

from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.messages import AlreadyCommitted, Committed, OutOfOrder, Unknown
from atomic_manifest.log.actions import Action, Add, Remove, Txn
from atomic_manifest.log.entry import Entry
from atomic_manifest.testing.model.serial import check_serial
from atomic_manifest.testing.model.violation import Violation
from atomic_manifest.testing.model.world import World, Writer

_REVOCATIONS = 10
"""PUTs that a writer may send beyond its budget."""


def check_world(world: World) -> None:
    """Check everything that must hold once all that was on its way has arrived.

    Raises:
        Violation: Something does not.
    """
    log = world.log()
    named = [record.id for entry in log for record in entry.commits]
    at = {record.id: entry.version for entry in log for record in entry.commits}
    if len(named) > len(at):
        name, times = Counter(named).most_common(1)[0]
        raise Violation(f"{name} is in the log {times} times")
    for entry in log:
        if both := entry.revoked & at.keys():
            raise Violation(f"{both} was revoked and is in the log")
    _check_tables(log, world)
    for writer in world.writers:
        _check_outcome(writer, at.get(writer.intent.commit_id), log)
        if writer.machine.progress.sends > world.budget.attempts + _REVOCATIONS:
            raise Violation("too many attempts")
    # Of a commit that was planned again, the last plan alone may be in the log.
    intents = {writer.intent.commit_id: writer.intent for writer in world.writers}
    done = Counter(intent.txn for intent in intents.values() if intent.commit_id in at)
    if any(times > 1 for txn, times in done.items() if txn is not None):
        raise Violation(f"a transaction was done twice: {done}")
    _check_order(log)
    intents |= {intent.commit_id: intent for intent in world.prologue}
    _check_whole(log, intents)
    check_serial(log, intents.values())


def _check_tables(log: Sequence[Entry], world: World) -> None:
    """No commit is in the log of another table than it was made for."""
    tables = {writer.intent.commit_id: writer.intent.table for writer in world.writers}
    here = next((metadata.id for entry in log if (metadata := entry.metadata)), None)
    if world.prologue:
        here = world.prologue[-1].table
    for entry in log:
        for record in entry.commits:
            if tables.get(record.id, here) != here:
                raise Violation(f"{record.id} is in the log of another table")


def _check_outcome(writer: Writer, version: int | None, log: Sequence[Entry]) -> None:
    name, outcome = writer.intent.commit_id, writer.machine.outcome
    if writer.replaced:
        return
    fits = version is None
    match outcome:
        case Committed(committed):
            fits = version == committed
        case Unknown(possible):
            fits = version is None or version in possible
        case None:
            fits = writer.crashed
        case AlreadyCommitted(before):
            if writer.intent.txn not in _recorded(log, before):
                raise Violation(f"{name}: {outcome}, but that is not in the log")
        case OutOfOrder(before, overtaken):
            given = (overtaken.app_id, overtaken.given)
            later = (overtaken.app_id, overtaken.recorded)
            if (
                given != writer.intent.txn
                or not given < later
                or later not in _recorded(log, before)
            ):
                raise Violation(f"{name}: {outcome}, but that is not in the log")
    if not fits:
        where = [] if version is None else [version]
        raise Violation(f"{name}: {outcome}, but the log has it at {where}")


def _recorded(log: Sequence[Entry], version: int) -> set[tuple[str, int]]:
    """The transactions of the entry at a version."""
    return {(txn.app_id, txn.version) for entry in log[version : version + 1] for txn in entry.txns}


def _check_order(log: Sequence[Entry]) -> None:
    """Of one application each transaction that is recorded is later than those before it."""
    marks: dict[str, int] = {}
    for entry in log:
        for txn in entry.txns:
            mark = marks.setdefault(txn.app_id, txn.version - 1)
            if txn.version <= mark:
                raise Violation(
                    f"version {entry.version} records {txn.version} of {txn.app_id} after {mark}"
                )
            marks[txn.app_id] = txn.version


def _check_whole(log: Sequence[Entry], intents: Mapping[str, Intent]) -> None:
    """Entries hold commits whole, each as it was last planned, and nothing else."""
    for entry in log:
        if not entry.commits or any(record.id not in intents for record in entry.commits):
            continue
        actions = [action for record in entry.commits for action in intents[record.id].actions]
        wanted = Counter(
            _key(action) for action in actions if isinstance(action, Add | Remove | Txn)
        )
        held = (entry.adds, entry.removes, entry.txns)
        there = Counter(_key(action) for actions in held for action in actions)
        if wanted != there:
            raise Violation(
                f"version {entry.version} holds {dict(there)}, wanted was {dict(wanted)}"
            )


def _key(action: Action) -> tuple[type, str]:
    match action:
        case Txn(app_id=name) | Add(path=name) | Remove(path=name):
            return type(action), name
    return type(action), ""
