"""An object in the making, without I/O: what `Upload` and `AsyncUpload` share.

Up to one part is kept in memory and sent as one request at the end; what is larger goes out as a
multipart upload while it is being written. The bytes are gone once they are sent, so a multipart
upload is completed once: a conflict (409) then is an error, with nothing written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from atomic_manifest.errors import InvalidRequest, StoreError
from atomic_manifest.store.conditions import Condition, IfAbsent
from atomic_manifest.store.driver import Data, ObjectMeta, Refused, Unanswered, Written
from atomic_manifest.store.policy.attempts import (
    WRITE_ID,
    Settled,
    asking,
    carry_out,
    look,
    own_or,
    refusal,
    unknown,
)
from atomic_manifest.store.policy.calls import Call, Steps
from atomic_manifest.store.policy.pacing import Policy
from atomic_manifest.store.policy.sending import abort, finish


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What an upload is to become.

    Attributes:
        path: A checked path.
        when: The condition, evaluated when the object is to appear.
        metadata: The caller's.
        part_size: Bytes.
        max_in_flight: Parts sent at the same time.
    """

    path: str
    when: Condition | None
    metadata: Mapping[str, str] | None
    part_size: int
    max_in_flight: int


class Assembly:
    """Collects bytes into parts, and the parts into an object.

    Args:
        request: What it is to become.
        policy: The store's.
        put: Writes a small object whole.
        keeps_metadata: Whether the store keeps user metadata.

    Raises:
        InvalidRequest: If a bound of the request makes no sense.
    """

    def __init__(
        self,
        request: UploadRequest,
        policy: Policy,
        put: Callable[[Data], Steps[ObjectMeta]],
        *,
        keeps_metadata: bool = True,
    ) -> None:
        if request.part_size < 1 or request.max_in_flight < 1:
            raise InvalidRequest(
                f"{request.path}: part_size and max_in_flight are at least 1", path=request.path
            )
        self.path = request.path
        self.position = 0
        self.closed = False
        self._request = request
        self._policy = policy
        self._put = put
        self._keeps_metadata = keeps_metadata
        self._upload: object = None
        self._buffer = bytearray()
        self._id = None if request.when is None else policy.env.new_id()

    def take(self, data: Data) -> bool:
        """Take bytes that still fit into the part; False if they do not, and `send` must take them.

        Raises:
            StoreError: If the upload is closed.
        """
        if self.closed:
            raise StoreError(f"{self.path}: the upload is closed", path=self.path)
        view = memoryview(data).cast("B")
        if len(self._buffer) + len(view) >= self._request.part_size:
            return False
        self._buffer += view
        self.position += len(view)
        return True

    def send(self, data: Data, *, copy: bool = True) -> Steps[None]:
        """Take bytes, and send the parts that they fill; whole ones as they are, if need be."""
        view, size, start = memoryview(data).cast("B"), self._request.part_size, 0
        while start < len(view):
            end = start + size - len(self._buffer)
            if not copy and not self._buffer and end <= len(view):
                yield from self._send_part(view[start:end])
            else:
                self._buffer += view[start:end]
            if len(self._buffer) == size:
                full, self._buffer = self._buffer, bytearray()
                yield from self._send_part(full)
            start = end
        self.position += len(view)

    def close(self) -> Steps[ObjectMeta]:
        """Make the object appear."""
        self.closed = True
        if self._upload is None:
            return (yield from self._put(self._buffer))
        if self._buffer:
            try:
                yield Call("write", (self._buffer,), on=self._upload)
            except BaseException:
                yield from abort(self._upload)
                raise
        done = carry_out(
            self.path,
            lambda: finish(self._upload, self.path, self._id),
            self._policy.pacer(attempts=1),
            settle=None if self._id is None else self._settle,
        )
        if self._id is not None and self._keeps_metadata:
            done = own_or(done, self.path, self._id, self._policy.pacer())
        outcome = yield from done
        if isinstance(outcome, Refused):
            raise (yield from refusal(self.path, self._request.when, outcome.current_etag))
        assert isinstance(outcome, Written)  # noqa: S101 - nothing is deleted
        return outcome.meta

    def abort(self) -> Steps[None]:
        """Give up. Does nothing after `close`."""
        if self.closed:
            return
        self.closed = True
        self._buffer = bytearray()
        if self._upload is not None:
            yield Call("abort", on=self._upload)

    def _send_part(self, part: Data) -> Steps[None]:
        request = self._request
        if self._upload is None:
            own = {} if self._id is None else {WRITE_ID: self._id}
            options = {
                "part_size": request.part_size,
                "max_in_flight": request.max_in_flight,
                "when": request.when,
                "metadata": {**(request.metadata or {}), **own} or None,
            }
            call = Call("start_upload", (self.path,), options)
            self._upload = yield from asking(call, self._policy.pacer())
        yield Call("write", (part,), on=self._upload)

    def _settle(self, unanswered: Unanswered) -> Steps[Settled]:
        try:
            found = yield from look(self.path, self._policy.pacer())
        except StoreError:
            found = None
        if found is not None:
            theirs = found.metadata.get(WRITE_ID)
            if theirs == self._id:
                return Written(found)
            lost = theirs is not None or found.size != self.position
            if lost and isinstance(self._request.when, IfAbsent):
                return Refused(found.etag)
        raise unknown(self.path, "write", unanswered)
