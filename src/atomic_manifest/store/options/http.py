"""Storage options of HTTP servers.

| option | meaning |
| --- | --- |
| `headers` | names and values to send with every request |
| `auth` | user and password, or a bearer token |
| `username`, `password` | the same as `auth` of two |
| `bearer_token`, `token` | the same as `auth` of one |
| `timeout`, `connect_timeout` | seconds; 30 and 5 |
| `ca_bundle` | a file of certificates to trust instead of the system's |
| `proxy_url` | an HTTP proxy |
"""

import re
from collections.abc import Mapping
from typing import Any

from atomic_manifest.errors import InvalidStorageOption
from atomic_manifest.store.addresses import url_fault
from atomic_manifest.store.options.values import did_you_mean

_SECONDS = ("timeout", "connect_timeout")
_TEXTS = ("ca_bundle", "proxy_url")
_TOKENS = ("bearer_token", "token")
_IN_HEADERS = {"headers", *_TOKENS}
HTTP_NAMES = frozenset({*_SECONDS, *_TEXTS, *_IN_HEADERS, "auth", "username", "password"})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def read_http_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an `HttpDriver`.

    Args:
        options: As the user gave them; None values count as not given.

    Raises:
        InvalidStorageOption: If an option is not known, has a value it cannot have, or contradicts
            another. Values are not shown: any of them can be a secret.
    """
    given = {name: value for name, value in options.items() if value is not None}
    read: dict[str, Any] = {}
    for name in _SECONDS:
        if name in given:
            read[name] = _seconds(name, given.pop(name))
    for name in _TEXTS:
        if name in given:
            read[name] = _text(name, given.pop(name))
    wrong = url_fault(read["proxy_url"], user=True) if "proxy_url" in read else None
    if wrong is not None:
        raise _wrong("proxy_url", wrong)
    if "headers" in given:
        read["headers"] = _headers(given.pop("headers"))
    auth = _auth(given)
    if auth is not None:
        read["auth"] = auth
    for option in given:
        meant = did_you_mean(option, option, HTTP_NAMES)
        raise _wrong(option, f"is not known to HTTP stores{meant}")
    return read


def _auth(given: dict[str, Any]) -> tuple[str, str] | str | None:
    """Take whatever says who asks out of the options."""
    found: list[tuple[str, str] | str] = []
    if "auth" in given:
        found.append(_credentials(given.pop("auth")))
    found += [_text(name, given.pop(name)) for name in _TOKENS if name in given]
    user, password = given.pop("username", None), given.pop("password", None)
    if user is not None or password is not None:
        if user is None:
            raise _wrong("password", "needs a username")
        found.append((_text("username", user), _text("password", password or "")))
    if len(found) > 1:
        raise _wrong("auth", "contradicts another option that says who asks")
    return found[0] if found else None


def _credentials(value: Any) -> tuple[str, str] | str:
    if isinstance(value, str):
        return _text("auth", value)
    if not isinstance(value, tuple | list) or len(value) != 2:  # noqa: PLR2004
        raise _wrong("auth", "must be user and password, or a token")
    return _text("auth", value[0]), _text("auth", value[1])


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _wrong("headers", "must map names to values")
    headers = {_text("headers", name): _text("headers", text) for name, text in value.items()}
    if not all(map(_HEADER_NAME.fullmatch, headers)):
        raise _wrong("headers", "must have names that HTTP takes (RFC 9110 §5.1)")
    return headers


def _text(option: str, value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise _wrong(option, "must be printable text")
    if option in _IN_HEADERS and not value.isascii():
        raise _wrong(option, "must be ASCII text, for it travels in a header")
    return value


def _seconds(option: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not seconds > 0:
        raise _wrong(option, "must be a number of seconds")
    return seconds


def _wrong(option: str, why: str) -> InvalidStorageOption:
    return InvalidStorageOption(f"storage option {option!r} {why}", option=option, path="")
