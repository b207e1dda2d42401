"""What one answer of a service proves, given its HTTP status and its own name of the error. Pure.

For services that are asked over HTTP without obstore, whose errors `failures` reads from text.

What the answers to a write prove:

* 412 and 304: the condition did not hold. So does a 409 that says "exists" (Azure) on create.
* 404 on `IfMatch`: the same, there is no object.
* 409, 423 and 429: the request was declined before anything was written.
* 408, 5xx, no whole answer, and one that cannot be read: nothing.
* 405, 501: the service lacks the operation. 507, other 4xx and redirects: it can never succeed.
"""

from http import HTTPStatus

from atomic_manifest.errors import (
    NotFound,
    NotModified,
    StoreError,
    StorePermissionDenied,
    StoreUnavailable,
    UnsupportedByStore,
)
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    NeverSent,
    Refused,
    Unanswered,
)
from atomic_manifest.store.failures import CREDENTIAL_FAULTS

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_NOTHING_TO_WRITE_TO = frozenset({"NoSuchBucket", "ContainerNotFound", "NoSuchUpload"})
_EXISTS = frozenset({"BlobAlreadyExists", "BlobImmutableDueToPolicy"})


class CallFailed(Exception):
    """A request that was not answered with success. Never leaves the store floor.

    Args:
        status: The HTTP status; None if there was no whole answer.
        code: The service's own name of the error, if it told one; safe to show.
        etag: The current ETag, if the answer told it.
        retry_after: Seconds that the service asked to wait, if it did.
        key: Which of several objects it is about.
        never_sent: No connection was made, at the only attempt.
    """

    def __init__(
        self,
        status: int | None,
        code: str | None = None,
        *,
        etag: ETag | None = None,
        retry_after: float | None = None,
        key: str | None = None,
        never_sent: bool = False,
    ) -> None:
        super().__init__(status, code)
        self.never_sent = never_sent
        self.key = key
        self.status = status
        self.code = code
        self.etag = etag
        self.retry_after = retry_after

    @property
    def is_of_missing(self) -> bool:
        """Whether there is no such object, in a bucket that is there."""
        return self.status == HTTPStatus.NOT_FOUND and self.code not in _NOTHING_TO_WRITE_TO

    @property
    def summary(self) -> str:
        """A short text that is safe to show."""
        if self.status is None:
            return self.code or "no answer"
        phrase = f"{self.status} {_PHRASES.get(self.status, '')}".rstrip()
        return f"{phrase} ({self.code})" if self.code else phrase


def can_hold(when: Condition | None) -> bool:
    """False for an `IfMatch` of weak tags alone, which no service needs to be asked."""
    return not isinstance(when, IfMatch) or when.any or any(not tag.weak for tag in when.etags)


def strong(when: IfMatch) -> IfMatch:
    """A condition that can hold, without the weak tags that never match."""
    return when if when.any else IfMatch(*(tag for tag in when.etags if not tag.weak))


def write_outcome(
    service: str, path: str, when: Condition | None, failed: CallFailed
) -> Refused | Contended | Unanswered:
    """What a failed write proves.

    Args:
        service: Whose answer it is, for messages.
        path: The object's.
        when: The condition of the write.
        failed: The answer.

    Raises:
        StoreError: If no retry can mend it; its subclass says why.
    """
    match failed.status:
        case 412 | 304:
            return Refused(failed.etag)
        case 404 if isinstance(when, IfMatch) and failed.is_of_missing:
            return Refused()
        case 409 if isinstance(when, IfAbsent) and failed.code in _EXISTS:
            return Refused(failed.etag)
        case 409 | 423:
            return Contended(ContendedCause.CONFLICT)
        case 429:
            return Contended(ContendedCause.THROTTLED)
    error = failed_request(service, path, failed)
    if isinstance(error, StoreUnavailable) and not isinstance(error, NeverSent):
        return Unanswered(error)
    raise error


def failed_request(service: str, path: str, failed: CallFailed) -> StoreError:
    """The exception of a failed request whose meaning does not depend on a write's condition."""
    name, status = path or "the root", failed.status
    if failed.code in CREDENTIAL_FAULTS:
        told = f"{name}: {service} says {failed.summary}; {CREDENTIAL_FAULTS[failed.code]}"
        return StorePermissionDenied(told, path=path)
    if status is None or status in _PROVE_NOTHING:
        return _unanswered(service, path, failed)
    if failed.is_of_missing:
        return NotFound(f"{name} does not exist", path=path)
    if status == 304:  # noqa: PLR2004
        return NotModified(f"{name} has not changed", path=path)
    text = _TEXTS.get(status, "{service} says {summary}")
    told = f"{name}: {text.format(service=service, summary=failed.summary)}"
    return _KINDS.get(status, StoreError)(told, path=path)


def _unanswered(service: str, path: str, failed: CallFailed) -> StoreUnavailable:
    verb = "gave" if failed.status is None else "says"
    told = f"{path or 'the root'}: {service} {verb} {failed.summary}"
    if failed.never_sent:
        return NeverSent(
            f"{told}; nothing was sent, look at the endpoint and the network", path=path
        )
    if failed.retry_after is None:
        return StoreUnavailable(told, path=path)
    told += f", and asks to wait {failed.retry_after:g} s"
    return StoreUnavailable(told, path=path, retry_after=failed.retry_after)


_PROVE_NOTHING = ({*range(200, 300), *range(500, 600), 408, 429}) - {501, 505, 507}
"""Successes among them are those that the client could not make out."""
_KINDS: dict[int, type[StoreError]] = {
    401: StorePermissionDenied,
    403: StorePermissionDenied,
    407: StorePermissionDenied,
    405: UnsupportedByStore,
    428: UnsupportedByStore,
    501: UnsupportedByStore,
}
_TEXTS = {
    416: "the range starts past the object's end",
    428: "{service} demands a condition of every write (428): give `when`",
}
