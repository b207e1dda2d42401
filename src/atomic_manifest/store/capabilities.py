"""What a store can be trusted with: which conditional writes it does, and whether atomically.

Invariants:

* `SAFE` is the only answer on which compare-and-swap may be built. Everything else says why not.
* A `Capabilities` of a probe holds what was seen, of a driver that needs no probe what is known of
  it, and `UNTESTED` where neither is the case. It says the same of the same service every time: no
  counts, times or names of keys are in it.
* Nothing here sends a request; `probe` does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any


class Support(Enum):
    """How a store treats one kind of conditional request."""

    SAFE = "safe"
    """The condition is evaluated and the write carried out at one instant: one winner."""
    SEQUENTIAL_ONLY = "sequential only"
    """Honoured one request after the other, but several concurrent ones can win."""
    IGNORED = "ignored"
    """The request is carried out although its condition does not hold."""
    REFUSED = "refused"
    """The service answers with an error, or refuses although the condition holds."""
    UNSUPPORTED = "unsupported"
    """The driver has no such request."""
    UNTESTED = "untested"
    """Not known."""


class ETagForm(Enum):
    """How a service writes ETags."""

    QUOTED = "quoted"
    BARE = "bare"
    NONE = "none"
    UNTESTED = "untested"


class BothHeaders(Enum):
    """What a PUT with `If-Match` and `If-None-Match` together comes to."""

    REFUSED = "refused"
    """An error, such as 400 or 501."""
    BOTH = "both must hold"
    """As RFC 9110 §13.2.2 says."""
    IF_MATCH = "only If-Match counts"
    IF_NONE_MATCH = "only If-None-Match counts"
    IGNORED = "both ignored"
    UNTESTED = "untested"


class CreateStrategy(Enum):
    """How to create an object only if it is absent, cheapest first."""

    PUT = "PUT with If-None-Match"
    GCS_HEADER = "PUT with x-goog-if-generation-match"
    OSS_HEADER = "PUT with x-oss-forbid-overwrite"
    COS_HEADER = "PUT with x-cos-forbid-overwrite"
    UPLOAD = "conditional completion of a multipart upload"
    COPY = "PUT to a unique key, then conditional copy"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        support: The verdict.
        detail: Why, in a few words; empty where the verdict says it all.
    """

    support: Support
    detail: str = ""

    @property
    def is_safe(self) -> bool:
        """Whether compare-and-swap may be built on it."""
        return self.support is Support.SAFE

    @property
    def is_tested(self) -> bool:
        """Whether it says anything."""
        return self.support is not Support.UNTESTED

    def __str__(self) -> str:
        return f"{self.support.value} ({self.detail})" if self.detail else self.support.value


