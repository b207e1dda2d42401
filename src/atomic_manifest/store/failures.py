"""Reads obstore's errors, and says what each proves.

obstore raises one class for several answers (a 409 and a 412 on create are both "already exists"),
so what counts is the status code in the text, and whose service it was. Texts are read, never
passed on: they hold URLs and bodies, which can hold signatures. A request for credentials that
fails on the way is told apart: its status says nothing of the object.

What the answers to a write prove:

* 412 and 304: the condition did not hold. On Azure, where it means "exists", 409 on create too.
* 404 on `IfMatch`: the same, there is no object.
* 409, 429: the request was declined before anything was written.
* No connection at the only attempt: nothing was sent (`NeverSent`).
* 408, 5xx, no answer, an answer that breaks off: nothing. A panic of the SDK neither.
* 501: the service lacks the operation. Other 4xx and redirects: the request can never succeed.
"""

import re
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from urllib.parse import urlsplit

from atomic_manifest.errors import (
    InvalidPath,
    NotFound,
    NotModified,
    StoreError,
    StorePermissionDenied,
    StoreUnavailable,
    UnsupportedByStore,
)
from atomic_manifest.store.conditions import Condition, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    NeverSent,
    Refused,
    Unanswered,
    WriteOutcome,
)

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>|\(code: (\w{1,64})\)")
_CREDENTIAL_SERVICES = (
    "169.254.169.254",
    "169.254.170.2",
    "metadata.google.internal",
    "token request",
    "AssumeRoleWithWebIdentity",
)
_ADDRESS = re.compile(r"uri: Some\(\s*(https?://[^\s,)]+)")
CREDENTIAL_FAULTS = {
    "ExpiredToken": "the session token has expired: get new credentials",
    "ExpiredTokenException": "the session token has expired: get new credentials",
    "TokenRefreshRequired": "the session token has expired: get new credentials",
    "InvalidToken": "the session token is not valid: get new credentials",
    "InvalidAccessKeyId": "the service does not know the access key: look at `key`",
    "SignatureDoesNotMatch": "the secret does not belong to the access key, or the region is wrong:"
    " look at `secret` and `region`",
    "RequestTimeTooSkewed": "this machine's clock differs too much from the service's: set it",
    "AuthenticationFailed": "the account key or the shared access signature is wrong or has expired",
}
"""What to do about credentials, by the service's name of the error."""
_NEVER_SENT = ("max_retries: 0,", "kind: Connect,")
"""Of the one attempt that was made: it ended before there was a connection."""
_NO_CONNECTION = (
    ("ConnectionRefused", "refuses connections"),
    ("dns error", "is a host without an address"),
    ("UnknownIssuer", "has a certificate of an authority that is not trusted (`ca_bundle`)"),
    ("CaUsedAsEndEntity", "has a certificate that is not trusted (`ca_bundle`)"),
    ("NotValidForName", "has a certificate for another host"),
    ("NotYetValid", "has a certificate that is not valid yet (look at the clocks)"),
    ("certificate: Expired", "has a certificate that has expired"),
    ("ExpiredContext", "has a certificate that has expired"),
    ("InvalidCertificate(Expired", "has a certificate that has expired"),
    ("certificate", "has a certificate that is not trusted"),
    ("InvalidContentType", "does not speak TLS (https)"),
)
_VERDICTS = frozenset(
    {"AlreadyExistsError", "PreconditionError", "NotModifiedError", "FileNotFoundError"}
)
_NO_ANSWER = (
    ("timed out", "no answer in time"),
    ("TimedOut", "no answer in time"),
    ("ConnectionRefused", "no connection"),
    ("dns error", "no address for its host"),
    ("ConnectionReset", "no answer: the connection was reset"),
    ("IncompleteMessage", "no answer: the connection was closed"),
    ("certificate", "no certificate that is trusted"),
)


NO_BATCHES = frozenset({400, 403, 404, 405, 411, 501})
"""What services without `DeleteObjects` answer to it: Google's S3 interface, Alibaba OSS and others."""


