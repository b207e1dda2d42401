"""Several commits in one entry: who may share it, and its bytes.

Pure. `combine` is used by whoever creates an entry: by a writer that leads others it has never met, and
by a handle for its own threads.

Exactly once: whoever writes version N has read every entry after each intent's base up to N - 1, so it
sees, and drops, an intent that is already in, that conflicts, that was revoked, or that has expired.
An intent whose base lies before the entries at hand is left alone: nothing can be said of it.

Composition: the intents of an entry take effect one after the other, in its order. An intent joins if it
conflicts with none accepted before it, changes rows only, repeats no application's transaction and
adds no path again. One that does not join is not refused: it waits for the next entry.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from atomic_manifest.commit.conflicts import check, overtaken_txn, repeats_txn
from atomic_manifest.commit.intent import Intent, Isolation
from atomic_manifest.log.actions import Add, Remove
from atomic_manifest.log.entry import CommitRecord, Entry, commit_info, encode, seal
from atomic_manifest.version import ENGINE

ENTRY_BYTES = 16 << 20
"""An entry takes no further commits beyond this size."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An intent that may go into an entry.

    Attributes:
        intent: The intent.
        body: `encode(intent.actions)`, kept because it is the same in every entry.
        key: Where the intent is posted; None if it is not.
        expires: The last version that may hold it; None without bound.
        is_foreign: Whether another process wrote it: then nothing of it is to be trusted.
    """

    intent: Intent
    body: bytes
    key: str | None = None
    expires: int | None = None
    is_foreign: bool = False

    @classmethod
    def of(cls, intent: Intent) -> "Candidate":
        """A candidate that is not posted."""
        return cls(intent, encode(intent.actions))


@dataclass(frozen=True, slots=True)
class Combination:
    """What an entry at `version` will hold.

    Attributes:
        version: The version.
        accepted: The commits in it, in the order they take effect.
        spent: Keys of posted intents that no later entry can hold either: they may be deleted.
    """

    version: int
    accepted: tuple[Candidate, ...]
    spent: tuple[str, ...] = ()

    @property
    def entry(self) -> Entry:
        """The entry, without going through bytes."""
        return merged(self.version, [candidate.intent for candidate in self.accepted])

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of posted intents that nobody needs once the entry is in the log."""
        return (*(c.key for c in self.accepted if c.key is not None), *self.spent)


class _Fate(Enum):
    ELIGIBLE = auto()
    UNKNOWABLE = auto()
    SPENT = auto()


def combine(candidates: Iterable[Candidate], entries: Sequence[Entry], version: int) -> Combination:
    """Choose what goes into the entry at `version`.

    Args:
        candidates: In order of precedence; the first eligible one always goes in.
        entries: Consecutive entries up to `version - 1`, as far back as they are known.
        version: The version about to be created.
    """
    shared = _Shared(version)
    spent: list[str] = []
    for candidate in candidates:
        try:
            fate = _fate(candidate, entries, version)
            if fate is _Fate.ELIGIBLE:
                shared.offer(candidate)
        except Exception:
            # What another process says it has read may be anything. It stops nobody but itself.
            if not candidate.is_foreign:
                raise
        else:
            if fate is _Fate.SPENT and candidate.key is not None:
                spent.append(candidate.key)
    return Combination(version, tuple(shared.accepted), tuple(spent))


def _fate(candidate: Candidate, entries: Sequence[Entry], version: int) -> _Fate:
    intent = candidate.intent
    if candidate.expires is not None and candidate.expires < version:
        return _Fate.SPENT
    first_known = entries[0].version if entries else version
    if not first_known - 1 <= intent.base_version < version:
        return _Fate.UNKNOWABLE
    ids = {record.id for record in intent.records}
    for entry in entries[intent.base_version + 1 - first_known :]:
        if not ids.isdisjoint(entry.revoked) or any(map(entry.holds, ids)):
            return _Fate.SPENT
        if repeats_txn(intent, entry) or overtaken_txn(intent, entry) or check(intent, entry):
            return _Fate.SPENT
    return _Fate.ELIGIBLE


