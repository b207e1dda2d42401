"""The state of a table without its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from atomic_manifest.log.actions import DomainMetadata, Metadata, Protocol, Txn


@dataclass(frozen=True, slots=True)
class Head:
    """The state of a table without its files.

    Attributes:
        protocol: None if there is none.
        metadata: None if there is none.
        txns: By application id.
        domains: By name, without those that were removed.
    """

    protocol: Protocol | None = None
    metadata: Metadata | None = None
    txns: Mapping[str, Txn] = field(default_factory=dict)
    domains: Mapping[str, DomainMetadata] = field(default_factory=dict)
