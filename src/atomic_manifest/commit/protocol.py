"""The commit protocol as a state machine without I/O.

Two rules: everything that decides what a commit does next is in this file, and this file touches no
socket, no clock and no random generator. A driver performs `machine.request`, and tells the machine
what came of it with `machine.handle(event, moment)`, until `machine.outcome` is set.

The protocol. A writer that knows of nobody else creates the next entry at once. One that lost a race, or
did so lately, posts its intent, lists the posted ones, and either *leads* (the oldest does) or *follows*:
a leader reads what the others want and creates one entry that holds everybody's commits; a follower
looks for its own in the next entries, and leads itself if the leader is late. Leading twice at once is
harmless: only the conditional create decides.

Invariants:

* The machine moves past a version only when it has *read* that version's entry and the commit is not in
  it. So at any time at most one version can hold an attempt of unknown fate.
* Whoever creates version N has read every entry after each included intent's base up to N - 1
  (`commit.combine`), so that no commit is in the log twice, whoever put it there.
* A commit that ends as `Conflicted`, `AlreadyCommitted`, `OutOfOrder`, `GaveUp` or `Rejected` is not in the
  log and will not be: nobody includes an intent past an entry that conflicts with it, repeats or
  overtakes its transaction or
  revokes it, or past the version it expires at. Giving up a posted intent commits a revocation.
* One version gets one sequence of bytes, or besides it a revocation of the same commit. A resend to the
  same version sends the same bytes; a move to the next version renders new ones (`readVersion`, stamp),
  with the same commit id.
* A 404 after an unanswered PUT proves nothing: the same bytes go to the same version again. 412, 409
  and 429 prove nothing either, because the network may have delivered a PUT twice: they put the
  version in doubt until its entry has been read.
* An entry that says it is of another table settles it: the table was dropped and made anew, and what was
  made for the old one is in no log of the new one's.
* An entry that comes damaged is read again. If it stays so, an attempt that was not answered, or that may
  be what came, stays unknown.
* Attempts and time are bounded. A PUT that is neither acknowledged nor denied is looked for before the
  budget ends. If the fate of an attempt is still open then, the outcome is `Unknown`, never a guess.

`TRANSITIONS` is the protocol: state and event to a handler and to the states it may lead to. The
diagram in the documentation is drawn from it. An event that a state does not take raises
`UnexpectedEvent` and changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Budget,
    Committed,
    Conflicted,
    Creating,
    EntriesRead,
    EntryConflict409,
    EntryCorrupt,
    EntryCreated,
    EntryRefused,
    EntryThrottled,
    Event,
    Failed,
    Following,
    Gathering,
    GaveUp,
    IntentPosted,
    IntentsListed,
    IntentsRead,
    Listing,
    ListIntents,
    Looking,
    Moment,
    Outcome,
    OutOfOrder,
    Pausing,
    Polling,
    Posting,
    ReadEntries,
    ReadIntents,
    Rejected,
    Request,
    State,
    Unanswered,
    UnexpectedEvent,
    Unknown,
    Wait,
    Waited,
    Working,
)
from atomic_manifest.commit.progress import Memory, Progress

_LOOK_LIMIT = 32
"""Entries asked for at once when far behind."""

_LOOK_AGAIN = 4
"""Entries asked for at once by a writer that lost before: a second look costs it the next race."""

_DAMAGED_READS = 8
"""Reads of an entry that comes damaged, before that is believed."""

_REFUSED_READS = 2
"""The same of a whole object that is no entry."""


class CommitMachine:
    """One logical commit on its way into the log.

    Args:
        intent: What to commit. Its first attempt is at `intent.base_version + 1`.
        budget: Bounds on attempts and time.
        moment: Now.
        memory: What the writer remembers of its last commit.
        revoke: Commit a revocation instead, unless the intent turns out to be in the log.

    Attributes:
        state: One of `State`; one of `Outcome` at the end.
        progress: What it knows besides.
    """

    def __init__(
        self,
        intent: Intent,
        budget: Budget,
        moment: Moment,
        memory: Memory | None = None,
        *,
        revoke: bool = False,
    ) -> None:
        self.progress = Progress(intent, budget, moment, memory or Memory(), revoking=revoke)
        self.state: State = Posting() if self.progress.expects_others else Creating()
        self._request = self._enter(self.state)

    @property
    def request(self) -> Request | None:
        """What to do next; None once there is an outcome."""
        return self._request

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it has not."""
        return None if isinstance(self.state, Working) else self.state

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
            case Looking(count) | Polling(count):
                return ReadEntries(self.progress.version, count)
            case Posting():
                return self.progress.post()
            case Listing():
                return ListIntents()
            case Gathering(keys):
                return ReadIntents(keys)
            case Pausing(seconds) | Following(seconds):
                return Wait(seconds)
            case _:
                return None


