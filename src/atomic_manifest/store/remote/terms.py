"""What is said to and heard from obstore, in words of one service. Pure.

Shared by the blocking and the asynchronous driver, which only send. ETags are the service's own,
except on Google Cloud Storage, whose conditional writes compare generations: there the tag is the
generation. Azure's metadata names can hold no hyphen, so hyphens are sent as underscores, and
underscores read as hyphens.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from atomic_manifest.errors import NotModified, StoreUnavailable, UnsupportedByStore
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import Data, Object, ObjectMeta, check_path
from atomic_manifest.store.failures import Failure, Service, failed_request
from atomic_manifest.store.keys import check_metadata, check_range, folder
from atomic_manifest.store.remote.sdk import tried, tried_async

if TYPE_CHECKING:
    from obstore import Bytes, GetResult, PutResult
    from obstore import ObjectMeta as Listed

_T = TypeVar("_T")
Keys: TypeAlias = list[str]

_CUSTOMER_KEY = (
    "no condition can be asked of objects encrypted under a customer's key (SSE-C): services refuse"
    " or ignore conditions there"
)
_HTTP_ATTRIBUTES = frozenset(
    {
        "Cache-Control",
        "Content-Disposition",
        "Content-Encoding",
        "Content-Language",
        "Content-Type",
        "Storage-Class",
    }
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one service wants its conditions.

    Attributes:
        service: Whose rules the bucket follows.
        bare_etags: Send ETags without quotes, for services that compare the header's text.
        etag_lists: The service reads a list of ETags in one If-Match, as RFC 9110 has it.
        version_tags: A conditional deletion of one version asks for that version's ETag. Amazon S3
            asks for the current version's, whichever is to be deleted.
        second_writes: Everything is written and deleted by the second client.
        customer_key: Objects are encrypted under a key that the caller keeps (SSE-C).
    """

    service: Service
    bare_etags: bool = False
    etag_lists: bool = False
    version_tags: bool = False
    second_writes: bool = False
    customer_key: bool = False

    def tag(self, etag: ETag) -> str:
        """An ETag as the service wants it in a header."""
        return etag.bare if self.bare_etags else etag.quoted

    def if_match(self, path: str, when: IfMatch) -> str:
        """The header's value.

        Raises:
            UnsupportedByStore: If it would hold several ETags and the service compares only one.
        """
        if when.any:
            return "*"
        if len(when.etags) > 1 and not self.etag_lists:
            raise UnsupportedByStore(
                f"{path}: {when!r} cannot be asked of {self.service.value}, only one ETag can",
                path=path,
            )
        return ", ".join(self.tag(etag) for etag in when.etags)

    def check_deletion(self, path: str, when: IfMatch | None, version: str | None) -> None:
        """Raise `UnsupportedByStore` if the service cannot ask `when` of this very version."""
        if when is not None and version is not None and not self.version_tags:
            raise UnsupportedByStore(
                f"{path}: {self.service.value} asks a condition of the current version alone, not of"
                " the one to be deleted",
                path=path,
            )

    def check(self, path: str, *conditions: Condition | None) -> None:
        """Raise `UnsupportedByStore` if the conditions cannot be asked of any object here."""
        given = [when for when in conditions if when is not None]
        if given and self.customer_key:
            raise UnsupportedByStore(f"{path}: {_CUSTOMER_KEY}", path=path)
        for when in given:
            if isinstance(when, IfMatch):
                self.if_match(path, when)


def never_matches(*conditions: Condition | None) -> bool:
    """Whether one of them names weak tags only, which no service may take for a match."""
    return any(
        isinstance(when, IfMatch) and not when.any and all(tag.weak for tag in when.etags)
        for when in conditions
    )


