"""Which operation a request asks for."""

from collections.abc import Sequence

from benchmarks.modelled_s3 import operations as s3
from benchmarks.modelled_s3.operations import Call, Operation

NOT_IMPLEMENTED = Operation("NotImplemented", None, s3.not_implemented)
COPY_OBJECT = Operation("CopyObject", "put", s3.copy_object)

# What a query can ask about a bucket or an object besides its content: none of it is modelled.
SUBRESOURCES = frozenset(
    [
        *("acl", "attributes", "cors", "encryption", "legal-hold", "lifecycle", "object-lock"),
        *("policy", "restore", "retention", "select", "tagging", "torrent", "versioning"),
        *("versions", "website"),
    ]
)

# Of each table the first row fits whose method is the request's and whose query parameter, if it
# names one, is there.
Table = Sequence[tuple[str, str, Operation]]

OBJECT_OPERATIONS: Table = (
    ("PUT", "uploadId", Operation("UploadPart", "put", s3.upload_part)),
    ("PUT", "", Operation("PutObject", "put", s3.put_object)),
    ("GET", "uploadId", Operation("ListParts", "list", s3.list_parts)),
    ("GET", "", Operation("GetObject", "get", s3.get_object)),
    ("HEAD", "", Operation("HeadObject", "head", s3.get_object)),
    ("DELETE", "uploadId", Operation("AbortMultipartUpload", "delete", s3.abort_upload)),
    ("DELETE", "", Operation("DeleteObject", "delete", s3.delete_object)),
    ("POST", "uploads", Operation("CreateMultipartUpload", "put", s3.create_upload)),
    ("POST", "uploadId", Operation("CompleteMultipartUpload", "put", s3.complete_upload)),
)
BUCKET_OPERATIONS: Table = (
    ("GET", "uploads", Operation("ListMultipartUploads", "list", s3.list_uploads)),
    ("GET", "location", Operation("GetBucketLocation", None, s3.bucket_location)),
    ("GET", "list-type", Operation("ListObjectsV2", "list", s3.list_objects)),
    ("POST", "delete", Operation("DeleteObjects", "delete", s3.delete_objects)),
    ("PUT", "", Operation("CreateBucket", None, s3.create_bucket)),
    ("HEAD", "", Operation("HeadBucket", None, s3.head_bucket)),
    ("DELETE", "", Operation("DeleteBucket", None, s3.delete_bucket)),
)
SERVICE_OPERATIONS: Table = (("GET", "", Operation("ListBuckets", None, s3.list_buckets)),)


def find_operation(call: Call) -> Operation:
    """The operation, or one that answers 501."""
    if not SUBRESOURCES.isdisjoint(call.query):
        return NOT_IMPLEMENTED
    if call.method == "PUT" and call.key and "x-amz-copy-source" in call.headers:
        return NOT_IMPLEMENTED if "uploadId" in call.query else COPY_OBJECT
    table = OBJECT_OPERATIONS if call.key else BUCKET_OPERATIONS
    for method, parameter, operation in table if call.bucket else SERVICE_OPERATIONS:
        if call.method == method and (not parameter or parameter in call.query):
            return operation
    return NOT_IMPLEMENTED