# --- what handlers share --------------------------------------------------------------------------


def _stop(progress: Progress) -> State:
    """The budget has ended."""
    if progress.must_revoke():
        return Creating()
    return progress.unknown(progress.cause) if progress.uncertain else GaveUp()


def _pause(progress: Progress, then: Creating | Looking | Listing) -> State:
    if progress.spent():
        return _stop(progress)
    return Pausing(progress.pause_seconds(), then)


def _try_next(progress: Progress) -> State:
    """The tail of the log is known, and the commit is not in it: how to try for the next version.

    The first loss costs no post: most races are not repeated. Who loses again posts. A leader tries
    again with what it has gathered: a new listing would take longer than somebody who knows of nobody
    needs for the next entry, and who never loses never learns of the others.
    """
    progress.losses += 1
    progress.troubles = 0
    if progress.revoking:
        return Creating()
    if progress.posted and progress.can_post:
        return Creating() if progress.leads_on() else Listing()
    return Posting() if progress.losses > 1 and progress.can_post else Creating()


def _further(state: Looking | Polling) -> tuple[int, int]:
    """How many entries to ask for after a look that found all it asked for, and how many were read.

    As many as were read so far: who is far behind catches up in few looks, and who is not asks for
    little that is not there.
    """
    read = state.read + state.count
    return min(read, _LOOK_LIMIT), read


def _declined(progress: Progress, then: Creating | Looking) -> State:
    # The operation in flight, or the write that was too recent, may be a copy of this very request
    # that a proxy sent twice. And a budget never ends without a last look at what was sent.
    progress.measure()
    progress.in_doubt = progress.unanswered = True
    return Looking() if progress.spent() else _pause(progress, then)


# --- handlers: one for each kind of row in the table ----------------------------------------------


def _created(progress: Progress, _state: State, _event: Event) -> State:
    progress.measure()
    return GaveUp() if progress.revoking else progress.acknowledge()


def _refused(progress: Progress, _state: State, _event: Event) -> State:
    """Whoever holds the version may be us: it is in doubt until its entry has been read.

    The first loss costs no pause: most races are not repeated. But somebody who commits without rest and
    knows of nobody wins at regular times, and who looks right after each loss is each time too late by as
    much. So later losses cost a pause of at most one unit *before* the look, however many there are:
    between the look and the next PUT it would only give the others more time, and waiting longer each
    time would let them run ahead of those who lose.
    """
    progress.measure()
    progress.in_doubt = True
    if not progress.losses:
        return Looking()
    again = Looking(_LOOK_AGAIN)
    posts_next = progress.can_post and not progress.posted
    if posts_next or progress.spent():
        return again
    return Pausing(progress.jitter_seconds(), again)


def _conflict_409(progress: Progress, _state: State, _event: Event) -> State:
    return _declined(progress, then=Creating())


def _throttled(progress: Progress, _state: State, _event: Event) -> State:
    return _declined(progress, then=Looking())


def _create_unanswered(progress: Progress, _state: State, event: Unanswered) -> State:
    progress.in_doubt = progress.unanswered = True
    progress.cause = event.cause
    return Looking()


def _failed(progress: Progress, _state: State, event: Failed) -> State:
    return progress.unknown(event.cause) if progress.uncertain else Rejected(event.cause)


def _read(progress: Progress, state: Looking, event: EntriesRead) -> State:
    settled = progress.pass_by(event.entries)
    if settled is not None:
        return settled
    if progress.spent():
        return _stop(progress)
    if len(event.entries) == state.count:
        return Looking(*_further(state))
    if progress.has_expired():
        return Posting()
    if not progress.data:
        return _try_next(progress)
    # The version is missing although we sent it, and gets the very same bytes.
    return _pause(progress, then=Creating())


def _read_unanswered(progress: Progress, _state: State, event: Unanswered) -> State:
    progress.cause = event.cause
    return _pause(progress, then=Looking())


def _corrupt(progress: Progress, _state: State, event: EntryCorrupt) -> State:
    """What is there did not come as an entry: it is read again before anything is concluded from it.

    Damage may be of the read alone, and what is there may be ours. Another writer that is not atomic may
    not be done. A whole object that is no entry is not
    ours, for what we send is one. But once it is repaired, others may go on from there with an intent
    that was posted.
    """
    progress.damaged += 1
    progress.cause = event.cause
    reads = _DAMAGED_READS if event.damaged else _REFUSED_READS
    if progress.damaged < reads and not progress.spent():
        return _pause(progress, then=Looking())
    if event.damaged:
        is_open = progress.may_have_landed(event.data)
    else:
        is_open = progress.posted or progress.revoking
    return progress.unknown(event.cause) if is_open else Rejected(event.cause)


def _waited(_progress: Progress, state: Pausing, _event: Event) -> State:
    return state.then


