"""The operations of S3's REST API on the modelled state: from a `Call` to a `Reply`, without I/O."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from benchmarks.modelled_s3.state import (
    Buckets,
    S3Error,
    StoredObject,
    Upload,
    WriteCondition,
    make_object,
    precondition_failed,
    selects,
)

META = "x-amz-meta-"


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `headers` looks names up whatever their case; `bucket` and `key` may be empty."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def condition(self) -> WriteCondition:
        """The conditional headers, as those of a write."""
        return WriteCondition(self.headers.get("If-Match"), self.headers.get("If-None-Match"))

    @property
    def metadata(self) -> dict[str, str]:
        """User metadata, names in lower case."""
        pairs = ((name.lower(), value) for name, value in self.headers.items())
        return {name[len(META) :]: value for name, value in pairs if name.startswith(META)}

    @property
    def content_type(self) -> str:
        """The type to store."""
        return self.headers.get("Content-Type", "binary/octet-stream")

    @property
    def about(self) -> str:
        """The key, or the prefix of a listing: what faults match and counts are grouped by."""
        return self.key or self.query.get("prefix", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """A response."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the API. `latency` names the class of its modelled latency, if it has one."""

    name: str
    latency: str | None
    run: Callable[[Buckets, Call], Reply]


def element(name: str, *children: str) -> str:
    """An XML element around children that are XML already."""
    return f"<{name}>{''.join(children)}</{name}>"


def text(name: str, value: object) -> str:
    """An XML element around plain text."""
    return element(name, escape(str(value)))


def document(name: str, *children: str) -> bytes:
    """A whole XML document."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{element(name, *children)}'.encode()


def xml(name: str, *children: str) -> Reply:
    """A reply whose body is an XML document."""
    return Reply(200, document(name, *children), {"Content-Type": "application/xml"})


def error_reply(error: S3Error, call: Call) -> Reply:
    """S3's error document."""
    if error.status == 304 or call.method == "HEAD":
        return Reply(error.status)
    body = document(
        "Error",
        text("Code", error.code),
        text("Message", error.message),
        *(text(name, value) for name, value in error.extra.items()),
        text("Resource", f"/{call.bucket}/{call.key}"),
        text("RequestId", "modelled"),
    )
    return Reply(error.status, body, {"Content-Type": "application/xml"})


def put_object(buckets: Buckets, call: Call) -> Reply:
    """PutObject, with `If-None-Match` and `If-Match`."""
    stored = make_object(
        call.body, modified=time.time(), content_type=call.content_type, metadata=call.metadata
    )
    buckets[call.bucket].put(call.key, stored, call.condition)
    return Reply(headers={"ETag": stored.etag})


def copy_object(buckets: Buckets, call: Call) -> Reply:
    """CopyObject within the service."""
    source = unquote(call.headers["x-amz-copy-source"]).lstrip("/")
    bucket, _, key = source.partition("/")
    found = buckets[bucket].get(key)
    WriteCondition(if_match=call.headers.get("x-amz-copy-source-if-match")).check(found)
    replace = call.headers.get("x-amz-metadata-directive") == "REPLACE"
    copy = StoredObject(
        found.data,
        found.etag,
        time.time(),
        call.content_type if replace else found.content_type,
        call.metadata if replace else found.metadata,
    )
    buckets[call.bucket].put(call.key, copy, call.condition)
    modified = text("LastModified", _iso_time(copy.modified))
    return xml("CopyObjectResult", modified, text("ETag", copy.etag))


