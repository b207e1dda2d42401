"""What may happen to a request besides the normal."""

from enum import Enum, auto

from atomic_manifest.commit.messages import (
    CreateEntry,
    ListIntents,
    PostIntent,
    ReadEntries,
    ReadIntents,
    Request,
)


class Fault(Enum):
    """What may happen to one request besides the normal."""

    LOST = auto()
    """The request never arrives; no answer."""
    REPLY_LOST = auto()
    """It is executed; no answer."""
    DELAYED = auto()
    """No answer now; it arrives at any later time."""
    DUPLICATED = auto()
    """Executed and answered; a copy arrives at any later time."""
    REPEATED = auto()
    """Executed twice in a row; the second answer is the one that comes back."""
    CONFLICT_409 = auto()
    """Answered 409, nothing written."""
    CONFLICT_409_WITH_COPY = auto()
    """Answered 409, because a copy of the same request is on its way."""
    THROTTLED_429 = auto()
    """Answered 429, nothing written."""
    THROTTLED_429_WITH_COPY = auto()
    """Answered 429, while a copy of the same request is on its way."""
    DENIED = auto()
    """Answered 403."""
    STALE = auto()
    """A read that does not see the newest entry it could."""
    DAMAGED = auto()
    """A read that gives bytes which are no entry, though the object is one."""
    CRASHED = auto()
    """The writer is gone; what it just sent may arrive at any later time."""


EXECUTED = (None, Fault.REPLY_LOST, Fault.DUPLICATED, Fault.REPEATED)
"""With these a write arrives at once."""

FLYING = (
    Fault.DELAYED,
    Fault.DUPLICATED,
    Fault.CONFLICT_409_WITH_COPY,
    Fault.THROTTLED_429_WITH_COPY,
    Fault.CRASHED,
)
"""With these a write, or a copy of it, arrives at any later time."""

_OF_ENTRIES = tuple(fault for fault in Fault if fault not in (Fault.STALE, Fault.DAMAGED))
_OF_POSTS = (
    Fault.LOST,
    Fault.REPLY_LOST,
    Fault.DELAYED,
    Fault.DUPLICATED,
    Fault.DENIED,
    Fault.CRASHED,
)
_OF_LISTING = (Fault.LOST, Fault.STALE, Fault.DENIED, Fault.CRASHED)
_OF_READS = (*_OF_LISTING, Fault.DAMAGED)
_OF_GATHERING = (Fault.LOST, Fault.STALE, Fault.CRASHED)


def faults_of(request: Request | None) -> tuple[Fault, ...]:
    """What may happen to a request."""
    match request:
        case CreateEntry():
            return _OF_ENTRIES
        case PostIntent():
            return _OF_POSTS
        case ReadEntries():
            return _OF_READS
        case ListIntents():
            return _OF_LISTING
        case ReadIntents():
            return _OF_GATHERING
    return ()
