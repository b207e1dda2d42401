"""Processes that are forked while threads commit: they commit through the same handle, and end."""

import os
import subprocess
import sys
import threading

import pytest

from atomic_manifest import Table
from atomic_manifest.forks import lock, reentrant_lock, renew

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system knows no fork"),
    # Other libraries that the process has loaded warn of every fork.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:lance is not fork-safe"),
]

UNDER_LOAD = """
import os, signal, sys, threading, time, warnings
import pyarrow as pa
import atomic_manifest as am
warnings.simplefilter("ignore")
url, forks = sys.argv[1], int(sys.argv[2])
table = am.Table.create(url, pa.schema({"who": pa.string()}))
ending, children = threading.Event(), []
def append(who):
    return table.append(pa.table({"who": [who]}))
def work(number):
    while not ending.is_set():
        append(f"thread {number}")
        table.delete(f"who = 'thread {number}'") if number == 0 else table.to_arrow()
threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
[thread.start() for thread in threads]
for number in range(forks):
    time.sleep(0.03)
    child = os.fork()
    if not child:
        signal.alarm(60)
        append(f"child {number}")
        os._exit(0 if f"child {number}" in table.to_arrow()["who"].to_pylist() else 1)
    children.append(child)
statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
ending.set()
[thread.join() for thread in threads]
assert statuses == [0] * forks, statuses
"""


def test_forked_children_of_a_process_whose_threads_commit_commit_too(tmp_path):
    forks = 15
    url = str(tmp_path / "t")
    ran = subprocess.run(
        [sys.executable, "-c", UNDER_LOAD, url, str(forks)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    who = Table.open(url).to_arrow()["who"].to_pylist()
    assert sorted(w for w in who if w.startswith("child")) == sorted(
        f"child {number}" for number in range(forks)
    )


def in_a_child(check):
    """What `check` says in a forked process."""
    child = os.fork()
    if not child:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_lock_that_another_thread_held_is_free_in_a_child():
    held = [lock(), reentrant_lock()]
    taken, ends = threading.Event(), threading.Event()

    def hold():
        for each in held:
            each.acquire()
        taken.set()
        ends.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    assert in_a_child(lambda: all(each.acquire(blocking=False) for each in held))
    ends.set()
    thread.join()


def test_a_reentrant_lock_that_the_forking_thread_holds_is_still_its_own():
    held = reentrant_lock()
    with held:
        assert in_a_child(lambda: held.release() is None)


def test_what_is_to_be_made_anew_is_in_children_alone():
    class Kept:
        renewed = 0

        def anew(self):
            self.renewed += 1

    kept, gone = Kept(), Kept()
    renew(kept.anew)
    renew(gone.anew)
    del gone
    assert in_a_child(lambda: kept.renewed == 1)
    assert kept.renewed == 0
