import io

import pytest

from atomic_manifest.log.ranged import RangedFile


@pytest.fixture
def file(store):
    store.put("f", b"0123456789")
    return RangedFile(store, "f", 10)


def test_it_reads_from_anywhere_like_a_file(file):
    assert file.readable()
    assert file.seekable()
    assert file.read(3) == b"012"
    assert (file.seek(-2, io.SEEK_CUR), file.read(2)) == (1, b"12")
    assert (file.seek(-4, io.SEEK_END), file.read()) == (6, b"6789")
    assert file.tell() == 10


def test_there_is_nothing_past_the_end(file):
    assert file.read(100) == b"0123456789"
    assert file.read(1) == b""
    file.seek(50)
    assert file.read(-1) == b""
