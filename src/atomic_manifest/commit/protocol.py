"""The commit protocol as a state machine without I/O.

Two rules: everything that decides what a commit does next is in this file, and this file touches no
socket, no clock and no random generator. A driver performs `machine.request`, and tells the machine
what came of it with `machine.handle(event, moment)`, until `machine.outcome` is set.

Invariants:

* The machine moves past a version only when it has *read* that version's entry and it is not ours. So
  at any time at most one version can hold an attempt of unknown fate, and a commit that ends as
  `Conflicted`, `AlreadyCommitted`, `GaveUp` or `Rejected` is certainly not in the log under its id.
* One version gets one sequence of bytes. A resend to the same version sends the same bytes; a move to
  the next version renders new ones (`readVersion`, stamp), with the same commit id.
* A 404 after an unanswered PUT proves nothing: the same bytes go to the same version again. 412, 409
  and 429 prove nothing either, because the network may have delivered a PUT twice: they put the
  version in doubt until its entry has been read.
* Attempts and time are bounded. A PUT that is neither acknowledged nor denied is looked for before the
  budget ends. If the fate of an attempt is still open then, the outcome is `Unknown`, never a guess.

`TRANSITIONS` is the protocol: state and event to a handler and to the states it may lead to. The
diagram in the documentation is drawn from it. An event that a state does not take raises
`UnexpectedEvent` and changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from atomic_manifest.commit.conflicts import Conflict, check, repeats_txn
from atomic_manifest.commit.intent import Intent, render
from atomic_manifest.log.entry import Entry, encode

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


Request: TypeAlias = CreateEntry | ReadEntries | Wait

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
    """The first entry asked for exists, and is not an entry."""

    cause: BaseException


@dataclass(frozen=True, slots=True)
class Failed:
    """An error that no retry mends: no permission, a store that cannot do it."""

    cause: BaseException


@dataclass(frozen=True, slots=True)
class Waited:
    """The pause is over."""


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
)

# --- states ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Creating:
    """The PUT of the entry is under way."""


@dataclass(frozen=True, slots=True)
class Looking:
    """Reading who holds the version, and what follows it."""

    count: int = 2


@dataclass(frozen=True, slots=True)
class Pausing:
    """Waiting before `then`."""

    seconds: float
    then: "Creating | Looking"


@dataclass(frozen=True, slots=True)
class Committed:
    """Done: the commit is in the log at `version`."""

    version: int


@dataclass(frozen=True, slots=True)
class AlreadyCommitted:
    """Done before: a winner at `version` carries the same transaction. This commit is not in the log."""

    version: int


@dataclass(frozen=True, slots=True)
class Conflicted:
    """Certainly not in the log: these conflicts with the entry of `version`."""

    version: int
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class GaveUp:
    """Certainly not in the log: the budget ended between two races."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Certainly not in the log: an error that no retry mends."""

    cause: BaseException


@dataclass(frozen=True, slots=True)
class Unknown:
    """The budget ended, or an error came, while an attempt at `version` was of unknown fate."""

    version: int
    cause: BaseException | None


Outcome: TypeAlias = Committed | AlreadyCommitted | Conflicted | GaveUp | Rejected | Unknown
State: TypeAlias = Creating | Looking | Pausing | Outcome


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


_LOOK_LIMIT = 32
"""Entries asked for at once when far behind."""

_MINIMAL_PAUSE_UNIT_SECONDS = 0.002

_DOUBLINGS = 32
"""Of the pause's unit: past any cap, and a power that a float still holds."""


