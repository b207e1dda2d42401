"""Digests against published vectors."""

import base64

import pytest

from atomic_manifest import errors
from atomic_manifest.store.policy import checksums

CRC32C, CRC64NVME = 0x82F63B78, 0x9A6C9329AC4BC9B5

# The checksum tests of the AWS SDKs for S3.
SDK = {
    "sha256": (
        "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
        "ZOyIygCyaOW6GjVnihtTFtIS9PNmskdyMlNKiuyjfzw=",
    ),
    "sha1": ("Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "e1AsOh9IyGCa4hLN+2Od7jlnP14="),
    "crc32": ("DUoRhQ==", "i9aeUg=="),
    "crc32c": ("yZRlqg==", "crUfeA=="),
    "crc64nvme": ("jSnVw/bqjr4=", "OOJZ0D8xKts="),
}

# RFC 3720 appendix B.4.
ISCSI_READ = bytes.fromhex(
    "01c00000000000000000000000000000140000000000040000000014000000182800000000000000"
    "0200000000000000"
)
RFC_3720 = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (ISCSI_READ, 0xD9963A56),
]


def digest(algorithm, *pieces):
    made = checksums.new(algorithm)
    for piece in pieces:
        made.update(piece)
    return checksums.encode(made.digest())


@pytest.mark.parametrize("algorithm", SDK)
def test_digests_are_those_of_the_sdks(algorithm):
    assert digest(algorithm, b"hello world") == SDK[algorithm][0]
    assert digest(algorithm, b"Hello", memoryview(b" "), bytearray(b"world")) == SDK[algorithm][1]


@pytest.mark.parametrize(
    ("algorithm", "check"),
    [("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")],
)
def test_crc_has_the_check_value_of_its_catalogue(algorithm, check):
    expected = base64.b64encode(bytes.fromhex(check)).decode()
    assert digest(algorithm, b"123456789") == digest(algorithm, b"1234", b"", b"56789") == expected


@pytest.mark.parametrize(("data", "value"), RFC_3720)
def test_crc32c_agrees_with_rfc_3720(data, value):
    expected = base64.b64encode(value.to_bytes(4, "big")).decode()
    assert digest("crc32c", data) == expected
    assert checksums.tabled(CRC32C)(memoryview(data), 0) == value


def test_tables_agree_with_the_check_values():
    data = memoryview(b"123456789")
    assert checksums.tabled(CRC32C)(data[4:], checksums.tabled(CRC32C)(data[:4], 0)) == 0xE3069283
    assert checksums.tabled(CRC64NVME)(data, 0) == 0xAE8B14860A799888
    assert checksums.tabled(0xEDB88320)(data, 0) == 0xCBF43926


@pytest.mark.parametrize(
    "checksum",
    ["md5", "", "SHA256", {"crc32": "DUoRhQ"}, {"crc32": "!"}, {"sha1": "DUoRhQ=="}, {"crc32": 7}],
)
def test_checksum_that_is_none_is_refused(checksum):
    with pytest.raises(errors.InvalidRequest, match="k: "):
        checksums.requested("k", checksum)


def test_checksum_is_asked_for_by_name_or_given():
    assert checksums.requested("k", None) == {}
    assert checksums.requested("k", "crc32") == {"crc32": None}
    assert checksums.requested("k", {"crc32": "DUoRhQ=="}) == {"crc32": "DUoRhQ=="}
