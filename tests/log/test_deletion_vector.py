"""Deletion vectors by the protocol's examples, and damaged in every place."""

import random
import struct
import zlib
from contextlib import suppress
from uuid import UUID

import msgspec
import pytest
from pyroaring import BitMap, BitMap64

from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.actions import DeletionVector
from atomic_manifest.log.deletion_vector import read_deleted_rows, vector_path
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore

EXAMPLE = DeletionVector("u", "ab^-aqEH.-t@S}K{vb[*k^", 40, 6, 4)
EXAMPLE_ID = "d2c639aa-8816-431a-aaf6-d3fe2512ff61"
ROWS = [3, 4, 7, 11, 18, 29]
MAGIC = (1681511377).to_bytes(4, "little")


def positions(store, vector):
    deleted = read_deleted_rows(store, vector)
    rows = range(deleted.last + 1)
    kept = deleted.kept(0, len(rows))
    found = [] if kept is None else [row for row in rows if not kept[row].as_py()]
    assert len(found) == len(deleted)
    return found


def put(store, data, *, at=1, path=f"ab/deletion_vector_{EXAMPLE_ID}.bin"):
    frame = len(data).to_bytes(4, "big") + data + zlib.crc32(data).to_bytes(4, "big")
    store.put(path, b"\x01" + b"\xee" * (at - 1) + frame)


def described(data, cardinality, *, at=1):
    return msgspec.structs.replace(
        EXAMPLE, size_in_bytes=len(data), cardinality=cardinality, offset=at
    )


def test_the_protocols_example_of_a_relative_path_names_its_file(store):
    assert vector_path(store, EXAMPLE) == f"ab/deletion_vector_{EXAMPLE_ID}.bin"
    bare = msgspec.structs.replace(EXAMPLE, path_or_inline_dv="^-aqEH.-t@S}K{vb[*k^")
    assert vector_path(store, bare) == f"deletion_vector_{EXAMPLE_ID}.bin"
    deep = msgspec.structs.replace(EXAMPLE, path_or_inline_dv="a/b^-aqEH.-t@S}K{vb[*k^")
    assert vector_path(store, deep) == f"a/b/deletion_vector_{EXAMPLE_ID}.bin"


def test_the_protocols_inline_example_gives_its_rows(store):
    text = "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"
    assert positions(store, DeletionVector("i", text, 40, 6)) == ROWS


def test_an_inline_vector_of_the_present_format_gives_its_rows(store):
    text = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"
    assert positions(store, DeletionVector("i", text, 44, 6)) == ROWS


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [0],
        ROWS,
        list(range(100_000)),
        list(range(0, 200_000, 2)),
        [5, 70_000, 2_000_000],
    ],
    ids=["none", "first", "few", "run", "dense", "sparse"],
)
@pytest.mark.parametrize("at", [1, 85, 100_000])
def test_a_vector_in_a_file_gives_its_rows_at_any_offset(store, rows, at):
    stored = BitMap64(rows)
    stored.run_optimize()
    data = MAGIC + stored.serialize()
    put(store, data, at=at)
    assert positions(store, described(data, len(rows), at=at)) == rows


