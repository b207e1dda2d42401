"""Which requests fail, and how: at random from a seed, and as scripted.

A fault is named by what happens: `lost_before` (the connection is cut and nothing was done),
`lost_after` (it is done, then the connection is cut), a status such as `503` (answered, not done) or
`500_after` (done, and answered with an error all the same). `lost` is either of the first two. At
random, a 409 hits writes alone: S3 answers it to nothing else.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CODES = {
    "403": "AccessDenied",
    "408": "RequestTimeout",
    "409": "ConditionalRequestConflict",
    "412": "PreconditionFailed",
    "429": "TooManyRequests",
    "500": "InternalError",
    "501": "NotImplemented",
    "503": "SlowDown",
}
READS = frozenset(["GET", "HEAD", "LIST"])
RANDOM_KINDS = frozenset(["lost", *CODES])


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do to one request.

    Attributes:
        lands: Whether the request takes effect.
        status: The status to answer, or None to cut the connection.
    """

    lands: bool
    status: int | None

    @classmethod
    def parse(cls, kind: str) -> "Fault":
        """Read a name such as `lost_before`, `503` or `500_after`."""
        what, _, when = kind.partition("_")
        if when in ("before", "after", "") and ((what == "lost" and when) or what in CODES):
            return cls(lands=when == "after", status=None if what == "lost" else int(what))
        raise ValueError(f"unknown kind of fault: {kind!r}")

    @property
    def code(self) -> str:
        """S3's code for the status."""
        return CODES[str(self.status)]


@dataclass(slots=True)
class Scripted:
    """A fault for the next requests of a kind.

    Attributes:
        kind: See the module docstring.
        method: HTTP method; `LIST` means the listing of a bucket; empty for any.
        match: Text that the key (of a listing: the prefix) contains; empty for any.
        skip: How many such requests to let pass first.
        times: How many to hit after that.
    """

    kind: str
    method: str = ""
    match: str = ""
    skip: int = 0
    times: int = 1

    def __post_init__(self) -> None:
        Fault.parse(self.kind)

    def fits(self, method: str, key: str) -> bool:
        """Whether this is one of the requests meant."""
        return self.times > 0 and self.method.upper() in ("", method) and self.match in key


class FaultPlan:
    """Decides for every request on an object.

    Args:
        rates: Probability by kind (`lost`, `500`, `503`, `409`).
        methods: HTTP methods (and `LIST`) that random faults hit; empty for all.
        seed: Seed of the random choice.
    """

    def __init__(self, rates: Mapping[str, float], methods: Iterable[str] = (), seed: int = 0):
        self.set_rates(rates)
        self._methods = frozenset(method.upper() for method in methods)
        self._random = random.Random(seed)
        self._script: list[Scripted] = []
        self.counts: Counter[str] = Counter()

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """From now on, fail requests at random with these probabilities."""
        unknown = rates.keys() - RANDOM_KINDS
        if unknown:
            raise ValueError(f"unknown kinds of random faults: {sorted(unknown)}")
        self._rates = {kind: rate for kind, rate in rates.items() if rate > 0}

    def script(self, faults: Iterable[Mapping[str, Any]]) -> None:
        """Add scripted faults; the first in order that fits a request is the one that counts."""
        self._script.extend([Scripted(**fault) for fault in faults])

    def clear(self) -> None:
        """Forget what is scripted and counted; the rates stay."""
        self._script.clear()
        self.counts.clear()

    def next(self, method: str, key: str) -> Fault | None:
        """The fault for this request, or None to serve it."""
        kind = self._scripted(method, key) or self._drawn(method)
        if kind is None:
            return None
        self.counts[kind] += 1
        return Fault.parse(kind)

    def _scripted(self, method: str, key: str) -> str | None:
        for fault in self._script:
            if fault.fits(method, key):
                if fault.skip:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault.kind
        return None

    def _drawn(self, method: str) -> str | None:
        if not self._rates or (self._methods and method not in self._methods):
            return None
        draw = self._random.random()
        for kind, rate in self._rates.items():
            if draw < rate:
                return self._specific(kind, method)
            draw -= rate
        return None

    def _specific(self, kind: str, method: str) -> str | None:
        if kind == "lost":
            return self._random.choice(("lost_before", "lost_after"))
        return None if kind == "409" and method in READS else kind