def _posted(progress: Progress, _state: State, _event: Event) -> State:
    progress.measure()
    return Listing()


def _post_unanswered(progress: Progress, _state: State, event: Unanswered) -> State:
    # It counts as posted, since it may be. The listing tells.
    progress.cause = event.cause
    return Listing()


def _post_declined(progress: Progress, _state: State, _event: Event) -> State:
    # Who may not post can still race.
    progress.can_post = False
    return Creating()


def _listed(progress: Progress, _state: State, event: IntentsListed) -> State:
    if progress.own.key not in event.keys:
        # Taken along by a leader, or not there (yet): the log tells, and from now on it is a race.
        progress.can_post = False
        return Looking()
    waiting = progress.sift(event)
    if awaited := progress.precede(waiting):
        progress.leading = False
        return Following(progress.follow(awaited))
    progress.lead()
    return _gather(progress.begin_gathering())


def _gather(keys: tuple[str, ...]) -> Gathering | Creating:
    return Gathering(keys) if keys else Creating()


def _list_unanswered(progress: Progress, _state: State, event: Unanswered) -> State:
    progress.cause = event.cause
    return _pause(progress, then=Listing())


def _list_failed(progress: Progress, _state: State, _event: Failed) -> State:
    progress.can_post = False
    return Creating()


def _gathered(progress: Progress, _state: State, event: IntentsRead) -> State:
    return _gather(progress.gather(event.objects))


def _follow_waited(_progress: Progress, _state: State, _event: Event) -> State:
    return Polling()


def _polled(progress: Progress, state: Polling, event: EntriesRead) -> State:
    settled = progress.pass_by(event.entries)
    if settled is not None:
        return settled
    if progress.spent():
        return _stop(progress)
    if progress.has_expired():
        return Posting()
    if not progress.awaited:
        # The leaders took others along and not us. Whoever is the oldest now leads.
        return Listing()
    if len(event.entries) == state.count:
        # The log may be far ahead, and growing faster than one would get on with a pause for each entry.
        return Polling(*_further(state))
    return _wait_on(progress, moved=bool(event.entries) or state.read > 0)


def _poll_unanswered(progress: Progress, _state: State, event: Unanswered) -> State:
    progress.cause = event.cause
    return _stop(progress) if progress.spent() else _wait_on(progress, moved=False)


def _wait_on(progress: Progress, *, moved: bool) -> State:
    if progress.lost_patience():
        return Listing()
    return Following(progress.follow_on(moved=moved))


_Handler: TypeAlias = Callable[[Progress, Any, Any], State]


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table: the handler, and every state it may lead to."""

    handler: _Handler
    leads_to: frozenset[type[State]]


def _to(handler: _Handler, *states: type[Any]) -> Transition:
    return Transition(handler, frozenset(states))


_READ = (Committed, AlreadyCommitted, OutOfOrder, Conflicted, GaveUp, Rejected)
_SETTLED = (*_READ, Unknown)

TRANSITIONS: dict[tuple[type[Any], type[Any]], Transition] = {
    (Creating, EntryCreated): _to(_created, Committed, GaveUp),
    (Creating, EntryRefused): _to(_refused, Looking, Pausing),
    (Creating, EntryConflict409): _to(_conflict_409, Pausing, Looking),
    (Creating, EntryThrottled): _to(_throttled, Pausing, Looking),
    (Creating, Unanswered): _to(_create_unanswered, Looking),
    (Creating, Failed): _to(_failed, Rejected, Unknown),
    (Looking, EntriesRead): _to(_read, *_SETTLED, Looking, Creating, Pausing, Posting, Listing),
    (Looking, Unanswered): _to(_read_unanswered, Pausing, Creating, GaveUp, Unknown),
    (Looking, EntryCorrupt): _to(_corrupt, Pausing, Rejected, Unknown),
    (Looking, Failed): _to(_failed, Rejected, Unknown),
    (Pausing, Waited): _to(_waited, Creating, Looking, Listing),
    (Posting, IntentPosted): _to(_posted, Listing),
    (Posting, Unanswered): _to(_post_unanswered, Listing),
    (Posting, Failed): _to(_post_declined, Creating),
    (Listing, IntentsListed): _to(_listed, Looking, Following, Gathering, Creating),
    (Listing, Unanswered): _to(_list_unanswered, Pausing, Creating),
    (Listing, Failed): _to(_list_failed, Creating),
    (Gathering, IntentsRead): _to(_gathered, Gathering, Creating),
    (Following, Waited): _to(_follow_waited, Polling),
    (Polling, EntriesRead): _to(_polled, *_READ, Creating, Posting, Polling, Following, Listing),
    (Polling, Unanswered): _to(_poll_unanswered, Creating, Following, Listing),
    (Polling, EntryCorrupt): _to(_corrupt, Pausing, Unknown),
    (Polling, Failed): _to(_failed, Unknown),
}