def test_rows_above_32_bits_are_told_apart(store):
    rows = [7, 2**32 + 7, 2**40]
    data = MAGIC + BitMap64(rows).serialize()
    put(store, data)
    deleted = read_deleted_rows(store, described(data, 3))
    assert deleted.last == 2**40
    assert deleted.kept(8, 100) is None
    assert deleted.kept(2**32, 10).to_pylist() == [row != 7 for row in range(10)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_format_before_is_read_too(store, order):
    low, high = BitMap([1, 5]).serialize(), BitMap([9]).serialize()
    data = struct.pack(f"{order}II", 1681511376, 2)
    data += struct.pack(f"{order}I", len(low)) + low + struct.pack(f"{order}I", len(high)) + high
    put(store, data)
    deleted = read_deleted_rows(store, described(data, 3))
    assert len(deleted) == 3
    assert deleted.kept(0, 6).to_pylist() == [True, False, True, True, True, False]
    assert deleted.last == 2**32 + 9


def test_an_absent_offset_means_the_first_vector(store):
    data = MAGIC + BitMap64(ROWS).serialize()
    put(store, data)
    vector = msgspec.structs.replace(described(data, 6), offset=None)
    assert positions(store, vector) == ROWS


@pytest.mark.parametrize("url", ["memory://t/{}", "memory://t/ab/../{}"])
def test_an_absolute_path_below_the_table_is_read_and_no_other(url):
    store = ObjectStore(MemoryDriver("t"))
    vector = DeletionVector("p", url.format("a%20b/x%2541.bin"), 1, 1, 1)
    if ".." in url:
        with pytest.raises(CorruptLog):
            vector_path(store, vector)
    else:
        assert vector_path(store, vector) == "a b/x%41.bin"


@pytest.mark.parametrize("form", ["file://{}", "file:{}", "{}"])
def test_an_absolute_local_path_is_known_in_every_form(tmp_path, form):
    store = ObjectStore(LocalDriver(tmp_path / "a table"))
    text = form.format(str(tmp_path).replace(" ", "%20") + "/a%20table/v.bin")
    assert vector_path(store, DeletionVector("p", text, 1, 1)) == "v.bin"


@pytest.mark.parametrize(
    "vector",
    [
        DeletionVector("p", "s3://elsewhere/x.bin", 1, 1, 1),
        DeletionVector("p", "/x.bin", 1, 1, 1),
        DeletionVector("u", "too short", 1, 1, 1),
        DeletionVector("u", "../" + EXAMPLE.path_or_inline_dv[2:], 1, 1, 1),
        DeletionVector("u", "\x7f" * 20, 1, 1, 1),
        DeletionVector("x", "?", 1, 1, 1),
    ],
    ids=["other store", "root", "short", "climbs", "not base85", "unknown type"],
)
def test_a_vector_that_is_nowhere_is_an_error_that_names_it(store, vector):
    with pytest.raises(CorruptLog, match="deletion vector"):
        read_deleted_rows(store, vector)


def test_a_missing_file_is_an_error_that_names_it(store):
    with pytest.raises(CorruptLog, match=f"{EXAMPLE_ID}.*missing") as caught:
        read_deleted_rows(store, EXAMPLE)
    assert EXAMPLE_ID in caught.value.path


DAMAGE = {
    "version": lambda data: b"\x02" + data[1:],
    "length": lambda data: data[:4] + b"\xff" + data[5:],
    "magic": lambda data: data[:5] + b"\x00" + data[6:],
    "bits": lambda data: data[:-6] + bytes([data[-6] ^ 1]) + data[-5:],
    "checksum": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "cut": lambda data: data[:-1],
    "cut to its version": lambda data: data[:1],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("at", [1, 100_000])
def test_a_damaged_file_is_an_error_that_names_the_vector(store, how, at):
    data = MAGIC + BitMap64(ROWS).serialize()
    put(store, data, at=at)
    path = f"ab/deletion_vector_{EXAMPLE_ID}.bin"
    if how in ("length", "magic") and at > 1:
        frame = DAMAGE[how](b"\x01" + store.get(path).data[at:])
        store.put(path, store.get(path).data[:at] + frame[1:])
    else:
        store.put(path, DAMAGE[how](store.get(path).data))
    with pytest.raises(CorruptLog, match="deletion vector"):
        read_deleted_rows(store, described(data, 6, at=at))


@pytest.mark.parametrize("cardinality", [0, 5, 7])
def test_another_number_of_rows_than_the_log_says_is_an_error(store, cardinality):
    data = MAGIC + BitMap64(ROWS).serialize()
    put(store, data)
    with pytest.raises(CorruptLog, match="rows"):
        read_deleted_rows(store, described(data, cardinality))


@pytest.mark.parametrize("seed", range(3))
def test_random_damage_to_the_bits_of_a_vector_never_passes_for_another_number_of_rows(store, seed):
    # The checksum is made to fit: what is left to find it out is the bitmap itself, and its size.
    random_ = random.Random(seed)
    whole = bytearray(MAGIC + BitMap64([*ROWS, *range(70_000, 90_000, 3), 2**33]).serialize())
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(random_.randint(1, 3)):
            data[random_.randrange(60)] = random_.randrange(256)
        data = data[: random_.choice([len(data), random_.randrange(len(data))])]
        put(store, bytes(data), path=f"deletion_vector_{UUID(int=1)}.bin")
        vector = described(bytes(data), 6_674)
        vector = msgspec.structs.replace(vector, path_or_inline_dv="0" * 19 + "1")
        with suppress(CorruptLog):
            assert len(read_deleted_rows(store, vector)) == 6_674
