"""Whether a log is a serial history: a second opinion that knows nothing of the conflict rules.

The log is replayed, commit by commit: those in one entry took effect in its order. Each commit of a
modelled writer must find the table, at the version where it landed, as it was at its base version: the
files that it removes are there, the rows that it read are the same, the schema that its files were
written for is still the table's.
"""

from collections.abc import Iterable, Sequence

from atomic_manifest.commit.intent import (
    NO_TABLE,
    Intent,
    Isolation,
    ReadNothing,
)
from atomic_manifest.log.entry import Entry
from atomic_manifest.testing.model.table import Contents
from atomic_manifest.testing.model.violation import Violation


def check_serial(log: Sequence[Entry], intents: Iterable[Intent]) -> None:
    """Check that every commit of `intents` in `log` could have been made where it landed.

    Raises:
        Violation: One could not.
    """
    states = [Contents()]
    for entry in log:
        states.append(states[-1].after(entry))
    by_id = {intent.commit_id: intent for intent in intents}
    for entry in log:
        before = states[entry.version]
        earlier: list[Entry] = []
        for record in entry.commits:
            if record.id in by_id:
                intent = by_id[record.id]
                _check_one(intent, log, states[intent.base_version + 1], before, entry, earlier)
                part = intent.as_entry(entry.version)
                before = before.after(part)
                earlier += [part] if intent.is_blind else []


def _check_one(
    intent: Intent,
    log: Sequence[Entry],
    base: Contents,
    before: Contents,
    entry: Entry,
    earlier: Sequence[Entry],
) -> None:
    """`before` is the table as the commits ahead in the same `entry` left it; `earlier` the blind ones."""
    version = entry.version
    name = f"{intent.commit_id} at {version}"
    if intent.base_version == NO_TABLE:
        if version != 0:
            raise Violation(f"{name} created a table that existed")
        return
    if base.schema != before.schema:
        raise Violation(f"{name} was written for another schema")
    if missing := intent.removed_paths - before.files.keys():
        raise Violation(f"{name} removed {missing}, which were gone")
    if isinstance(intent.reads, ReadNothing):
        return
    seen, there = base.rows(intent.reads), before.rows(intent.reads)
    if intent.isolation is Isolation.WRITE_SERIALIZABLE and not intent.changes_metadata:
        since = log[intent.base_version + 1 : version]
        blind = [*(e for e in since if e.blind_append), *earlier]
        there -= {add.path for e in blind for add in e.adds}
    if seen != there:
        raise Violation(f"{name} read {sorted(seen)}; where it landed were {sorted(there)}")
