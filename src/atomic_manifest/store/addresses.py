"""Checks addresses and names before an SDK or an HTTP client sees them.

Clients differ in what they make of a bad one: a panic, a raw `ValueError`, another host than was meant.
Taken is what all of them read alike: an absolute URL of printable ASCII whose host is a name or an
address, and names of buckets that can stand in such a URL.

What is refused is told by the option's name and by what is wrong with it. Its text is never shown, for
users, queries and fragments of URLs hold secrets.
"""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from atomic_manifest.errors import InvalidPath

HTTP = ("https", "http")
PROXIES = (*HTTP, "socks5", "socks5h")

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(:(?P<port>\d{0,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_NUMBER = re.compile(r"\d+|0[xX][0-9A-Fa-f]*")
_PATH = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?")
_SHOWN = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)?([^/@]*@)?(?P<place>[^?#]*)", re.DOTALL
)
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_BUCKET = re.compile(r"[A-Za-z0-9$._-]+")
_MOST_PORTS = 65535
_LONGEST_HOST = 253


def url_fault(
    text: str, *, schemes: Iterable[str] = HTTP, user: bool = False, query: bool = False
) -> str | None:
    """What is wrong with an absolute URL, as words that follow its name; None for a good one.

    Args:
        text: The URL.
        schemes: Those that it may have.
        user: Whether it may hold a user and a password.
        query: Whether it may have a query.
    """
    allowed = tuple(schemes)
    if text != text.strip():
        return "has white space around it"
    found = _URL.fullmatch(text)
    if found is None or found["scheme"] not in allowed:
        return f"must be a URL that starts with {' or '.join(f'{each}://' for each in allowed)}"
    rest = found["rest"].replace("?", "", 1) if query else found["rest"]
    return _authority_fault(found["authority"], allowed[0], user=user) or _rest_fault(rest)


def is_host(text: str) -> bool:
    """Whether it is a host's name or IP address as every client reads it (RFC 3986 §3.2.2).

    A name whose last part is a number is read as an IPv4 address by some, so that it must be one.
    """
    if text.startswith("["):
        return _is_address(IPv6Address, text[1:-1]) and "%" not in text
    labels = text.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _is_address(IPv4Address, text)
    return len(text) <= _LONGEST_HOST and all(_is_label(label) for label in labels)


def path_fault(text: str) -> str | None:
    """What is wrong with a path of a URL that may have a query; None for a good one."""
    if text.startswith("/") and _PATH.fullmatch(text.replace("?", "", 1)):
        return None
    return "must be a path of a URL, which starts with /"


def name_fault(text: str) -> str | None:
    """What is wrong with a name that becomes a part of an address, such as a region's."""
    return (
        None if _NAME.fullmatch(text) else "must have ASCII letters, digits, hyphens, _ and . alone"
    )


def check_bucket(scheme: str, name: str) -> str:
    """Return a bucket's or container's name if it can stand in a URL.

    Raises:
        InvalidPath: If it cannot.
    """
    if _BUCKET.fullmatch(name) is None or name in (".", ".."):
        raise InvalidPath(
            f"the {scheme}:// URL names no bucket: names have ASCII letters, digits, hyphens,"
            " underscores and dots alone",
            path="",
        )
    return name


def redacted(url: str) -> str:
    """A URL or path without user, query and fragment, which hold secrets."""
    found = _SHOWN.match(url)
    assert found is not None  # noqa: S101 - it matches any text
    return f"{found['scheme'] or ''}{found['place']}"


def _authority_fault(text: str, scheme: str, *, user: bool) -> str | None:
    login, at, address = text.rpartition("@")
    if at and not user:
        return "holds a user or a password before @: give them as options of their own"
    if not _PATH.fullmatch(f"/{login}"):
        return "has characters before @ that a URL must percent-encode"
    parts = _AUTHORITY.fullmatch(address)
    if parts is None or int(parts["port"] or 1) not in range(1, _MOST_PORTS + 1):
        return f"has a port that is none: write {scheme}://host:port"
    if not is_host(parts["host"]):
        return (
            "has a host that is neither a name (letters, digits, hyphens, dots) nor an IP address"
        )
    return None


def _rest_fault(text: str) -> str | None:
    if "?" in text or "#" in text:
        return "has a query or a fragment (? or #): give keys and tokens as options of their own"
    if not _PATH.fullmatch(text):
        return "has characters in its path that a URL must percent-encode"
    return None


def _is_address(kind: type[IPv4Address | IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except AddressValueError:
        return False
    return True


def _is_label(label: str) -> bool:
    if not _LABEL.fullmatch(label):
        return False
    if not label.lower().startswith("xn--"):
        return True
    try:
        return label.lower() == label.encode().decode("idna").encode("idna").decode()
    except UnicodeError:
        return False