UNTESTED = Finding(Support.UNTESTED)
REDUCED = "reduced probe"
"""The source of capabilities that only say how objects can be created if absent."""
_SAFE = Finding(Support.SAFE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What is known of one service. The names of the findings are the names of their checks.

    Attributes:
        endpoint: Which service, for people; holds no secret.
        source: Where the findings come from: `probe`, `reduced probe` (only what tables need), `known`
            (the driver needs no probe), `assumed` (somebody said so).
        create_strategy: How objects are created if absent; None if the service has no safe way.
        etag_form: How the service writes ETags.
        both_headers: What it does with both conditional headers at once.
        put_if_absent: PUT with `If-None-Match: *`.
        put_if_match: PUT with `If-Match` and an ETag.
        put_if_match_any: PUT with `If-Match: *`.
        upload_if_absent: The same of the completion of a multipart upload.
        upload_if_match: See `upload_if_absent`.
        upload_if_match_any: See `upload_if_absent`.
        copy_if_absent: The same of a copy's destination.
        copy_if_match: See `copy_if_absent`.
        copy_if_match_any: See `copy_if_absent`.
        copy_if_source_match: A copy on condition of its source's ETag.
        delete_if_match: Deletion with `If-Match` and an ETag.
        delete_if_match_any: Deletion with `If-Match: *`.
        put_gcs_header: PUT with `x-goog-if-generation-match: 0`; only looked at where `put_if_absent`
            is not safe, as are the next two.
        put_oss_header: PUT with `x-oss-forbid-overwrite: true`.
        put_cos_header: PUT with `x-cos-forbid-overwrite: true`.
        read_after_write: Whether a read gives what the last finished write wrote.
        list_after_write: Whether a listing shows what was written and not what was deleted.
        list_order: Whether listings come in order of key and can start behind any key. Where they do
            not, folders are listed whole and put in order here.
        bulk_delete: Whether one request deletes many objects. Where none does, each has its own.
    """

    endpoint: str
    source: str
    create_strategy: CreateStrategy | None = None
    etag_form: ETagForm = ETagForm.UNTESTED
    both_headers: BothHeaders = BothHeaders.UNTESTED
    put_if_absent: Finding = UNTESTED
    put_if_match: Finding = UNTESTED
    put_if_match_any: Finding = UNTESTED
    upload_if_absent: Finding = UNTESTED
    upload_if_match: Finding = UNTESTED
    upload_if_match_any: Finding = UNTESTED
    copy_if_absent: Finding = UNTESTED
    copy_if_match: Finding = UNTESTED
    copy_if_match_any: Finding = UNTESTED
    copy_if_source_match: Finding = UNTESTED
    delete_if_match: Finding = UNTESTED
    delete_if_match_any: Finding = UNTESTED
    put_gcs_header: Finding = UNTESTED
    put_oss_header: Finding = UNTESTED
    put_cos_header: Finding = UNTESTED
    read_after_write: Finding = UNTESTED
    list_after_write: Finding = UNTESTED
    list_order: Finding = UNTESTED
    bulk_delete: Finding = UNTESTED

    @property
    def is_reduced(self) -> bool:
        """Whether only creation was looked at."""
        return self.source == REDUCED

    @property
    def safe_for_tables(self) -> bool:
        """Whether of several writers of one log entry exactly one wins."""
        return self.create_strategy is not None

    def findings(self) -> Iterator[tuple[str, Finding]]:
        """Every check with what it found."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Finding):
                yield field.name, value

    def with_findings(self, found: Mapping[str, Finding]) -> "Capabilities":
        """A copy with other findings, by name of check, and the create strategy they allow."""
        changed = replace(self, **found)  # type: ignore[arg-type]
        return replace(changed, create_strategy=cheapest_strategy(changed))

    def to_json(self) -> bytes:
        """As JSON, for files and for other processes."""
        import msgspec  # noqa: PLC0415 - loading it would double the time to import this floor

        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    @classmethod
    def from_json(cls, text: bytes | str) -> "Capabilities":
        """What `to_json` wrote.

        Raises:
            ValueError: If `text` is something else.
        """
        import msgspec  # noqa: PLC0415 - see above

        return msgspec.json.decode(text, type=cls)


STRATEGY_CHECKS: Mapping[CreateStrategy, str] = {
    CreateStrategy.PUT: "put_if_absent",
    CreateStrategy.GCS_HEADER: "put_gcs_header",
    CreateStrategy.OSS_HEADER: "put_oss_header",
    CreateStrategy.COS_HEADER: "put_cos_header",
    CreateStrategy.UPLOAD: "upload_if_absent",
    CreateStrategy.COPY: "copy_if_absent",
}
"""Which check decides on which create strategy, cheapest strategy first."""


def cheapest_strategy(found: Capabilities) -> CreateStrategy | None:
    """The first strategy whose check found the service safe."""
    for strategy, check in STRATEGY_CHECKS.items():
        finding: Finding = getattr(found, check)
        if finding.is_safe:
            return strategy
    return None


def all_safe(endpoint: str, source: str) -> Capabilities:
    """Of a store that does every conditional request atomically."""
    names = [name for name, _ in Capabilities(endpoint=endpoint, source=source).findings()]
    headers = {"put_gcs_header", "put_oss_header", "put_cos_header"}
    safe = {name: _SAFE for name in names if name not in headers}
    return Capabilities(endpoint=endpoint, source=source).with_findings(safe)


def assumed_by(storage_options: Mapping[str, Any]) -> Capabilities | None:
    """What the storage option `conditional_put="assume"` says, None without it."""
    for option, value in storage_options.items():
        if option.lower().endswith("conditional_put") and value == "assume":
            finding = Finding(Support.SAFE, "assumed, not probed")
            assumed = Capabilities(endpoint="assumed", source="assumed")
            return assumed.with_findings({"put_if_absent": finding})
    return None
