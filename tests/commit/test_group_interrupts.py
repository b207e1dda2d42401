"""Interrupts between any two lines of the group commit: the handle works on, and nobody is told wrong."""

import sys
import threading

import pytest

from atomic_manifest.commit import group as subject
from atomic_manifest.commit.messages import Committed, Unknown
from atomic_manifest.commit.result import version_or_raise
from atomic_manifest.errors import CommitOutcomeUnknown
from atomic_manifest.log.state.history import history
from atomic_manifest.store.passing import PassingDriver
from tests.commit.test_group import Group, Planned

HANGS_AFTER = 20
"""Seconds; a thread that was not woken by then never will be."""


class Interrupt:
    """Raises `KeyboardInterrupt` in this thread at the n-th line of the module that it runs."""

    def __init__(self, number):
        self.left = number
        self.where = None

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self.trace)
        return self

    def __exit__(self, *error):
        sys.settrace(self.before)

    def trace(self, frame, event, _argument):
        if self.where is not None or frame.f_code.co_filename != subject.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left <= 0:
                self.where = frame.f_lineno
                raise KeyboardInterrupt
        return self.trace


def interrupted(group, name, number):
    """Commit with an interrupt at that line; whether there was one.

    In a thread of its own: what a tracer raises in a handler stays behind as the context of whatever the
    thread raises later.
    """
    happened = []
    thread = threading.Thread(target=lambda: happened.append(_interrupted(group, name, number)))
    thread.start()
    thread.join()
    return happened[0]


def _interrupted(group, name, number):
    plan = Planned(name)
    with Interrupt(number) as interrupt:
        try:
            group.results[name] = group.group.commit(plan, group.snapshot).outcome
        except KeyboardInterrupt as error:
            group.results[name] = error
    return interrupt.where is not None


def check(group, number, *threads):
    """All threads have ended, what they were told is true, and the handle works on."""
    for thread in threads:
        thread.join(HANGS_AFTER)
        assert not thread.is_alive(), f"hangs after an interrupt at line {number}"
    last = threading.Thread(
        target=group.commit, args=(Planned("last"), group.snapshot), daemon=True
    )
    last.start()
    last.join(HANGS_AFTER)
    assert not last.is_alive(), f"the handle hangs after an interrupt at line {number}"
    assert isinstance(group.results["last"], Committed)
    found = {}
    for record in history(group.store):
        for commit in record.commits:
            assert commit.id not in found, "committed twice"
            found[commit.id] = record.version
    for name, outcome in group.results.items():
        match outcome:
            case Committed(version):
                assert found[name] == version
            case Unknown(versions):
                assert name not in found or found[name] in versions
                with pytest.raises(CommitOutcomeUnknown, match="interrupted"):
                    version_or_raise(outcome, name)
            case _:
                assert isinstance(outcome, KeyboardInterrupt), f"{name}: {outcome!r}"
                assert name == "interrupted", "somebody else's interrupt"


def test_an_interrupt_at_any_line_of_a_commit_of_its_own():
    number, happens = 0, True
    while happens:
        number += 1
        group = Group()
        happens = interrupted(group, "interrupted", number)
        check(group, number)
    assert number > 30


@pytest.mark.parametrize("place", [0, 1, 2], ids=["leads the others", "in between", "at the end"])
def test_an_interrupt_at_any_line_beside_others(place):
    number, happens, told = 0, True, set()
    while happens:
        number += 1
        group = Group()
        first = Planned("first", goes_on=threading.Event())
        threads = [group._start(first, group.snapshot)]
        assert first.begun.wait(10)
        for other in range(place):
            threads.append(group._start(Planned(f"before-{other}"), group.snapshot))
            group.await_queue(other + 1)
        helper = threading.Thread(target=follow, args=(group, first, place, threads), daemon=True)
        helper.start()
        happens = interrupted(group, "interrupted", number)
        helper.join(HANGS_AFTER)
        check(group, number, *threads)
        told |= {type(outcome) for name, outcome in group.results.items() if name != "interrupted"}
    assert number > 10
    assert told == ({Committed, Unknown} if place == 0 else {Committed})


def follow(group, first, place, threads):
    """Once the interrupted thread waits or has ended, others queue, and the first one goes on."""
    while len(group.group._queue) <= place and "interrupted" not in group.results:
        threading.Event().wait(0.0005)
    queued = len(group.group._queue)
    for other in range(2 - place):
        threads.append(group._start(Planned(f"after-{other}"), group.snapshot))
        group.await_queue(queued + other + 1)
    first.goes_on.set()


class InterruptedPut(PassingDriver):
    """Interrupts the main thread in the middle of the PUT of an entry, which lands or does not."""

    def __init__(self, inner, *, lands):
        super().__init__(inner)
        self.lands = lands
        self.armed = True

    def create(self, path, data, metadata):
        if self.armed and threading.current_thread() is threading.main_thread():
            self.armed = False
            if self.lands:
                super().create(path, data, metadata)
            raise KeyboardInterrupt
        return super().create(path, data, metadata)


@pytest.mark.parametrize("lands", [True, False])
def test_an_interrupt_in_the_middle_of_a_put_leaves_the_others_with_an_unknown_outcome(lands):
    group = Group(lambda driver: InterruptedPut(driver, lands=lands))
    first = Planned("first", goes_on=threading.Event())
    threads = [group._start(first, group.snapshot)]
    assert first.begun.wait(10)
    helper = threading.Thread(target=follow, args=(group, first, 0, threads), daemon=True)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        group.group.commit(Planned("interrupted"), group.snapshot)
    helper.join(HANGS_AFTER)
    check(group, 0, *threads)
    assert group.results["after-0"] == group.results["after-1"]
    assert isinstance(group.results["after-0"], Unknown)
    assert group.results["after-0"].versions == (2,)
