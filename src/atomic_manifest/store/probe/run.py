"""The probe as a whole, and the part of it that tables need."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from atomic_manifest.store.capabilities import (
    REDUCED,
    STRATEGY_CHECKS,
    Capabilities,
    CreateStrategy,
    Finding,
    Support,
)
from atomic_manifest.store.failures import Service
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.probe import headers, others, writes
from atomic_manifest.store.probe.session import Session
from atomic_manifest.store.safety.creating import CREATE_HEADERS
from atomic_manifest.store.safety.endpoint import endpoint_of, raw_of

THREADS = 8
ROUNDS = 48
CREATION_THREADS = 6
CREATION_ROUNDS = 10
SECONDS = 300.0

_BODY_SIZE = 64 * 1024
_SMALL_BODY_SIZE = 8 * 1024


def probe(
    store: ObjectStore,
    *,
    prefix: str | None = None,
    threads: int = THREADS,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
) -> Capabilities:
    """Find out what a store does with every conditional request.

    Args:
        store: Where to probe: requests go to keys below `prefix`, which are removed at the end.
        prefix: A folder for the probe alone; None for a fresh `.atomic-manifest-probe-<id>`.
        threads: How many race in the widest rounds; at least 2. In most only two do.
        rounds: How often they race in one check, at most. A store that lets several win is found out
            the more surely the more rounds there are.
        seconds: After this time no further round is begun.

    Raises:
        ValueError: If there would be no race.
        StoreError: If nothing can be written there.
    """
    with _session(store, prefix, threads, rounds, seconds, _BODY_SIZE) as session:
        store.put(session.key("race/hello"), b"hello")
        found = {name: check(session) for name, check in _CHECKS.items()}
        found |= writes.alike(found)
        raw = raw_of(store.driver)
        if not found["put_if_absent"].is_safe:
            found |= {
                _check_of(strategy): _by_header(session, strategy) for strategy in CREATE_HEADERS
            }
        told: dict[str, Any] = {}
        if raw is not None:
            told["etag_form"] = headers.etag_form(session, raw)
            told["both_headers"] = headers.both_headers(session, raw)
            found["bulk_delete"] = headers.bulk_delete(session, raw)
        result = Capabilities(endpoint=endpoint_of(store.driver), source="probe", **told)
        return result.with_findings(found)


def probe_creation(store: ObjectStore, *, threads: int = CREATION_THREADS) -> Capabilities:
    """Find out only how objects can be created if absent, by the first strategy that is safe, and
    whether listings come in order.

    Raises:
        StoreError: If nothing can be written there.
    """
    with _session(store, None, threads, CREATION_ROUNDS, SECONDS, _SMALL_BODY_SIZE) as session:
        store.put(session.key("race/hello"), b"hello")
        found: dict[str, Finding] = {}
        for strategy, name in STRATEGY_CHECKS.items():
            check = _CHECKS.get(name) or partial(_by_header, strategy=strategy)
            found[name] = check(session)
            if found[name].is_safe:
                break
        found["list_order"] = others.list_order(session)
    result = Capabilities(endpoint=endpoint_of(store.driver), source=REDUCED)
    return result.with_findings(found)


def _session(
    store: ObjectStore,
    prefix: str | None,
    threads: int,
    rounds: int,
    seconds: float,
    body_size: int,
) -> Session:
    if threads < 2 or rounds < 1:  # noqa: PLR2004 - one alone is no race
        raise ValueError(f"a probe needs 2 threads and 1 round, not {threads} and {rounds}")
    return Session(
        store,
        prefix=prefix or f".atomic-manifest-probe-{store.env.new_id()}",
        threads=threads,
        rounds=rounds,
        seconds=seconds,
        body_size=body_size,
    )


_CHECKS: Mapping[str, Callable[[Session], Finding]] = {
    "put_if_absent": partial(writes.if_absent, prepare=writes.put),
    "put_if_match": partial(writes.if_match, prepare=writes.put),
    "put_if_match_any": partial(writes.if_match_any, prepare=writes.put),
    "upload_if_absent": partial(writes.if_absent, prepare=writes.upload),
    "upload_if_match": partial(writes.if_match, prepare=writes.upload),
    "upload_if_match_any": partial(writes.if_match_any, prepare=writes.upload),
    "copy_if_absent": partial(writes.if_absent, prepare=writes.copy),
    "copy_if_match": partial(writes.if_match, prepare=writes.copy),
    "copy_if_match_any": partial(writes.if_match_any, prepare=writes.copy),
    "copy_if_source_match": others.copy_if_source_match,
    "delete_if_match": others.delete_if_match,
    "delete_if_match_any": others.delete_if_match_any,
    "read_after_write": others.read_after_write,
    "list_after_write": others.list_after_write,
    "list_order": others.list_order,
}


def _check_of(strategy: CreateStrategy) -> str:
    return STRATEGY_CHECKS[strategy]


def _by_header(session: Session, strategy: CreateStrategy) -> Finding:
    raw = raw_of(session.driver)
    if raw is None or raw.service is not Service.S3:
        return Finding(Support.UNSUPPORTED, "for S3's language alone")
    return writes.if_absent(session, writes.create_by(raw.creator(CREATE_HEADERS[strategy])))
