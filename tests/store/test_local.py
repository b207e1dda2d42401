"""The local driver: races between processes, what a crash leaves, and errors of the disk."""

import errno
import multiprocessing
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from atomic_manifest import errors
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.conditions import IfAbsent, IfMatch
from atomic_manifest.store.driver import Deleted, Refused, Unanswered, Written
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.testing import FakeEnv

PROCESSES, KEYS, INCREMENTS = 8, 20, 10


@pytest.fixture
def driver(tmp_path):
    return LocalDriver(tmp_path)


def _everything(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def _create_all(root, number, barrier, results):
    driver = LocalDriver(root)
    barrier.wait()
    won = []
    for key in range(KEYS):
        outcome = driver.put(f"race/{key}", b"%d" % number, when=IfAbsent())
        if isinstance(outcome, Written):
            won.append(key)
    results.put((number, won))


def _increment(root, barrier):
    driver = LocalDriver(root)
    barrier.wait()
    for _ in range(INCREMENTS):
        outcome = None
        while not isinstance(outcome, Written):
            seen = driver.get("counter")
            more = b"%d" % (int(seen.data) + 1)
            outcome = driver.put("counter", more, when=IfMatch(seen.meta.etag))


def _run(target, *args):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    extra = (results,) if target is _create_all else ()
    processes = [
        context.Process(
            target=target,
            args=(*args, number, barrier, *extra) if extra else (*args, barrier),
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    told = [results.get(timeout=120) for _ in processes] if extra else []
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    results.close()
    results.join_thread()
    return told


def test_racing_processes_have_one_winner_for_each_key(tmp_path):
    told = _run(_create_all, str(tmp_path))
    winners = [(key, number) for number, won in told for key in won]
    assert sorted(key for key, _ in winners) == list(range(KEYS))
    driver = LocalDriver(tmp_path)
    assert all(driver.get(f"race/{key}").data == b"%d" % number for key, number in winners)
    assert len(_everything(tmp_path)) == KEYS


def test_racing_processes_lose_no_increment(tmp_path):
    LocalDriver(tmp_path).put("counter", b"0")
    _run(_increment, str(tmp_path))
    assert LocalDriver(tmp_path).get("counter").data == b"%d" % (PROCESSES * INCREMENTS)


def test_nothing_but_the_objects_stays_in_the_folder(driver, tmp_path):
    driver.put("a/k", b"1", when=IfAbsent())
    driver.put("a/k", b"2", when=IfAbsent())
    etag = driver.put("a/k", b"3").meta.etag
    driver.put("a/k", b"4", when=IfMatch(etag))
    driver.put("a/k", b"5", when=IfMatch(etag))
    driver.put("b/none", b"6", when=IfMatch(etag))
    upload = driver.start_upload("a/up", part_size=1, max_in_flight=1)
    upload.write(b"x")
    upload.abort()
    assert _everything(tmp_path) == ["a/k"]
    assert not (tmp_path / "b").exists()


def test_leftovers_of_a_crash_are_not_listed_but_other_hidden_files_are(driver, tmp_path):
    (tmp_path / ".atomic-manifest-0123.tmp").write_bytes(b"half")
    (tmp_path / ".other").write_bytes(b"")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x").write_bytes(b"")
    assert [meta.path for meta in driver.list()] == [".hidden/x", ".other"]
    with pytest.raises(errors.InvalidPath):
        driver.get(".atomic-manifest-0123.tmp")


def test_etag_differs_even_if_the_clock_stands_still(tmp_path):
    driver = LocalDriver(tmp_path, env=FakeEnv())
    tags = [driver.put("k", b"same").meta.etag for _ in range(50)]
    assert len(set(tags)) == 50
    assert driver.head("k").etag == tags[-1]


def test_etag_sees_writes_of_other_programs(driver, tmp_path):
    etag = driver.put("k", b"one").meta.etag
    (tmp_path / "k").write_bytes(b"other")
    assert isinstance(driver.put("k", b"two", when=IfMatch(etag)), Refused)


def test_written_files_have_the_time_of_the_file_system_however_wrong_the_clock_is(tmp_path):
    driver = LocalDriver(tmp_path, env=FakeEnv(start=1_600_000_000))
    driver.put("k", b"x", when=IfAbsent())
    (tmp_path / "other").touch()
    between = driver.head("other").last_modified - driver.head("k").last_modified
    assert abs(between) < timedelta(hours=1)


def test_a_file_replaced_within_a_tick_of_the_file_system_by_one_of_its_number_has_another_tag(
    driver,
):
    tags = set()
    for _ in range(50):
        tags.add(driver.put("k", b"x").meta.etag)
        driver.delete("k")
    assert len(tags) == 50


def test_loser_of_a_race_for_a_name_is_refused_by_the_link_itself(driver, tmp_path, monkeypatch):
    link = os.link

    def late(source, target):
        (tmp_path / "k").write_bytes(b"other")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    outcome = driver.put("k", b"mine", when=IfAbsent())
    assert outcome == Refused(driver.head("k").etag)
    assert _everything(tmp_path) == ["k"]


def test_relative_root_stays_where_it_was_when_the_process_moves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    driver = LocalDriver("root")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    driver.put("k", b"x")
    assert (tmp_path / "root" / "k").read_bytes() == b"x"


def test_folders_are_no_objects(driver, tmp_path):
    (tmp_path / "folder").mkdir()
    assert list(driver.list()) == []
    driver.delete("folder")
    assert (tmp_path / "folder").is_dir()
    for when in (None, IfAbsent()):
        with pytest.raises(errors.StoreError, match="folder"):
            driver.put("folder", b"x", when=when)
    assert driver.put("folder", b"x", when=IfMatch.ANY) == Refused()


def test_path_below_an_object_cannot_be_written(driver):
    driver.put("k", b"x")
    with pytest.raises(errors.StoreError, match="k/below"):
        driver.put("k/below", b"x")


def test_file_system_without_hard_links_is_told_so(driver, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(errors.UnsupportedByStore, match="hard links"):
        driver.put("k", b"x", when=IfAbsent())
    assert _everything(tmp_path) == []
    assert isinstance(driver.put("k", b"x"), Written)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, errors.StoreError),
        (errno.EIO, errors.StoreError),
        (errno.EACCES, errors.StorePermissionDenied),
        (errno.EROFS, errors.StoreError),
    ],
)
@pytest.mark.parametrize("when", [None, IfAbsent()])
def test_errors_of_the_disk_raise_and_leave_nothing(
    driver, tmp_path, monkeypatch, number, error, when
):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    driver.put("old", b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(errors.StoreError, match=r"^(old|new): ") as raised:
            driver.put("old" if when is None else "new", b"new", when=when)
    assert type(raised.value) is error
    assert _everything(tmp_path) == ["old"]
    assert driver.get("old").data == b"old"


def test_disk_that_is_really_full_raises_and_leaves_nothing(tmp_path):
    script = (
        "import resource, sys\n"
        "from atomic_manifest.errors import StoreError\n"
        "from atomic_manifest.store.local import LocalDriver\n"
        "from atomic_manifest.store.conditions import IfAbsent\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "driver = LocalDriver(sys.argv[1])\n"
        "for when in (None, IfAbsent()):\n"
        "    try:\n"
        "        driver.put('k', bytes(5000), when=when)\n"
        "    except StoreError as error:\n"
        "        assert 'k: ' in str(error)\n"
        "    else:\n"
        "        raise SystemExit('no error')\n"
        "upload = driver.start_upload('k', part_size=1, max_in_flight=1)\n"
        "try:\n"
        "    upload.write(bytes(100_000))\n"
        "    upload.finish()\n"
        "except StoreError:\n"
        "    upload.abort()\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    assert _everything(tmp_path) == []


def test_listing_goes_on_when_files_vanish_under_it(driver, tmp_path):
    for name in ("a", "b/x", "c"):
        driver.put(name, b"")
    listing = driver.list()
    assert next(listing).path == "a"
    (tmp_path / "b" / "x").unlink()
    (tmp_path / "b").rmdir()
    (tmp_path / "c").unlink()
    assert list(listing) == []


def failing(monkeypatch, name, number, *, done=False, times=1):
    """Let the next calls of a function of the system fail, or only say so."""
    real = getattr(os, name)
    left = [times]

    def call(*args, **options):
        if not left[0]:
            return real(*args, **options)
        left[0] -= 1
        if done:
            real(*args, **options)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EIO, errno.EACCES, errno.ETIMEDOUT])
@pytest.mark.parametrize("when", [None, IfAbsent()])
def test_link_that_reports_failure_and_was_made_has_written(
    driver, tmp_path, monkeypatch, number, when
):
    failing(monkeypatch, "link", number, done=True)
    outcome = driver.put("k", b"x", when=when)
    assert outcome == Written(driver.head("k"))
    assert _everything(tmp_path) == ["k"]


def test_link_whose_failure_may_be_a_lost_reply_is_unanswered(driver, tmp_path, monkeypatch):
    failing(monkeypatch, "link", errno.EIO)
    outcome = driver.put("k", b"x", when=IfAbsent())
    assert isinstance(outcome, Unanswered)
    assert isinstance(outcome.cause, errors.StoreUnavailable)
    assert _everything(tmp_path) == []


def test_link_that_was_declined_has_certainly_written_nothing(driver, tmp_path, monkeypatch):
    failing(monkeypatch, "link", errno.ENOSPC)
    with pytest.raises(errors.StoreError, match="k: No space") as raised:
        driver.put("k", b"x", when=IfAbsent())
    assert type(raised.value) is errors.StoreError
    assert _everything(tmp_path) == []


def test_replacement_that_reports_failure_and_was_made_has_written(driver, monkeypatch):
    etag = driver.put("k", b"one").meta.etag
    failing(monkeypatch, "replace", errno.EIO, done=True)
    assert driver.put("k", b"two", when=IfMatch(etag)) == Written(driver.head("k"))


def test_replacement_whose_failure_may_be_a_lost_reply_is_unanswered(driver, monkeypatch):
    etag = driver.put("k", b"one").meta.etag
    failing(monkeypatch, "replace", errno.ETIMEDOUT)
    assert isinstance(driver.put("k", b"two", when=IfMatch(etag)), Unanswered)
    assert driver.get("k").data == b"one"


def test_deletion_that_reports_failure_and_was_made_has_deleted(driver, tmp_path, monkeypatch):
    etag = driver.put("k", b"one").meta.etag
    failing(monkeypatch, "unlink", errno.EIO, done=True)
    assert driver.delete("k", when=IfMatch(etag)) == Deleted()
    assert _everything(tmp_path) == []


def test_deletion_whose_failure_may_be_a_lost_reply_is_unanswered(driver, monkeypatch):
    driver.put("k", b"one")
    failing(monkeypatch, "unlink", errno.EIO)
    assert isinstance(driver.delete("k"), Unanswered)


def _upload(driver, when):
    upload = driver.start_upload("k", part_size=1, max_in_flight=1, when=when)
    upload.write(b"new")
    return upload.finish()


def _fails_from_the_name_on(monkeypatch):
    """Syncing fails once the file has its name, and so does removing the temporary one."""
    link, replace = os.link, os.replace

    def named(real):
        def call(*args, **options):
            real(*args, **options)
            for name in ("fsync", "unlink"):
                failing(monkeypatch, name, errno.EIO, times=9)

        return call

    monkeypatch.setattr(os, "link", named(link))
    monkeypatch.setattr(os, "replace", named(replace))


WRITES = {
    "put": lambda driver, when: driver.put("k", b"new", when=when),
    "copy": lambda driver, when: driver.copy("source", "k", when=when),
    "upload": _upload,
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("condition", ["none", "absent", "match"])
def test_a_file_that_has_its_name_is_never_reported_as_not_written(
    driver, monkeypatch, write, condition
):
    driver.put("source", b"new")
    when = {"none": None, "absent": IfAbsent()}.get(condition)
    if condition == "match":
        when = IfMatch(driver.put("k", b"old").meta.etag)
    with monkeypatch.context() as patched:
        _fails_from_the_name_on(patched)
        outcome = WRITES[write](driver, when)
    assert isinstance(outcome, Unanswered)
    assert driver.get("k").data == b"new"


def test_a_removed_file_whose_removal_is_not_durable_is_unanswered(driver, tmp_path, monkeypatch):
    driver.put("k", b"x")
    failing(monkeypatch, "fsync", errno.EIO)
    assert isinstance(driver.delete("k"), Unanswered)
    assert _everything(tmp_path) == []


def test_no_free_file_descriptor_is_no_answer_to_a_read_and_a_failure_to_a_write(
    driver, tmp_path, monkeypatch
):
    driver.put("k", b"x")
    with monkeypatch.context() as patched:
        failing(patched, "open", errno.EMFILE, times=9)
        with pytest.raises(errors.StoreUnavailable, match="k: Too many open files"):
            driver.get("k")
        with pytest.raises(errors.StoreError, match="new: Too many open files") as raised:
            driver.put("new", b"x", when=IfAbsent())  # of the folder, before there is a name
    assert type(raised.value) is errors.StoreError
    assert _everything(tmp_path) == ["k"]


def test_removing_many_is_repeated_when_no_file_descriptor_was_free(driver, tmp_path, monkeypatch):
    driver.put("a", b"x")
    driver.put("b", b"x")
    failing(monkeypatch, "open", errno.EMFILE, times=3)
    ObjectStore(driver, env=FakeEnv()).delete_many(["a", "b"])
    assert _everything(tmp_path) == []


def test_a_new_folder_whose_name_is_not_durable_is_not_left_for_others(
    driver, tmp_path, monkeypatch
):
    failing(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(errors.StoreError):
        driver.put("folder/k", b"x")
    assert not (tmp_path / "folder").exists()


def _fifo(place):
    os.mkfifo(place)


def _socket(place):
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(place.parent)  # the system takes short names only
        try:
            server.bind(place.name)
        finally:
            os.chdir(here)


NO_OBJECTS = {
    "a pipe": _fifo,
    "a socket": _socket,
    "a device": lambda place: place.symlink_to("/dev/zero"),
    "a link to a pipe": lambda place: (
        _fifo(place.with_name(".pipe")),
        place.symlink_to(".pipe"),
    ),
    "a dangling link": lambda place: place.symlink_to("nowhere"),
    "a link to itself": lambda place: place.symlink_to(place.name),
}


@pytest.mark.skipif(sys.platform == "win32", reason="makes pipes and links")
@pytest.mark.parametrize("kind", NO_OBJECTS)
def test_what_is_no_regular_file_is_no_object_and_is_not_waited_for(driver, tmp_path, kind):
    NO_OBJECTS[kind](tmp_path / "k")
    for read in (driver.get, driver.head, lambda path: driver.copy(path, "other")):
        with pytest.raises(errors.NotFound, match="k "):
            read("k")
    assert [meta.path for meta in driver.list()] == []
    assert driver.put("k", b"x", when=IfMatch.ANY) == Refused()
    assert driver.delete("k") == Deleted()
    with pytest.raises(errors.StoreError, match="k is not a regular file, nor a link to one"):
        driver.put("k", b"x", when=IfAbsent())
    assert os.path.lexists(tmp_path / "k")


@pytest.mark.skipif(sys.platform == "win32", reason="makes links")
def test_links_to_files_and_folders_are_followed_and_circles_of_them_are_not(driver, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "link").symlink_to("a/file")
    for number in range(3):
        (tmp_path / "a" / f"up{number}").symlink_to("..")
        (tmp_path / "a" / f"here{number}").symlink_to(".")
    assert [meta.path for meta in driver.list()] == ["a/file", "b/file", "link"]
    assert driver.get("b/file").data == driver.get("link").data == b"x"
