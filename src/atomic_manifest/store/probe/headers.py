"""Checks of single requests: the form of ETags, two conditional headers at once, a batch of deletions."""

from http import HTTPStatus

from atomic_manifest.errors import StoreError, StoreUnavailable
from atomic_manifest.store.capabilities import UNTESTED, BothHeaders, ETagForm, Finding, Support
from atomic_manifest.store.failures import Service
from atomic_manifest.store.probe.session import Session
from atomic_manifest.store.remote.raw import Raw, RawAnswer

_LOST = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.NOT_FOUND, HTTPStatus.NOT_MODIFIED)


def etag_form(session: Session, raw: Raw) -> ETagForm:
    """How the service writes an ETag in its answer to a PUT."""
    try:
        told = _sent(raw.put(session.key("etag"), session.body(1), {})).etag
    except StoreError:
        return ETagForm.UNTESTED
    if not told:
        return ETagForm.NONE
    return ETagForm.QUOTED if told.endswith('"') else ETagForm.BARE


def both_headers(session: Session, raw: Raw) -> BothHeaders:
    """What `If-Match` and `If-None-Match: *` in one request do, where each alone would differ."""
    if raw.service is Service.GCS:  # its conditions have other names
        return BothHeaders.UNTESTED
    path = session.key("both")
    try:
        tag = _sent(raw.put(path, session.body(1), {})).etag or '"none"'
        headers = {"If-Match": tag, "If-None-Match": "*"}
        there = raw.put(path, session.body(2), headers).status
        missing = raw.put(session.key("both"), session.body(3), headers).status
    except StoreError:
        return BothHeaders.UNTESTED
    if any(not _is_ok(status) and status not in _LOST for status in (there, missing)):
        return BothHeaders.REFUSED
    match _is_ok(there), _is_ok(missing):
        case True, True:
            return BothHeaders.IGNORED
        case True, False:
            return BothHeaders.IF_MATCH
        case False, True:
            return BothHeaders.IF_NONE_MATCH
    return BothHeaders.BOTH


def bulk_delete(session: Session, raw: Raw) -> Finding:
    """Several objects by one request, `DeleteObjects`; without it each is deleted by itself."""
    if raw.service is not Service.S3:
        return UNTESTED

    def check() -> Finding:
        paths = [session.key("batch"), session.key("batch")]
        for path in paths:
            session.store.put(path, session.body(1))
        refusal = raw.batch_refusal(paths)
        if refusal is not None:
            return Finding(Support.REFUSED, refusal)
        if any(session.read(path) is not None for path in paths):
            return Finding(Support.IGNORED, "objects are still there")
        return Finding(Support.SAFE)

    return session.finding(check)


def _sent(answer: RawAnswer) -> RawAnswer:
    if not _is_ok(answer.status):
        raise StoreUnavailable("a presigned request was not carried out", path="")
    return answer


def _is_ok(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