class Terms:
    """Translates for one folder of one bucket.

    Args:
        dialect: Of the service.
        prefix: The folder; empty for the whole bucket.
    """

    def __init__(self, dialect: Dialect, prefix: str) -> None:
        self.dialect = dialect
        self.service = dialect.service
        self.root = folder(prefix)

    def key(self, path: str) -> str:
        """The bucket's key of a path."""
        return self.root + check_path(path)

    def get_options(
        self, path: str, range: tuple[int, int] | None, if_none_match: ETag | None, *, head: bool
    ) -> Any:
        """Options of a read; a generation cannot stand in If-None-Match."""
        options: dict[str, Any] = {"head": True} if head else {}
        if range is not None:
            options["range"] = check_range(path, range)
        if if_none_match is not None and self.service is not Service.GCS:
            options["if_none_match"] = self.dialect.tag(if_none_match)
        return options

    def needs_verbs(self, when: Condition | None) -> bool:
        """Whether a put goes by the second client. Obstore knows no word for existence on Google's."""
        unknown = self.service is Service.GCS and isinstance(when, IfMatch) and when.any
        return unknown or self.dialect.second_writes

    def mode(self, path: str, when: Condition | None) -> Any:
        """Obstore's mode of a put, unless it `needs_verbs`.

        Raises:
            UnsupportedByStore: See `Dialect.check`.
        """
        self.dialect.check(path, when)
        if when is None:
            return "overwrite"
        if isinstance(when, IfAbsent):
            return "create"
        if self.service is Service.GCS:
            return {"version": when.etags[0].opaque}
        return {"e_tag": self.dialect.if_match(path, when)}

    def attributes(self, path: str, metadata: Mapping[str, str] | None) -> dict[str, str] | None:
        """User metadata as the service takes it."""
        if not metadata:
            return None
        check_metadata(path, metadata)
        if self.service is Service.AZURE:
            return {key.replace("-", "_"): value for key, value in metadata.items()}
        return dict(metadata)

    def object(self, path: str, result: "GetResult", body: "Bytes") -> Object:
        """What was read.

        Raises:
            StoreUnavailable: If it is shorter than was announced.
        """
        data = body.to_bytes()
        first, end = result.range
        if len(data) != end - first:
            raise StoreUnavailable(f"{path}: the answer broke off", path=path)
        return Object(data, self.meta(path, result))

    def meta(self, path: str, result: "GetResult") -> ObjectMeta:
        """What the head of an answer tells of an object."""
        told = result.meta
        metadata = {
            key.replace("_", "-") if self.service is Service.AZURE else key.lower(): value
            for key, value in result.attributes.items()
            if key not in _HTTP_ATTRIBUTES
        }
        return ObjectMeta(
            path,
            told["size"],
            self._etag(told),
            told["last_modified"],
            metadata,
            self._version(told),
        )

    def unlike(self, etag: ETag | None, meta: ObjectMeta) -> ObjectMeta:
        """An object's head, if the object is another than the one of the ETag.

        Raises:
            NotModified: If it is the same: some services answer a HEAD without a look at conditions.
        """
        if etag is not None and meta.etag == etag:
            raise NotModified(f"{meta.path} has not changed", path=meta.path)
        return meta

    def written(
        self, path: str, data: Data, metadata: Mapping[str, str] | None, result: "PutResult"
    ) -> ObjectMeta:
        """What is known of an object that was put."""
        size = memoryview(data).nbytes
        version = self._version(result)
        return ObjectMeta(path, size, self._etag(result), None, metadata or {}, version)

    def folder_of(self, prefix: str) -> str:
        """Where a listing looks."""
        return (self.root + folder(prefix)).removesuffix("/")

    def offset(self, start_after: str | None) -> str | None:
        """Where a listing starts."""
        return self.root + start_after if start_after else None

    def listed(
        self, page: "Sequence[Listed]", below: str, offset: str | None
    ) -> Iterator[ObjectMeta]:
        """The objects of one page. obstore drops a trailing slash: of the offset, and of objects
        that mark a folder.
        """
        for found in page:
            key = found["path"]
            if key > (offset or below):
                path = key[len(self.root) :]
                yield ObjectMeta(path, found["size"], self._etag(found), found["last_modified"])

    def asked(self, path: str, ask: Callable[[], _T]) -> _T:
        """What the SDK gives; its failures raise this library's errors."""
        return self._unless_failed(path, tried(ask))

    async def asked_async(self, path: str, ask: Callable[[], Awaitable[_T]]) -> _T:
        """The same of a coroutine."""
        return self._unless_failed(path, await tried_async(ask))

    def _unless_failed(self, path: str, given: _T | Failure) -> _T:
        if isinstance(given, Failure):
            raise failed_request(self.service, path, given)
        return given

    def _etag(self, told: Mapping[str, Any]) -> ETag | None:
        text = told["version" if self.service is Service.GCS else "e_tag"]
        return ETag.parse(text) if text else None

    def _version(self, told: Mapping[str, Any]) -> str | None:
        """S3 says "null" of what was written while the bucket kept no versions."""
        version: str | None = told["version"]
        return None if version == "null" else version
