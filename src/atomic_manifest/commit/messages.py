"""What the commit machine says and hears: requests, events, states and outcomes, as plain values.

Nothing here decides anything; `commit.protocol` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from atomic_manifest.commit.conflicts import Conflict, Overtaken
from atomic_manifest.log.entry import Entry

# --- requests: what the machine wants done --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateEntry:
    """PUT the entry of `version` with `If-None-Match: *`, one attempt."""

    version: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadEntries:
    """GET the entries `first`, `first + 1`, ... in parallel, `count` at most, up to the first missing."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class PostIntent:
    """PUT an intent as an object, for others to take along."""

    key: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListIntents:
    """LIST the posted intents."""


@dataclass(frozen=True, slots=True)
class ReadIntents:
    """GET posted intents in parallel."""

    keys: tuple[str, ...]


Request: TypeAlias = CreateEntry | ReadEntries | Wait | PostIntent | ListIntents | ReadIntents

# --- events: what came of a request ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EntryCreated:
    """The PUT was acknowledged."""


@dataclass(frozen=True, slots=True)
class EntryRefused:
    """412: the version exists. It may still be an earlier attempt of ours."""


@dataclass(frozen=True, slots=True)
class EntryConflict409:
    """409: another operation was in flight, perhaps a copy of this one. It is not "exists"."""


@dataclass(frozen=True, slots=True)
class EntryThrottled:
    """429 on the entry's key: somebody is writing it, most likely somebody else."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The request got no answer, or one that proves nothing."""

    cause: BaseException | None = None


@dataclass(frozen=True, slots=True)
class EntriesRead:
    """Consecutive entries from the first one asked for; fewer than asked: the next is missing."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class EntryCorrupt:
    """The first entry asked for exists, and is not an entry, or did not come as one.

    Attributes:
        cause: What is wrong with it.
        damaged: Whether it may be the read that is to blame, or a writer that is not done: whose entry it
            is, nothing tells. Otherwise it is whole, and certainly not ours.
        data: What came.
    """

    cause: BaseException
    damaged: bool = True
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """An error that no retry mends: no permission, a store that cannot do it."""

    cause: BaseException


@dataclass(frozen=True, slots=True)
class Waited:
    """The pause is over."""


@dataclass(frozen=True, slots=True)
class IntentPosted:
    """The intent's PUT was acknowledged."""


@dataclass(frozen=True, slots=True)
class IntentsListed:
    """What is posted.

    Attributes:
        keys: Ascending.
        sizes: Bytes of each, where the store tells them.
        modified: When the store took each, in seconds since the Unix epoch, where it tells that.
    """

    keys: tuple[str, ...]
    sizes: Mapping[str, int] = field(default_factory=dict, repr=False)
    modified: Mapping[str, float] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class IntentsRead:
    """Bytes by key; keys whose object is gone or could not be read are left out."""

    objects: Mapping[str, bytes] = field(repr=False)


Event: TypeAlias = (
    EntryCreated
    | EntryRefused
    | EntryConflict409
    | EntryThrottled
    | Unanswered
    | EntriesRead
    | EntryCorrupt
    | Failed
    | Waited
    | IntentPosted
    | IntentsListed
    | IntentsRead
)

# --- states ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Creating:
    """The PUT of the entry is under way."""


@dataclass(frozen=True, slots=True)
class Looking:
    """Reading who holds the version, and what follows it: `count` entries, after `read` others."""

    count: int = 2
    read: int = 0


@dataclass(frozen=True, slots=True)
class Posting:
    """The PUT of the intent is under way."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Asking who else waits."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """Leading: reading what the others want."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Following:
    """Waiting for the leader, for as long as `seconds`, before the next look at the log."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Polling:
    """Looking whether the leader has created the version; see `Looking` for the numbers."""

    count: int = 1
    read: int = 0


@dataclass(frozen=True, slots=True)
class Pausing:
    """Waiting before `then`."""

    seconds: float
    then: "Creating | Looking | Listing"


@dataclass(frozen=True, slots=True)
class Committed:
    """Done: the commit is in the log at `version`."""

    version: int


@dataclass(frozen=True, slots=True)
class AlreadyCommitted:
    """Done before: a winner at `version` carries the same transaction. This commit is not in the log."""

    version: int


@dataclass(frozen=True, slots=True)
class OutOfOrder:
    """Certainly not in the log: a winner at `version` carries a later transaction of the application."""

    version: int
    overtaken: Overtaken


@dataclass(frozen=True, slots=True)
class Conflicted:
    """Certainly not in the log: these conflicts with the entry of `version`."""

    version: int
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class GaveUp:
    """Certainly not in the log: the budget ended between two races, or the commit was revoked."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Certainly not in the log: an error that no retry mends."""

    cause: BaseException


@dataclass(frozen=True, slots=True)
class Unknown:
    """The budget ended, or an error came, while an attempt at one of `versions` was of unknown fate."""

    versions: tuple[int, ...]
    cause: BaseException | None


Outcome: TypeAlias = (
    Committed | AlreadyCommitted | OutOfOrder | Conflicted | GaveUp | Rejected | Unknown
)
Working: TypeAlias = (
    Creating | Looking | Posting | Listing | Gathering | Following | Polling | Pausing
)
State: TypeAlias = Working | Outcome


class UnexpectedEvent(RuntimeError):
    """A driver reported something that the present request cannot lead to. The machine is unchanged."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What the machine may know of the world when an event arrives.

    Attributes:
        monotonic: Seconds on a clock that never goes back.
        unix_ms: Wall clock in milliseconds, for stamps.
        draw: A random number from [0, 1), for jitter.
    """

    monotonic: float
    unix_ms: int
    draw: float


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of one commit.

    Attributes:
        attempts: PUTs of an entry, over all versions.
        seconds: From start to the last decision to go on.
        pause_cap_seconds: The longest single pause.
    """

    attempts: int = 100
    seconds: float = 120.0
    pause_cap_seconds: float = 5.0
