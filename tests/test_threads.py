"""Work in threads: order, bounds, errors, and what becomes of it where no thread can be had."""

import asyncio
import contextvars
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import CancelledError

import pytest

import atomic_manifest as am
from atomic_manifest.threads import (
    ThreadPool,
    ahead,
    at_once,
    from_loop,
    in_background,
    in_parallel,
)

VARIABLE = contextvars.ContextVar("variable", default="none")


def name_of_thread(_=None):
    return threading.current_thread().name


def run(coroutine):
    """As `asyncio.run`, which itself needs a thread to end."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


@pytest.fixture
def no_threads(monkeypatch):
    """No thread can be started any more."""

    def refuse(_self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_results_come_in_order_from_named_threads_with_the_callers_context():
    VARIABLE.set("of the caller")
    results = in_parallel(
        "test", lambda number: (number, VARIABLE.get(), name_of_thread()), range(20), 4
    )
    assert [number for number, _, _ in results] == [*range(20)]
    assert {variable for _, variable, _ in results} == {"of the caller"}
    assert all(name.startswith("atomic-manifest-test_") for _, _, name in results)


def test_a_single_thing_takes_no_thread():
    assert in_parallel("test", name_of_thread, [1], 4) == [name_of_thread()]
    assert in_parallel("test", name_of_thread, [], 4) == []


def test_work_runs_at_the_same_time():
    barrier = threading.Barrier(4, timeout=60)
    in_parallel("test", lambda _: barrier.wait(), range(4), 4)


@pytest.mark.usefixtures("no_threads")
def test_without_threads_the_caller_does_the_work():
    here = name_of_thread()
    assert in_parallel("test", name_of_thread, range(3), 2) == [here] * 3
    assert [*ahead("test", name_of_thread, range(5), 2)] == [here] * 5
    done = []
    in_background("test", lambda: done.append(name_of_thread()))
    assert done == [here]
    assert run(from_loop(name_of_thread)) == here


@pytest.mark.usefixtures("no_threads")
def test_without_threads_errors_come_where_the_result_is_asked_for():
    with ThreadPool("test", 2) as pool:
        job = pool.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            job.result()
    with pytest.raises(ValueError, match="invalid literal"):
        in_parallel("test", int, ["1", "x", "2"], 2)
    with pytest.raises(ValueError, match="invalid literal"):
        run(from_loop(int, "x"))


@pytest.mark.usefixtures("no_threads")
def test_without_threads_an_interrupt_is_raised_at_once():
    seen = []

    def work(number):
        seen.append(number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_parallel("test", work, range(3), 2)
    assert seen == [0]


def test_work_that_the_pool_took_although_it_could_start_no_thread_is_done_once(monkeypatch):
    """The first thread is busy; no second one can be started."""
    begun, go_on, done = threading.Event(), threading.Event(), []
    with ThreadPool("test", 2) as pool:
        pool.submit(lambda: begun.set() or go_on.wait(60))
        begun.wait(60)
        with monkeypatch.context() as patched:

            def refuse(_self):
                raise RuntimeError("can't start new thread")

            patched.setattr(threading.Thread, "start", refuse)
            job = pool.submit(done.append, 1)
            assert job.done()
        go_on.set()
    assert done == [1]


def test_at_once_meets_at_one_instant_and_is_refused_where_that_cannot_be(monkeypatch):
    inside = threading.Barrier(3, timeout=60)
    assert sorted(at_once("test", [inside.wait] * 3, 60)) == [0, 1, 2]
    done, start, left = [], threading.Thread.start, [2]

    def few(thread):
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    with pytest.raises(RuntimeError, match="start new thread"):
        at_once("test", [lambda: done.append(1)] * 3, 60)
    assert done == []


def test_the_look_ahead_is_bounded_and_ends_with_who_gives_up():
    taken = []

    def things():
        for number in range(100):
            taken.append(number)
            yield number

    results = ahead("test", lambda number: number, things(), 3)
    assert next(results) == 0
    assert len(taken) <= 4
    results.close()
    assert len(taken) <= 4
    assert not [t for t in threading.enumerate() if t.name.startswith("atomic-manifest-test")]


def test_after_an_error_what_has_not_begun_is_cancelled():
    go_on, late = threading.Event(), []

    def give_up():
        with ThreadPool("test", 1) as pool:
            pool.submit(go_on.wait, 60)
            late.append(pool.submit(print))
            late[0].add_done_callback(lambda _: go_on.set())
            raise KeyError

    with pytest.raises(KeyError):
        give_up()
    with pytest.raises(CancelledError):
        late[0].result()


def test_a_stopped_pool_takes_no_work():
    pool = ThreadPool("test", 1)
    pool.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        pool.submit(print)


def test_work_from_an_event_loop_is_done_in_a_thread_with_its_context():
    async def ask():
        VARIABLE.set("of the task")
        return await from_loop(lambda: (VARIABLE.get(), threading.get_ident()))

    variable, thread = asyncio.run(ask())
    assert variable == "of the task"
    assert thread != threading.get_ident()


WORK = """
import asyncio, atexit, sys, threading
import pyarrow as pa
import atomic_manifest as am
from atomic_manifest.store import AsyncObjectStore, open_store