class Service(Enum):
    """Whose rules a remote store follows."""

    S3 = "S3"
    GCS = "Google Cloud Storage"
    AZURE = "Azure Blob Storage"


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a request that failed.

    Attributes:
        status: The HTTP status, None if there was no whole answer.
        code: The service's own name of the error, None if it told none.
        kind: The name of the SDK's exception class.
        text: The SDK's text; for looking things up in, not for showing.
    """

    status: int | None
    code: str | None
    kind: str
    text: str

    @property
    def is_verdict(self) -> bool:
        """Whether the status is an answer to the request itself about the object."""
        return self.kind in _VERDICTS

    @property
    def is_panic(self) -> bool:
        """Whether the SDK gave up on itself. Its classes for that can be imported from nowhere."""
        return self.kind in ("PanicException", "RustPanic")

    @property
    def never_sent(self) -> bool:
        """Whether it is sure that nothing was sent."""
        return self.status is None and all(sign in self.text for sign in _NEVER_SENT)

    @property
    def unreached(self) -> str:
        """What could not be reached and why, if it was `never_sent`; safe to show."""
        found = _ADDRESS.search(self.text)
        told = urlsplit(found[1]) if found else None
        host = "the service" if told is None else told.netloc.rpartition("@")[2]
        reason = (words for needle, words in _NO_CONNECTION if needle in self.text)
        return f"{host} {next(reason, 'cannot be connected to')}"

    @property
    def is_of_credentials(self) -> bool:
        """Whether it was the request for credentials that failed."""
        return any(sign in self.text for sign in _CREDENTIAL_SERVICES)

    @property
    def summary(self) -> str:
        """A short text that is safe to show."""
        if self.status is not None:
            phrase = f"{self.status} {_PHRASES.get(self.status, '')}".rstrip()
            return f"{phrase} ({self.code})" if self.code else phrase
        if self.code:
            return self.code
        return next((words for needle, words in _NO_ANSWER if needle in self.text), "no answer")


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def read_failure(error: BaseException) -> Failure:
    """Take from an exception of the SDK what is worth knowing."""
    text = str(error)
    status = _STATUS.search(text)
    found = _CODE.search(text)
    code = (found[1] or found[2]) if found else None
    if code is not None and code.isdigit():  # of one deletion in Azure's batch: its status
        return Failure(int(code), None, type(error).__name__, text)
    return Failure(
        int(status[1]) if status else None,
        code,
        type(error).__name__,
        text,
    )


def write_outcome(
    service: Service, path: str, when: Condition | None, failure: Failure
) -> WriteOutcome:
    """What a failed put proves.

    Raises:
        StoreError: If no retry can mend it; its subclass says why.
    """
    match failure.status if failure.is_verdict else None:
        case 412 | 304:
            return Refused()
        case 404 if isinstance(when, IfMatch):
            return Refused()
        case 409 if service is Service.AZURE and isinstance(when, IfAbsent):
            return Refused()
        case 409:
            return Contended(ContendedCause.CONFLICT)
    if failure.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Contended(ContendedCause.THROTTLED)
    error = failed_request(service, path, failure)
    if isinstance(error, NeverSent):
        raise error
    if isinstance(error, StoreUnavailable) or failure.is_panic:
        return Unanswered(error)
    if isinstance(error, NotFound):
        raise StoreError(f"{path}: the bucket does not exist", path=path)
    raise error


def failed_request(service: Service, path: str, failure: Failure) -> StoreError:
    """The exception of a failed request whose meaning does not depend on a write's condition."""
    told = f"{path or 'the root'}: {service.value} says {failure.summary}"
    if failure.is_of_credentials:
        return _without_credentials(service, path, failure)
    advice = CREDENTIAL_FAULTS.get(failure.code or "")
    match failure.status:
        case 404:
            missing = "the bucket does not exist" if _is_bucket(failure) else "does not exist"
            return NotFound(f"{path or 'the root'}: {missing}", path=path)
        case 304:
            return NotModified(f"{path} has not changed", path=path)
        case status if advice or status in (401, 403):
            return StorePermissionDenied(f"{told}; {advice}" if advice else told, path=path)
        case 501:
            return UnsupportedByStore(told, path=path)
        case 416:
            return StoreError(f"{path}: the range starts past the object's end", path=path)
        case int(status) if status not in (408, 429) and status < 500:  # noqa: PLR2004
            return StoreError(told, path=path)
    return _unproven(service, path, failure)


def _unproven(service: Service, path: str, failure: Failure) -> StoreError:
    """Of a failure whose status proves nothing, or that has none."""
    told = f"{path or 'the root'}: {service.value} says {failure.summary}"
    if failure.is_panic:
        return StoreError(
            f"{path or 'the root'}: obstore panicked; look at the URL and the storage options",
            path=path,
        )
    if failure.kind in ("UnauthenticatedError", "PermissionDeniedError"):
        return StorePermissionDenied(
            f"{path or 'the root'}: the credentials for {service.value} could not be obtained",
            path=path,
        )
    if failure.code in ("AccessDenied", "AuthorizationFailure"):
        return StorePermissionDenied(told, path=path)
    if "redirect without LOCATION" in failure.text:
        return StoreError(
            f"{path or 'the root'}: the bucket is in another region than asked for", path=path
        )
    if failure.kind in ("NotSupportedError", "NotImplementedError"):
        return UnsupportedByStore(f"{path}: not supported by {service.value}", path=path)
    if failure.kind in ("InvalidPathError", "ValueError"):
        return InvalidPath(f"a path that {service.value} cannot have: {path!r}", path=path)
    if failure.never_sent:
        return NeverSent(
            f"{path or 'the root'}: {failure.unreached}; nothing was sent, look at the endpoint and the"
            " network",
            path=path,
        )
    verb = "says" if failure.status else "gave"
    return StoreUnavailable(
        f"{path or 'the root'}: {service.value} {verb} {failure.summary}", path=path
    )


def _without_credentials(service: Service, path: str, failure: Failure) -> StorePermissionDenied:
    return StorePermissionDenied(
        f"{path or 'the root'}: found no credentials for {service.value} in the storage options or"
        f" the environment, and this machine's service for them says {failure.summary}",
        path=path,
    )


def _is_bucket(failure: Failure) -> bool:
    return failure.code in ("NoSuchBucket", "ContainerNotFound") or "list request" in failure.text