class Progress:
    """What the machine remembers besides its state; the handlers of the table work on it.

    Attributes:
        intent: What to commit.
        version: The version it is trying for.
        data: The bytes rendered for `version`; empty until it is first sent there.
        in_doubt: Whether an attempt at `version` is of unknown fate.
        winners: The entries of others read on the way, consecutive from the base version on.
        sends: PUTs of an entry so far.
        losses: Races lost so far.
        troubles: Consecutive events that call for a pause, since the log last moved; paces the backoff.
        cause: Why the last request went unanswered.
        now: When the last event arrived.
    """

    def __init__(self, intent: Intent, budget: Budget, moment: Moment) -> None:
        self.intent = intent
        self.version = intent.base_version + 1
        self.data = b""
        self.in_doubt = False
        self.winners: list[Entry] = []
        self.sends = 0
        self.losses = 0
        self.troubles = 0
        self.cause: BaseException | None = None
        self.now = moment
        self._budget = budget
        self._body = encode(intent.actions)
        self._started = moment.monotonic
        self._sent_at = moment.monotonic
        self._attempt_seconds = 0.0

    def send(self) -> CreateEntry:
        """The next PUT: the same bytes as long as the version stays the same."""
        if not self.data:
            self.data = render(self.intent, self.version, self.now.unix_ms, self._body)
        self.sends += 1
        self._sent_at = self.now.monotonic
        return CreateEntry(self.version, self.data)

    def measure(self) -> None:
        """Take the time of the PUT just answered as the unit of pauses."""
        self._attempt_seconds = self.now.monotonic - self._sent_at

    def spent(self) -> bool:
        """Whether the budget has ended."""
        elapsed = self.now.monotonic - self._started
        return self.sends >= self._budget.attempts or elapsed >= self._budget.seconds

    def stop(self) -> "GaveUp | Unknown":
        """How it ends when the budget has ended."""
        return Unknown(self.version, self.cause) if self.in_doubt else GaveUp()

    def pause(self, then: Creating | Looking) -> "Pausing | GaveUp | Unknown":
        """Full jitter; the unit is how long an attempt takes on this store, doubled each time."""
        if self.spent():
            return self.stop()
        unit = max(self._attempt_seconds, _MINIMAL_PAUSE_UNIT_SECONDS)
        doubled = unit * 2 ** min(self.troubles, _DOUBLINGS)
        ceiling = min(doubled, self._budget.pause_cap_seconds)
        self.troubles += 1
        return Pausing(self.now.draw * ceiling, then)

    def lose(self) -> "Creating | Pausing | GaveUp | Unknown":
        """Try for the version after the last one read.

        The first loss costs no pause: the tail is known, and most races are not repeated. Later ones
        cost at most one unit, however many: the log moves, so waiting longer each time would only let
        the winners run ahead of those who lose.
        """
        self.losses += 1
        self.troubles = 0
        return Creating() if self.losses == 1 else self.pause(then=Creating())

    def pass_by(self, entries: Sequence[Entry]) -> Outcome | None:
        """Go past entries that others won; stop at the first that settles this commit."""
        for entry in entries:
            if entry.holds(self.intent.commit_id):
                return Committed(entry.version)
            self.in_doubt = False
            self.winners.append(entry)
            if repeats_txn(self.intent, entry):
                return AlreadyCommitted(entry.version)
            if conflicts := check(self.intent, entry):
                return Conflicted(entry.version, conflicts)
            self.version = entry.version + 1
            self.data = b""
        return None