url, how = sys.argv[1], sys.argv[2]
table = None if how == "first" else am.Table.open(url)
wide = pa.table({"i": [*range(3)], "k": ["a", "b", None]})

def use():
    am.append(url, pa.table({"i": [1]}))
    (table or am.Table.open(url)).append(pa.table({"i": [2]}))
    am.Table.open(url).delete("i = 2")
    am.append(url + "-partitioned", wide, partition_by=["k"])
    am.write_dataset(
        wide, url + "-dataset", partitioning=["k"], existing_data_behavior="delete_matching"
    )
    am.Table.open(url).checkpoint()
    assert set(am.Table.open(url).to_arrow()["i"].to_pylist()) == {0, 1}
    assert sum(batch.num_rows for batch in am.Table.open(url + "-partitioned").to_batches()) >= 3
    store = AsyncObjectStore.of(open_store(url))

    async def use_store():
        await store.put("note", b"x")
        assert (await store.get("note")).data == b"x"
        assert [meta.path async for meta in store.list("_delta_log")]
        await store.close()

    asyncio.run(use_store())

def late():
    threading.main_thread().join()
    use()
    print("done", flush=True)

if how == "atexit":
    atexit.register(lambda: (use(), print("done", flush=True)))
elif how == "first":
    threading.Thread(target=late).start()
elif how == "thread":
    use()
    threading.Thread(target=late).start()
else:
    atexit.register(lambda: (ready.set(), done.wait(60)))
    ready, done = threading.Event(), threading.Event()

    def waits():
        ready.wait()
        use()
        print("done", flush=True)
        done.set()

    threading.Thread(target=waits, daemon=True).start()
"""


@pytest.mark.parametrize("how", ["thread", "first", "atexit", "daemon"])
def test_everything_works_after_the_main_thread_has_ended(how, tmp_path):
    url = str(tmp_path / "t")
    am.append(url, {"i": [0]})
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(WORK), url, how]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert (ran.stdout, ran.stderr) == ("done\n", "")


@pytest.mark.usefixtures("no_threads")
def test_commits_of_contending_handles_are_acknowledged_without_threads(tmp_path):
    """Removing what they posted, after the commit, would take a thread."""
    am.append(tmp_path / "t", {"i": [0]})
    handles = [am.Table.open(tmp_path / "t") for _ in range(2)]
    for number in range(6):
        for handle in handles:
            handle.append({"i": [number]})
    assert am.Table.open(tmp_path / "t").to_arrow().num_rows == 13
    assert not list((tmp_path / "t").rglob("*intents*/*.json"))
