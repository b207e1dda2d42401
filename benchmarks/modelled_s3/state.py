"""What the modelled S3 holds: objects, uploads in parts, and the conditions of a request.

Everything here is a plain function of the state and the request: no clock, no sockets. A method
either applies at once, wholly, or raises `S3Error` and leaves the state as it was; since the server
calls it from one thread, conditions are evaluated and applied at one instant.
"""

import bisect
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_upload_ids = itertools.count(1)


class S3Error(Exception):
    """An error S3 would answer with.

    Args:
        status: HTTP status.
        code: S3's error code.
        message: For a person.
        extra: Further elements of the error document.
    """

    def __init__(self, status: int, code: str, message: str, **extra: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.extra = status, code, message, extra


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object. `modified` is in seconds since the Unix epoch; `etag` has its quotes."""

    data: bytes
    etag: str
    modified: float
    content_type: str = "binary/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WriteCondition:
    """The conditional headers of a write, as sent; None where absent."""

    if_match: str | None = None
    if_none_match: str | None = None

    def check(self, current: StoredObject | None) -> None:
        """Raise `S3Error` unless the condition holds (RFC 9110 §13.1, S3's answers)."""
        if self.if_match is not None:
            if current is None:
                raise no_such_key()
            if self.if_match != "*" and not selects(self.if_match, current.etag):
                raise precondition_failed("If-Match")
        if self.if_none_match is None or current is None:
            return
        if self.if_none_match == "*" or selects(self.if_none_match, current.etag):
            raise precondition_failed("If-None-Match")


def selects(field_value: str, etag: str) -> bool:
    """Whether the list of tags in a header names the object's tag, quoted or bare."""
    return any(tag.strip().strip('"') == etag.strip('"') for tag in field_value.split(","))


def precondition_failed(condition: str) -> S3Error:
    """S3's 412."""
    text = "At least one of the pre-conditions you specified did not hold"
    return S3Error(412, "PreconditionFailed", text, Condition=condition)


def no_such_key() -> S3Error:
    """S3's 404 for objects."""
    return S3Error(404, "NoSuchKey", "The specified key does not exist.")


def make_object(
    data: bytes, *, modified: float, content_type: str, metadata: Mapping[str, str]
) -> StoredObject:
    """An object whose ETag is, as S3's mostly is, the MD5 of its content."""
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return StoredObject(data, f'"{digest}"', modified, content_type, metadata)


@dataclass(slots=True)
class Upload:
    """A multipart upload that is not completed yet."""

    key: str
    content_type: str
    metadata: Mapping[str, str]
    parts: dict[int, StoredObject] = field(default_factory=dict)

    def assemble(self, wanted: Sequence[tuple[int, str]], *, modified: float) -> StoredObject:
        """Join the listed (number, etag) parts into one object."""
        numbers = [number for number, _ in wanted]
        if not wanted or numbers != sorted(set(numbers)):
            raise S3Error(400, "InvalidPartOrder", "Parts must be listed once, in ascending order.")
        digests, pieces = b"", []
        for number, etag in wanted:
            part = self.parts.get(number)
            if part is None or not selects(etag, part.etag):
                raise S3Error(400, "InvalidPart", f"Part {number} was not found.")
            digests += bytes.fromhex(part.etag.strip('"'))
            pieces.append(part.data)
        digest = hashlib.md5(digests, usedforsecurity=False).hexdigest()
        etag = f'"{digest}-{len(pieces)}"'
        return StoredObject(b"".join(pieces), etag, modified, self.content_type, self.metadata)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; `next_after` is where the next one starts, None on the last."""

    objects: list[tuple[str, StoredObject]]
    prefixes: list[str]
    next_after: str | None


class Bucket:
    """Objects by key, in order, and uploads under way."""

    def __init__(self) -> None:
        self.objects: dict[str, StoredObject] = {}
        self.uploads: dict[str, Upload] = {}
        self._keys: list[str] = []

    def get(self, key: str) -> StoredObject:
        """The object at a key."""
        try:
            return self.objects[key]
        except KeyError:
            raise no_such_key() from None

    def put(self, key: str, stored: StoredObject, when: WriteCondition) -> None:
        """Write an object if the condition holds now."""
        when.check(self.objects.get(key))
        if key not in self.objects:
            bisect.insort(self._keys, key)
        self.objects[key] = stored

    def delete(self, key: str, when: WriteCondition) -> None:
        """Delete if the condition holds now; a missing object is no error."""
        when.check(self.objects.get(key))
        if self.objects.pop(key, None) is not None:
            del self._keys[bisect.bisect_left(self._keys, key)]

    def start_upload(self, upload: Upload) -> str:
        """Begin a multipart upload and return its id."""
        upload_id = f"upload-{next(_upload_ids)}"
        self.uploads[upload_id] = upload
        return upload_id

    def upload(self, upload_id: str) -> Upload:
        """An upload under way."""
        try:
            return self.uploads[upload_id]
        except KeyError:
            text = "The specified multipart upload does not exist."
            raise S3Error(404, "NoSuchUpload", text) from None

    def complete(
        self,
        upload_id: str,
        wanted: Sequence[tuple[int, str]],
        when: WriteCondition,
        *,
        modified: float,
    ) -> StoredObject:
        """Make the parts one visible object if the condition holds now."""
        upload = self.upload(upload_id)
        stored = upload.assemble(wanted, modified=modified)
        self.put(upload.key, stored, when)
        del self.uploads[upload_id]
        return stored

    def list(self, prefix: str, delimiter: str, start_after: str, max_keys: int) -> Page:
        """Keys after `start_after` in order; those sharing a prefix up to `delimiter` as one."""
        objects: list[tuple[str, StoredObject]] = []
        prefixes: list[str] = []
        last = start_after
        for entry, is_prefix in self._entries(prefix, delimiter, start_after):
            if len(objects) + len(prefixes) == max_keys:
                return Page(objects, prefixes, last)
            if is_prefix:
                prefixes.append(entry)
            else:
                objects.append((entry, self.objects[entry]))
            last = entry
        return Page(objects, prefixes, None)

    def _entries(self, prefix: str, delimiter: str, after: str) -> Iterator[tuple[str, bool]]:
        index = max(bisect.bisect_left(self._keys, prefix), bisect.bisect_right(self._keys, after))
        while index < len(self._keys) and (key := self._keys[index]).startswith(prefix):
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end < 0:
                yield key, False
                index += 1
                continue
            common = key[: end + len(delimiter)]
            if common > after:
                yield common, True
            # No key that starts with `common` is greater than this one.
            index = bisect.bisect_left(self._keys, common + "\U0010ffff", lo=index)


class Buckets:
    """All buckets of the service."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def create(self, name: str) -> None:
        """Create a bucket."""
        if name in self._buckets:
            raise S3Error(409, "BucketAlreadyOwnedByYou", "The bucket is already yours.")
        self._buckets[name] = Bucket()

    def __getitem__(self, name: str) -> Bucket:
        try:
            return self._buckets[name]
        except KeyError:
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist.") from None

    def delete(self, name: str) -> None:
        """Delete an empty bucket."""
        if self[name].objects:
            raise S3Error(409, "BucketNotEmpty", "The bucket you tried to delete is not empty.")
        del self._buckets[name]

    def names(self) -> Iterable[str]:
        """Names in order."""
        return sorted(self._buckets)
