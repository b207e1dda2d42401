"""Idempotency keys: a write that is asked for again is not carried out again.

The key and the body's digests are kept as user metadata of the object they were written with, so the
object itself is the memory: it answers from any process, and it forgets when it is replaced or
deleted. No clock and no table of keys is involved.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from atomic_manifest.errors import IdempotencyKeyReused, InvalidRequest, StoreError
from atomic_manifest.store.driver import Data, ObjectMeta
from atomic_manifest.store.keys import check_metadata
from atomic_manifest.store.policy import checksums
from atomic_manifest.store.policy.bodies import Body
from atomic_manifest.store.policy.calls import Call, Steps
from atomic_manifest.store.policy.checksums import Checksum

KEY = "atomic-manifest-key"
"""The user metadata key that holds the idempotency key."""

CHECKSUM = "atomic-manifest-checksum"
"""The user metadata key that holds digests of the body: `sha256:...`, several separated by commas."""

DEFAULT_ALGORITHM = "sha256"
"""What identifies the body of a write with a key and no checksum."""

_MAX_KEY = 255
_READ = 8 * 1024 * 1024

DigestOf: TypeAlias = Callable[[str], Steps[str | None]]
"""Gives the body's digest by an algorithm; None if the body cannot be read for it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a write with an idempotency key says of itself.

    Attributes:
        path: Of the object.
        key: The caller's.
        digests: Of the body, by algorithm.
        size: Of the body, where known.
        digest_of: For digests that are not among those.
    """

    path: str
    key: str
    digests: Mapping[str, str]
    size: int | None
    digest_of: DigestOf

    def replayed_by(self, found: ObjectMeta) -> Steps[bool]:
        """Whether an object is what this write would write again.

        Raises:
            IdempotencyKeyReused: If it has the key and another body.
            InvalidRequest: If it has the key, and the bodies cannot be compared.
        """
        if found.metadata.get(KEY) != self.key:
            return False
        same = self.size in (None, found.size)
        for algorithm, theirs in read_digests(found.metadata).items():
            if not same:
                break
            ours = self.digests.get(algorithm) or (yield from self.digest_of(algorithm))
            if ours is None:
                raise InvalidRequest(
                    f"{self.path}: to compare this body with the one written first, give its"
                    f" {algorithm}",
                    path=self.path,
                )
            same = ours == theirs
        if same:
            return True
        raise IdempotencyKeyReused(
            f"{self.path}: the object there was written with the same idempotency key"
            f" {self.key!r} and another body",
            path=self.path,
            idempotency_key=self.key,
        )


def claim(path: str, key: str, digests: Mapping[str, str], body: Body) -> Claim:
    """Make the claim of a write with this body."""
    return Claim(path, key, digests, body.size, lambda name: digest_of(body, name))


def check_key(path: str, key: str) -> None:
    """Raise `InvalidRequest` if a key cannot be kept as user metadata."""
    try:
        check_metadata(path, {KEY: key})
    except (StoreError, TypeError):
        sound = False
    else:
        sound = len(key) <= _MAX_KEY
    if not sound:
        raise InvalidRequest(
            f"{path}: an idempotency key is 1 to {_MAX_KEY} printable ASCII characters,"
            f" not {key!r}",
            path=path,
        )


def read_digests(metadata: Mapping[str, str]) -> dict[str, str]:
    """The digests kept with an object, by algorithm."""
    text = metadata.get(CHECKSUM, "")
    named = (part.partition(":") for part in text.split(",") if part)
    return {name: digest for name, _, digest in named if name in checksums.SIZES}


def write_digests(digests: Mapping[str, str]) -> str:
    """The digests as they are kept with an object."""
    return ",".join(f"{name}:{digest}" for name, digest in sorted(digests.items()))


def digests_of(
    path: str, body: Body, checksum: Checksum | None, *, keyed: bool
) -> Steps[dict[str, str]]:
    """The digests a write is to keep, compared with those that were given.

    Of a body that can be read only once, the given ones are taken for true; `Sending` checks them.

    Args:
        path: Of the object.
        body: What is to be written.
        checksum: What the caller asked for.
        keyed: Whether there is an idempotency key, which needs a digest.

    Raises:
        ChecksumMismatch: If the body has another digest than the given one.
        InvalidRequest: If an algorithm is not known, or the body cannot be read for its digest.
    """
    asked = checksums.requested(path, checksum)
    if keyed and not asked:
        asked = {DEFAULT_ALGORITHM: None}
    digests = {}
    for algorithm, given in asked.items():
        found = yield from digest_of(body, algorithm)
        if found is None:
            if given is None:
                raise InvalidRequest(
                    f"{path}: the {algorithm} of a body that can be read only once must be given",
                    path=path,
                )
            found = given
        checksums.compare(path, algorithm, given, found)
        digests[algorithm] = found
    return digests


def digest_of(body: Body, algorithm: str) -> Steps[str | None]:
    """The digest of a body, if it can be read and then still be sent."""
    if body.data is None and not body.rewindable:
        return None
    digest = checksums.new(algorithm)
    if body.data is not None:
        yield from checksums.extend(digest, body.data, body.in_thread)
    else:
        yield Call("rewind", on=body.source)
        while True:
            data: Data = yield Call("read", (_READ,), on=body.source)
            if not data:
                break
            yield from checksums.extend(digest, data, body.in_thread)
    return checksums.encode(digest.digest())
