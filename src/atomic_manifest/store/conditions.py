"""ETags and the conditions of RFC 9110 §13 that a write can carry.

Invariants: an `ETag` is opaque, it is never computed from content, and a weak one never satisfies
`IfMatch` (strong comparison, RFC 9110 §8.8.3.2).
"""

from dataclasses import dataclass
from typing import ClassVar, Self, TypeAlias


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
        """Read `"x"`, `W/"x"` or the bare `x` that some S3-compatible services use."""
        weak = text.startswith(("W/", "w/"))
        return cls(text[2 * weak :].strip().strip('"'), weak)

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

    def __str__(self) -> str:
        return self.quoted


@dataclass(frozen=True, slots=True)
class IfAbsent:
    """Write only if no object exists at the key: `If-None-Match: *`."""


class IfMatch:
    """Write only if the current object has one of these ETags: `If-Match`.

    Args:
        *etags: Tags as `ETag` or text. `IfMatch.ANY` instead asks only that an object exists
            (`If-Match: *`).
    """

    __slots__ = ("etags",)
    ANY: ClassVar["IfMatch"]

    def __init__(self, *etags: ETag | str) -> None:
        self.etags = tuple(ETag.parse(tag) if isinstance(tag, str) else tag for tag in etags)

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


IfMatch.ANY = IfMatch()

Condition: TypeAlias = IfAbsent | IfMatch
