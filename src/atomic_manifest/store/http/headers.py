"""Headers of requests to an HTTP server, and of its answers. Pure."""

import base64
import re

from atomic_manifest.errors import InvalidStorageOption, StoreError
from atomic_manifest.store.answers import strong
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.http.client import Answer
from atomic_manifest.store.http.webdav import moment


def condition(when: Condition | None) -> dict[str, str]:
    """The header that carries a condition."""
    if when is None:
        return {}
    if isinstance(when, IfAbsent):
        return {"If-None-Match": "*"}
    return {"If-Match": "*" if when.any else ", ".join(tag.quoted for tag in strong(when).etags)}


def unless(tag: ETag | None) -> dict[str, str]:
    """The header of a conditional read."""
    return {} if tag is None else {"If-None-Match": tag.quoted}


def authorization(auth: tuple[str, str] | str | None) -> dict[str, str]:
    """The header that says who asks: Basic of user and password, or Bearer of a token.

    Raises:
        InvalidStorageOption: If the user's name holds a colon.
    """
    if auth is None:
        return {}
    if isinstance(auth, str):
        return {"Authorization": f"Bearer {auth}"}
    user, password = auth
    if ":" in user:
        raise InvalidStorageOption("a user's name cannot hold a colon", option="auth", path="")
    told = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {told}"}


def content_range(path: str, answer: Answer) -> tuple[int, int]:
    """The first byte that was sent, and the object's size (RFC 9110 §14.4).

    Raises:
        StoreError: If the answer does not tell.
    """
    told = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", "").strip())
    if told is None:
        raise StoreError(f"{path}: the server does not say which range it sent", path=path)
    return int(told[1]), int(told[2])


def meta(path: str, size: int, answer: Answer) -> ObjectMeta:
    """What an answer says of an object of this size."""
    return ObjectMeta(path, size, answer.etag, moment(answer.headers.get("Last-Modified")))