class CommitMachine:
    """One logical commit on its way into the log.

    Args:
        intent: What to commit. Its first attempt is at `intent.base_version + 1`.
        budget: Bounds on attempts and time.
        moment: Now.

    Attributes:
        state: One of `State`; one of `Outcome` at the end.
        progress: What it remembers besides.
    """

    def __init__(self, intent: Intent, budget: Budget, moment: Moment) -> None:
        self.progress = Progress(intent, budget, moment)
        self.state: State = Creating()
        self._request = self._enter(self.state)

    @property
    def request(self) -> Request | None:
        """What to do next; None once there is an outcome."""
        return self._request

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it has not."""
        return None if isinstance(self.state, Creating | Looking | Pausing) else self.state

    def handle(self, event: Event, moment: Moment) -> None:
        """Take what came of the present request, and move on.

        Raises:
            UnexpectedEvent: The state does not take this event; nothing has changed.
        """
        transition = TRANSITIONS.get((type(self.state), type(event)))
        if transition is None:
            raise UnexpectedEvent(f"{type(self.state).__name__} does not take {event!r}")
        self.progress.now = moment
        state = transition.handler(self.progress, self.state, event)
        if type(state) not in transition.leads_to:
            raise AssertionError(f"{type(state).__name__} is missing in the transition table")
        self.state = state
        self._request = self._enter(state)

    def _enter(self, state: State) -> Request | None:
        """The request that a state makes on entry."""
        match state:
            case Creating():
                return self.progress.send()
            case Looking(count):
                return ReadEntries(self.progress.version, count)
            case Pausing(seconds):
                return Wait(seconds)
            case _:
                return None


# --- handlers: one for each kind of row in the table ----------------------------------------------


def _created(progress: Progress, _state: State, _event: Event) -> State:
    return Committed(progress.version)


def _refused(progress: Progress, _state: State, _event: Event) -> State:
    # Whoever holds the version may be us: it is in doubt until its entry has been read.
    progress.measure()
    progress.in_doubt = True
    return Looking()


def _conflict_409(progress: Progress, _state: State, _event: Event) -> State:
    return _declined(progress, then=Creating())


def _throttled(progress: Progress, _state: State, _event: Event) -> State:
    return _declined(progress, then=Looking())


def _declined(progress: Progress, then: Creating | Looking) -> State:
    # The operation in flight, or the write that was too recent, may be a copy of this very request
    # that a proxy sent twice. And a budget never ends without a last look at what was sent.
    progress.measure()
    progress.in_doubt = True
    return Looking() if progress.spent() else progress.pause(then)


def _create_unanswered(progress: Progress, _state: State, event: Unanswered) -> State:
    progress.in_doubt = True
    progress.cause = event.cause
    return Looking()


def _failed(progress: Progress, _state: State, event: Failed) -> State:
    if progress.in_doubt:
        return Unknown(progress.version, event.cause)
    return Rejected(event.cause)


def _read(progress: Progress, state: Looking, event: EntriesRead) -> State:
    settled = progress.pass_by(event.entries)
    if settled is not None:
        return settled
    if progress.spent():
        return progress.stop()
    if len(event.entries) == state.count:
        return Looking(min(state.count * 2, _LOOK_LIMIT))
    if not progress.data:
        return progress.lose()
    # The version is missing although we sent it, and gets the very same bytes.
    return progress.pause(then=Creating())


def _read_unanswered(progress: Progress, _state: State, event: Unanswered) -> State:
    progress.cause = event.cause
    return progress.pause(then=Looking())


def _corrupt(_progress: Progress, _state: State, event: EntryCorrupt) -> State:
    # A whole object that is no entry is not ours: what we send is one, and PUT is atomic.
    return Rejected(event.cause)


def _waited(_progress: Progress, state: Pausing, _event: Event) -> State:
    return state.then


_Handler: TypeAlias = Callable[[Progress, Any, Any], State]


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table: the handler, and every state it may lead to."""

    handler: _Handler
    leads_to: frozenset[type[State]]


def _to(handler: _Handler, *states: type[Any]) -> Transition:
    return Transition(handler, frozenset(states))


TRANSITIONS: dict[tuple[type[Any], type[Any]], Transition] = {
    (Creating, EntryCreated): _to(_created, Committed),
    (Creating, EntryRefused): _to(_refused, Looking),
    (Creating, EntryConflict409): _to(_conflict_409, Pausing, Looking),
    (Creating, EntryThrottled): _to(_throttled, Pausing, Looking),
    (Creating, Unanswered): _to(_create_unanswered, Looking),
    (Creating, Failed): _to(_failed, Rejected, Unknown),
    (Looking, EntriesRead): _to(
        _read, Committed, AlreadyCommitted, Conflicted, Looking, Creating, Pausing, GaveUp, Unknown
    ),
    (Looking, Unanswered): _to(_read_unanswered, Pausing, GaveUp, Unknown),
    (Looking, EntryCorrupt): _to(_corrupt, Rejected),
    (Looking, Failed): _to(_failed, Rejected, Unknown),
    (Pausing, Waited): _to(_waited, Creating, Looking),
}
