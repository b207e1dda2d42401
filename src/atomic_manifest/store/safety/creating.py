"""Creating an object only if it is absent, on services whose PUT takes no such condition.

| strategy | requests | on |
| --- | --- | --- |
| `PUT` | 1 | most services; needs nothing of this module |
| `GCS_HEADER`, `OSS_HEADER`, `COS_HEADER` | 1 | Google, Alibaba, Tencent behind S3's language |
| `UPLOAD` | 3 | services that ask the condition when an upload is completed |
| `COPY` | 4 | services that ask it of a copy's destination |

Invariants: whichever it is, the service evaluates the condition at the instant at which the object
appears, and the one request that decides is made once. What a strategy needs on the way has a key of
its own below `_atomic_manifest/creating/`, which no reader of tables looks at; it is deleted in the
end, whatever came of the create. A process that dies on the way leaves one such object, which
nothing refers to.
"""

from collections.abc import Mapping
from contextlib import suppress

from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import NotFound, StoreError, StoreUnavailable, UnsupportedByStore
from atomic_manifest.store.capabilities import CreateStrategy
from atomic_manifest.store.conditions import IfAbsent
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    Data,
    Driver,
    Unanswered,
    WriteOutcome,
    Written,
)
from atomic_manifest.store.passing import PassingDriver
from atomic_manifest.store.safety.endpoint import raw_of

CREATE_HEADERS: Mapping[CreateStrategy, Mapping[str, str]] = {
    CreateStrategy.GCS_HEADER: {"x-goog-if-generation-match": "0"},
    CreateStrategy.OSS_HEADER: {"x-oss-forbid-overwrite": "true"},
    CreateStrategy.COS_HEADER: {"x-cos-forbid-overwrite": "true"},
}
"""The header with which each provider's PUT refuses to overwrite."""

_FOLDER = "_atomic_manifest/creating"
_PART = 5 * 1024 * 1024


def creating_by(strategy: CreateStrategy, driver: Driver, *, env: Env = SYSTEM) -> Driver:
    """A driver whose put on condition of `IfAbsent` goes by `strategy`, and all else as before.

    Raises:
        UnsupportedByStore: If the driver cannot do it.
    """
    match strategy:
        case CreateStrategy.PUT:
            return driver
        case CreateStrategy.UPLOAD:
            return CreatingByUpload(driver)
        case CreateStrategy.COPY:
            return CreatingByCopy(driver, env=env)
    return CreatingByHeader(driver, CREATE_HEADERS[strategy])


class CreatingByHeader(PassingDriver):
    """Creates by a PUT with a header of the provider's own.

    Args:
        inner: Does everything else.
        headers: Make the service refuse to overwrite.

    Raises:
        UnsupportedByStore: If `inner` is no bucket of S3's language.
    """

    def __init__(self, inner: Driver, headers: Mapping[str, str]) -> None:
        super().__init__(inner)
        raw = raw_of(inner)
        if raw is None:
            raise UnsupportedByStore("creating by a header is for S3's language alone", path="")
        self._create = raw.creator(headers)

    def create(self, path: str, data: Data, metadata: Mapping[str, str] | None) -> WriteOutcome:
        """See `PassingDriver.create`."""
        return self._create(path, data, metadata)


class CreatingByUpload(PassingDriver):
    """Creates by a multipart upload of one part, whose completion carries the condition."""

    def create(self, path: str, data: Data, metadata: Mapping[str, str] | None) -> WriteOutcome:
        """See `PassingDriver.create`."""
        size = max(_PART, memoryview(data).nbytes)
        try:
            upload = self.inner.start_upload(
                path, part_size=size, max_in_flight=1, when=IfAbsent(), metadata=metadata
            )
        except StoreUnavailable:
            return Contended(ContendedCause.CONFLICT)  # nothing was written
        outcome: WriteOutcome = Contended(ContendedCause.CONFLICT)
        try:
            with suppress(StoreUnavailable):
                upload.write(data)
                outcome = upload.finish()
        finally:
            if not isinstance(outcome, Written):
                with suppress(StoreError):
                    upload.abort()
        return outcome


class CreatingByCopy(PassingDriver):
    """Creates by a PUT to a key of its own and a copy, whose destination must be absent.

    Args:
        inner: Does the requests.
        env: Names the keys.
    """

    def __init__(self, inner: Driver, *, env: Env) -> None:
        super().__init__(inner)
        self._env = env

    def create(self, path: str, data: Data, metadata: Mapping[str, str] | None) -> WriteOutcome:
        """See `PassingDriver.create`."""
        source = f"{_FOLDER}/{self._env.new_id()}"
        try:
            written = self.inner.put(source, data, metadata=metadata)
            if isinstance(written, Unanswered):
                return Contended(ContendedCause.CONFLICT)  # nothing was written at `path`
            if not isinstance(written, Written):
                return written
            return self.inner.copy(source, path, when=IfAbsent())
        except NotFound as error:  # somebody deleted the source
            return Unanswered(error)
        finally:
            with suppress(StoreError):
                self.inner.delete(source)