def get_object(buckets: Buckets, call: Call) -> Reply:
    """GetObject and HeadObject, with `Range`, `If-Match` and `If-None-Match`."""
    stored = buckets[call.bucket].get(call.key)
    if (tags := call.headers.get("If-Match")) and tags != "*" and not selects(tags, stored.etag):
        raise precondition_failed("If-Match")
    if (tags := call.headers.get("If-None-Match")) and (tags == "*" or selects(tags, stored.etag)):
        raise S3Error(304, "NotModified", "Not Modified")
    headers = {
        "ETag": stored.etag,
        "Last-Modified": formatdate(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": stored.content_type,
        **{META + name: value for name, value in stored.metadata.items()},
    }
    status, data = 200, stored.data
    if asked := call.headers.get("Range"):
        start, stop = _parse_range(asked, len(data))
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        status, data = 206, data[start:stop]
    headers["Content-Length"] = str(len(data))
    return Reply(status, b"" if call.method == "HEAD" else data, headers)


def _parse_range(asked: str, size: int) -> tuple[int, int]:
    first, _, last = asked.removeprefix("bytes=").partition("-")
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    else:
        start, stop = max(size - int(last), 0), size
    if start >= stop:
        text = "The requested range is not satisfiable"
        raise S3Error(416, "InvalidRange", text, ActualObjectSize=str(size))
    return start, stop


def delete_object(buckets: Buckets, call: Call) -> Reply:
    """DeleteObject, with `If-Match`."""
    buckets[call.bucket].delete(call.key, call.condition)
    return Reply(204)


def delete_objects(buckets: Buckets, call: Call) -> Reply:
    """DeleteObjects: up to 1,000 keys in one request."""
    bucket = buckets[call.bucket]
    root = ET.fromstring(call.body)
    keys = [node.text or "" for node in root.iterfind("{*}Object/{*}Key")]
    if len(keys) > 1000:
        raise S3Error(400, "MalformedXML", "More than 1,000 keys.")
    for key in keys:
        bucket.delete(key, WriteCondition())
    quiet = root.findtext("{*}Quiet") == "true"
    deleted = [] if quiet else [element("Deleted", text("Key", key)) for key in keys]
    return xml("DeleteResult", *deleted)


def list_objects(buckets: Buckets, call: Call) -> Reply:
    """ListObjectsV2."""
    query = call.query
    token = query.get("continuation-token")
    after = base64.urlsafe_b64decode(token).decode() if token else query.get("start-after", "")
    max_keys = min(int(query.get("max-keys", "1000")), 1000)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    page = buckets[call.bucket].list(prefix, delimiter, after, max_keys)
    encode = quote if query.get("encoding-type") == "url" else str
    more = []
    if page.next_after is not None:
        token = base64.urlsafe_b64encode(page.next_after.encode()).decode()
        more = [text("NextContinuationToken", token)]
    return xml(
        "ListBucketResult",
        text("Name", call.bucket),
        text("Prefix", encode(prefix)),
        text("KeyCount", len(page.objects) + len(page.prefixes)),
        text("MaxKeys", max_keys),
        text("IsTruncated", "true" if more else "false"),
        *more,
        *(_listed(encode(key), stored) for key, stored in page.objects),
        *(element("CommonPrefixes", text("Prefix", encode(each))) for each in page.prefixes),
    )


def _listed(key: str, stored: StoredObject) -> str:
    return element(
        "Contents",
        text("Key", key),
        text("LastModified", _iso_time(stored.modified)),
        text("ETag", stored.etag),
        text("Size", len(stored.data)),
        text("StorageClass", "STANDARD"),
    )


def _iso_time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def create_upload(buckets: Buckets, call: Call) -> Reply:
    """CreateMultipartUpload."""
    upload = Upload(call.key, call.content_type, call.metadata)
    upload_id = buckets[call.bucket].start_upload(upload)
    names = text("Bucket", call.bucket), text("Key", call.key)
    return xml("InitiateMultipartUploadResult", *names, text("UploadId", upload_id))


def upload_part(buckets: Buckets, call: Call) -> Reply:
    """UploadPart."""
    upload = buckets[call.bucket].upload(call.query["uploadId"])
    part = make_object(call.body, modified=time.time(), content_type="", metadata={})
    upload.parts[int(call.query["partNumber"])] = part
    return Reply(headers={"ETag": part.etag})


def complete_upload(buckets: Buckets, call: Call) -> Reply:
    """CompleteMultipartUpload, with the conditions of PutObject."""
    root = ET.fromstring(call.body)
    wanted = [
        (int(part.findtext("{*}PartNumber", "0")), part.findtext("{*}ETag", ""))
        for part in root.iterfind("{*}Part")
    ]
    bucket, upload_id = buckets[call.bucket], call.query["uploadId"]
    stored = bucket.complete(upload_id, wanted, call.condition, modified=time.time())
    names = text("Bucket", call.bucket), text("Key", call.key)
    return xml("CompleteMultipartUploadResult", *names, text("ETag", stored.etag))


def abort_upload(buckets: Buckets, call: Call) -> Reply:
    """AbortMultipartUpload."""
    bucket, upload_id = buckets[call.bucket], call.query["uploadId"]
    bucket.upload(upload_id)
    del bucket.uploads[upload_id]
    return Reply(204)


def list_parts(buckets: Buckets, call: Call) -> Reply:
    """ListParts, in one page."""
    upload = buckets[call.bucket].upload(call.query["uploadId"])
    parts = (
        element(
            "Part",
            text("PartNumber", number),
            text("ETag", part.etag),
            text("Size", len(part.data)),
        )
        for number, part in sorted(upload.parts.items())
    )
    return xml("ListPartsResult", text("UploadId", call.query["uploadId"]), *parts)


def list_uploads(buckets: Buckets, call: Call) -> Reply:
    """ListMultipartUploads, in one page."""
    uploads = (
        element("Upload", text("Key", upload.key), text("UploadId", upload_id))
        for upload_id, upload in buckets[call.bucket].uploads.items()
    )
    return xml("ListMultipartUploadsResult", text("Bucket", call.bucket), *uploads)


def create_bucket(buckets: Buckets, call: Call) -> Reply:
    """CreateBucket."""
    buckets.create(call.bucket)
    return Reply(headers={"Location": f"/{call.bucket}"})


def delete_bucket(buckets: Buckets, call: Call) -> Reply:
    """DeleteBucket."""
    buckets.delete(call.bucket)
    return Reply(204)


def head_bucket(buckets: Buckets, call: Call) -> Reply:
    """HeadBucket."""
    assert buckets[call.bucket] is not None
    return Reply(headers={"x-amz-bucket-region": "us-east-1"})


def bucket_location(buckets: Buckets, call: Call) -> Reply:
    """GetBucketLocation; empty means us-east-1."""
    assert buckets[call.bucket] is not None
    return xml("LocationConstraint")


def list_buckets(buckets: Buckets, call: Call) -> Reply:
    """ListBuckets."""
    assert not call.bucket
    created = text("CreationDate", _iso_time(0))
    names = (element("Bucket", text("Name", name), created) for name in buckets.names())
    return xml("ListAllMyBucketsResult", element("Buckets", *names))


def not_implemented(_: Buckets, call: Call) -> Reply:
    """Whatever is not modelled."""
    raise S3Error(501, "NotImplemented", f"{call.method} with {sorted(call.query)} is not modelled")