class _Shared:
    """An entry in the making, and what has to stay distinct in it."""

    def __init__(self, version: int) -> None:
        self.accepted: list[Candidate] = []
        self._version = version
        self._bytes = 0
        self._apps: set[str] = set()
        self._paths: set[str] = set()
        self._ids: set[str] = set()

    def offer(self, candidate: Candidate) -> None:
        """Take the candidate in if it may follow those accepted before it."""
        intent = candidate.intent
        apps = {txn.app_id for txn in intent.txns}
        paths = {action.path for action in intent.actions if isinstance(action, Add | Remove)}
        ids = {record.id for record in intent.records}
        distinct = (
            self._apps.isdisjoint(apps)
            and self._paths.isdisjoint(paths)
            and self._ids.isdisjoint(ids)
        )
        fits = self._bytes + len(candidate.body) <= ENTRY_BYTES
        if self.accepted and not (distinct and fits and self._may_follow(intent)):
            return
        self.accepted.append(candidate)
        self._bytes += len(candidate.body)
        self._apps |= apps
        self._paths |= paths
        self._ids |= ids

    def _may_follow(self, intent: Intent) -> bool:
        before = [candidate.intent for candidate in self.accepted]
        if not intent.is_combinable or not before[0].is_combinable:
            return False
        # What only changes rows never conflicts with what depends on none.
        return intent.is_blind or not check(intent, merged(self._version, before))


def merged(version: int, intents: Sequence[Intent]) -> Entry:
    """The entry that these intents make together."""
    info = {"isBlindAppend": all(intent.is_blind for intent in intents)}
    if len(intents) == 1:
        return replace(intents[0].as_entry(version), commit_info=info)
    parts = [intent.as_entry(version) for intent in intents]
    return Entry(
        version,
        adds=tuple(add for part in parts for add in part.adds),
        removes=tuple(remove for part in parts for remove in part.removes),
        txns=tuple(txn for part in parts for txn in part.txns),
        commit_info=info,
        commits=tuple(record for part in parts for record in part.commits),
        table=parts[0].table,
    )


def render(accepted: Sequence[Candidate], version: int, unix_ms: int) -> bytes:
    """The bytes of an entry.

    Args:
        accepted: The commits in it.
        version: Where it is about to go; its `readVersion` is the one before.
        unix_ms: Wall clock for the entry's stamp.
    """
    intents = [candidate.intent for candidate in accepted]
    first = intents[0]
    alike = all(intent.operation == first.operation for intent in intents)
    same_parameters = all(intent.parameters == first.parameters for intent in intents)
    serializable = any(intent.isolation is Isolation.SERIALIZABLE for intent in intents)
    info = commit_info(
        [record for intent in intents for record in intent.records],
        timestamp_ms=unix_ms,
        operation=first.operation if alike else "WRITE",
        parameters=first.parameters if same_parameters else {},
        read_version=version - 1 if version > 0 else None,
        isolation=(Isolation.SERIALIZABLE if serializable else first.isolation).value,
        blind_append=all(intent.is_blind for intent in intents),
        engine=ENGINE,
        user=first.user_info if len(intents) == 1 else None,
        table=first.table,
    )
    body = b"".join(candidate.body for candidate in accepted)
    return seal(encode([info]) + body, version)


def render_revocation(
    ids: Sequence[str], version: int, unix_ms: int, table: str | None = None
) -> bytes:
    """The bytes of an entry that changes nothing, and says that these commits will never be."""
    info = commit_info(
        [CommitRecord(f"{ids[0]}-revocation", "REVOKE")],
        timestamp_ms=unix_ms,
        operation="REVOKE",
        parameters={},
        read_version=version - 1,
        isolation=Isolation.SERIALIZABLE.value,
        blind_append=True,
        engine=ENGINE,
        revoked=ids,
        table=table,
    )
    return seal(encode([info]), version)
