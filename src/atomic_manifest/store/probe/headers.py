"""Checks that need requests no SDK sends: the form of ETags, and two conditional headers at once."""

from http import HTTPStatus

from atomic_manifest.errors import StoreError, StoreUnavailable
from atomic_manifest.store.capabilities import BothHeaders, ETagForm
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


def _sent(answer: RawAnswer) -> RawAnswer:
    if not _is_ok(answer.status):
        raise StoreUnavailable("a presigned request was not carried out", path="")
    return answer


def _is_ok(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
