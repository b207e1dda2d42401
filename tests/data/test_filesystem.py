import subprocess
import sys
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from atomic_manifest.data.read import filesystem
from atomic_manifest.data.read.filesystem import WHOLE_BYTES, StoreFile, to_filesystem
from atomic_manifest.errors import NotFound, UnsupportedByStore
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing.drivers import CountingDriver

BIG = bytes(range(256)) * (WHOLE_BYTES // 128)


@pytest.fixture
def filled(store: ObjectStore, driver: CountingDriver) -> ObjectStore:
    store.put("a/small", b"0123456789")
    store.put("a/b/big", BIG)
    store.put("c", b"")
    driver.clear()
    return store


def requests(driver: CountingDriver) -> list[str]:
    return [request.method for request in driver.requests]


def test_a_small_file_is_one_get(filled: ObjectStore, driver: CountingDriver) -> None:
    opened = to_filesystem(filled, sizes={"a/small": 10}).open_input_file("a/small")
    assert opened.size() == 10
    assert opened.read_at(3, 7) == b"789"
    assert opened.read_at(4, 0) == b"0123"
    opened.seek(2)
    assert opened.read() == b"23456789"
    assert requests(driver) == ["get"]


def test_a_file_of_unknown_size_is_looked_at_once(
    filled: ObjectStore, driver: CountingDriver
) -> None:
    assert to_filesystem(filled).open_input_stream("a/small").read() == b"0123456789"
    assert requests(driver) == ["head", "get"]


def test_of_a_large_file_only_what_is_asked_for_is_read(
    filled: ObjectStore, driver: CountingDriver
) -> None:
    opened = StoreFile(filled, "a/b/big", len(BIG))
    opened.seek(-8, 2)
    assert opened.read(8) == BIG[-8:]
    opened.seek(len(BIG) - 1000)
    assert opened.read(500) == BIG[-1000:-500]
    assert requests(driver) == ["get"]
    opened.seek(1000)
    assert opened.read(5000) == BIG[1000:6000]
    assert opened.tell() == 6000
    assert requests(driver) == ["get", "get"]
    opened.seek(0)
    assert opened.read() == BIG
    assert opened.read(10) == b""
    opened.seek(10**9)
    assert opened.read(10) == b""


def test_a_large_parquet_file_costs_its_footer_and_the_columns_asked_for(
    store: ObjectStore, driver: CountingDriver
) -> None:
    rows = 100_000
    table = pa.table({name: range(number, number + rows) for number, name in enumerate("abcdef")})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, use_dictionary=False, compression="none")
    store.put("x", sink.getvalue().to_pybytes())
    driver.clear()
    filesystem = to_filesystem(store, sizes={"x": sink.getvalue().size})
    read = pq.read_table("x", filesystem=filesystem, columns=["b"])
    assert read.equals(table.select(["b"]))
    # Its second opening, by the dataset machinery, asks for the footer again.
    assert len(requests(driver)) <= 4
    assert set(requests(driver)) == {"get"}


def test_paths_are_told_apart(filled: ObjectStore) -> None:
    filesystem = to_filesystem(filled)
    infos = filesystem.get_file_info(["a/small", "a", "a/b/", "nothing", "c"])
    kinds = [fs.FileType.File, fs.FileType.Directory, fs.FileType.Directory, fs.FileType.NotFound]
    assert [info.type for info in infos] == [*kinds, fs.FileType.File]
    assert infos[0].size == 10


def test_folders_are_listed(filled: ObjectStore) -> None:
    filesystem = to_filesystem(filled)

    def listed(folder: str, *, recursive: bool) -> list[tuple[str, str]]:
        infos = filesystem.get_file_info(fs.FileSelector(folder, recursive=recursive))
        return sorted((info.path, info.type.name) for info in infos)

    assert listed("", recursive=False) == [("a", "Directory"), ("c", "File")]
    assert listed("a", recursive=False) == [("a/b", "Directory"), ("a/small", "File")]
    assert ("a/b/big", "File") in listed("", recursive=True)
    assert listed("a/b", recursive=False) == [("a/b/big", "File")]
    with pytest.raises(FileNotFoundError):
        listed("nothing", recursive=False)
    missing = fs.FileSelector("nothing", allow_not_found=True)
    assert filesystem.get_file_info(missing) == []


def test_a_missing_file_is_the_stores_own_error(filled: ObjectStore) -> None:
    with pytest.raises(NotFound):
        to_filesystem(filled).open_input_file("nothing")
    opened = to_filesystem(filled, sizes={"gone": 10}).open_input_file("gone")
    with pytest.raises(NotFound):
        opened.read()


def test_writing_is_refused(filled: ObjectStore) -> None:
    filesystem = to_filesystem(filled)
    for call in (
        lambda: filesystem.open_output_stream("x"),
        lambda: filesystem.open_append_stream("x"),
        lambda: filesystem.create_dir("x"),
        lambda: filesystem.delete_file("c"),
        lambda: filesystem.delete_dir("a"),
        lambda: filesystem.delete_dir_contents("a"),
        lambda: filesystem.move("c", "d"),
        lambda: filesystem.copy_file("c", "d"),
    ):
        with pytest.raises(UnsupportedByStore):
            call()


def test_equality_is_that_of_the_store(filled: ObjectStore, env) -> None:
    assert to_filesystem(filled) == to_filesystem(filled, sizes={"c": 0})
    assert to_filesystem(filled) != to_filesystem(ObjectStore(filled.driver, env=env))
    assert to_filesystem(filled).type_name == "py::atomic_manifest"


def test_a_local_store_is_read_natively(tmp_path) -> None:
    root = tmp_path / "a b%20é"
    store = ObjectStore(LocalDriver(root))
    store.put("p=x%2Fy/f", b"data")
    filesystem = to_filesystem(store)
    assert isinstance(filesystem, fs.SubTreeFileSystem)
    assert filesystem.open_input_file("p=x%2Fy/f").read() == b"data"


def test_the_end_of_a_process_waits_until_arrow_lets_go_of_its_files(store):
    held = [StoreFile(store, "a", 1)]
    assert held[0] in filesystem._open
    wait = threading.Thread(target=filesystem.wait_for_files)
    wait.start()
    held.clear()
    wait.join()
    assert not filesystem._open


def test_a_process_that_ends_right_after_a_read_ends_well():
    code = (
        "import pandas, atomic_manifest as am\n"
        "for number in range(5):\n"
        "    url = f'memory://{number}'\n"
        "    for _ in range(2):\n"
        "        am.append(url, pandas.DataFrame({'x': [1, 2]}))\n"
        "    am.Table.open(url).to_arrow()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(filled: ObjectStore) -> None:
    opened = StoreFile(filled, "a/b/big", len(BIG))
    assert opened.read(10) == BIG[:10]
    filled.put("a/b/big", BIG[::-1])
    with pytest.raises(OSError, match="a/b/big was replaced"):
        opened.read(10)


def test_a_file_that_is_shorter_than_its_table_says_is_an_error(filled: ObjectStore) -> None:
    opened = to_filesystem(filled, sizes={"a/small": 11}).open_input_file("a/small")
    with pytest.raises(OSError, match="a/small ends before byte 11"):
        opened.read()
