"""ETags and the conditions of RFC 9110 §13 that a write can carry.

Invariants:

* An `ETag` is opaque: it is never computed from content, and never changed on its way back to the
  service that gave it, except for its quotes.
* A weak ETag never satisfies `IfMatch` (strong comparison, RFC 9110 §8.8.3.2).
* What a condition sends in a header follows the grammar of RFC 9110 §8.8.3. What a service sends is
  read as it is.
* A write carries one condition: `IfAbsent` and `IfMatch` exclude each other by type.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self, TypeAlias

from atomic_manifest.errors import InvalidRequest

_OPAQUE = r"[\x21\x23-\x7e\x80-\xff]*"
"""`etagc` of RFC 9110 §8.8.3: no control character, space or quote."""

_LISTED = r'[ \t]*((?:[Ww]/)?"[^"]*"|[^",\s]+)?[ \t]*(?:,|$)'


@dataclass(frozen=True, slots=True)
class ETag:
    """An entity tag, quoted or bare as services send it.

    Attributes:
        opaque: The tag without quotes and without the weakness marker.
        weak: True for `W/"..."`.
    """

    opaque: str
    weak: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `"x"`, `W/"x"` or the bare `x` that some S3-compatible services use.

        Raises:
            InvalidRequest: If `text` is empty. The tag that is the empty string has quotes.
        """
        bare = text.strip()
        weak = bare.startswith(("W/", "w/"))
        bare = bare[2 * weak :].strip()
        if not bare:
            raise InvalidRequest("an ETag cannot be empty text", path="")
        quoted = len(bare) > 1 and bare[0] == bare[-1] == '"'
        return cls(bare[1:-1] if quoted else bare, weak)

    @classmethod
    def parse_list(cls, text: str) -> tuple[Self, ...]:
        """Read a list as it stands in a header: `"a", W/"b"`. Quoted tags may hold commas.

        Raises:
            InvalidRequest: If `text` is no list of ETags, holds none, or is `*` (see `IfMatch.parse`).
        """
        parts = [part for part in _split(text) if part]
        if not parts or "*" in parts:
            raise InvalidRequest(f"not a list of ETags: {text!r}", path="")
        return tuple(cls.parse(part) for part in parts)

    @property
    def quoted(self) -> str:
        """The form of RFC 9110: quotes, and `W/` when weak."""
        return f'W/"{self.opaque}"' if self.weak else f'"{self.opaque}"'

    @property
    def bare(self) -> str:
        """The form without quotes, for services that compare the header's text literally."""
        return self.opaque

    def strong_match(self, other: "ETag") -> bool:
        """Strong comparison (RFC 9110 §8.8.3.2): equal, and neither is weak."""
        return not self.weak and not other.weak and self.opaque == other.opaque

    def weak_match(self, other: "ETag") -> bool:
        """Weak comparison (RFC 9110 §8.8.3.2), that of `If-None-Match`: equal but for weakness."""
        return self.opaque == other.opaque

    def __str__(self) -> str:
        return self.quoted


def sendable(tag: ETag | str) -> ETag:
    """Return the tag, if it can stand in a header.

    Raises:
        InvalidRequest: If it holds a control character, a space or a quote (RFC 9110 §8.8.3).
    """
    parsed = ETag.parse(tag) if isinstance(tag, str) else tag
    if not re.fullmatch(_OPAQUE, parsed.opaque):
        raise InvalidRequest(f"not an ETag that can be sent: {tag!r}", path="")
    return parsed


@dataclass(frozen=True, slots=True)
class IfAbsent:
    """Write only if no object exists at the key: `If-None-Match: *`."""


class IfMatch:
    """Write only if the current object has one of these ETags: `If-Match`.

    Args:
        *etags: One or more tags, as `ETag` or text. `IfMatch.ANY`, or the text `*` alone, instead
            asks only that an object exists (`If-Match: *`).

    Raises:
        InvalidRequest: If there is no tag, or one that cannot stand in a header.
    """

    __slots__ = ("etags",)
    ANY: ClassVar["IfMatch"]

    etags: tuple[ETag, ...]

    def __init__(self, *etags: ETag | str) -> None:
        if etags == ("*",):
            self.etags = ()
            return
        self.etags = tuple(sendable(tag) for tag in etags)
        if not etags or "*" in etags:
            raise InvalidRequest("IfMatch takes one or more ETags, or `*` alone", path="")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the value of an `If-Match` header: `*`, or a list of tags.

        Raises:
            InvalidRequest: If it is neither.
        """
        return cls("*") if text.strip() == "*" else cls(*ETag.parse_list(text))

    @property
    def any(self) -> bool:
        """True for `IfMatch.ANY`."""
        return not self.etags

    def satisfied_by(self, current: ETag | None) -> bool:
        """Whether an object with this ETag (None: no object) meets the condition."""
        if current is None:
            return False
        return self.any or any(tag.strong_match(current) for tag in self.etags)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IfMatch) and self.etags == other.etags

    def __hash__(self) -> int:
        return hash(("IfMatch", self.etags))

    def __repr__(self) -> str:
        if self.any:
            return "IfMatch.ANY"
        return f"IfMatch({', '.join(map(str, self.etags))})"


IfMatch.ANY = IfMatch("*")

Condition: TypeAlias = IfAbsent | IfMatch


def holds(when: Condition | None, exists: bool, etag: ETag | None) -> bool:  # noqa: FBT001 - a state
    """Whether a condition holds of an object that exists or not, and has this ETag."""
    if when is None:
        return True
    if isinstance(when, IfAbsent):
        return not exists
    return exists and (when.any or when.satisfied_by(etag))


def check_condition(path: str, when: object, *, kinds: tuple[type, ...]) -> None:
    """Raise `InvalidRequest` if `when` is neither None nor of one of these classes."""
    if when is not None and not isinstance(when, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise InvalidRequest(f"{path}: a condition is an {names}, not {when!r}", path=path)


def _split(text: str) -> Iterator[str]:
    """The members of a list, empty ones as empty text (RFC 9110 §5.6.1.2)."""
    rest = text
    while rest:
        matched = re.match(_LISTED, rest)
        if matched is None:
            raise InvalidRequest(f"not a list of ETags: {text!r}", path="")
        yield matched[1] or ""
        rest = rest[matched.end() :]
