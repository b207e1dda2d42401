"""The commit machine, scenario by scenario; `test_transitions` says that they cover the table."""

from dataclasses import replace

import pytest
from msgspec import structs

from atomic_manifest.commit.conflicts import Overtaken
from atomic_manifest.commit.intent import Isolation, ReadTable
from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Budget,
    Committed,
    Conflicted,
    CreateEntry,
    Creating,
    EntriesRead,
    EntryConflict409,
    EntryCorrupt,
    EntryCreated,
    EntryRefused,
    EntryThrottled,
    Failed,
    GaveUp,
    Looking,
    Moment,
    OutOfOrder,
    Pausing,
    ReadEntries,
    Rejected,
    Unanswered,
    UnexpectedEvent,
    Unknown,
    Wait,
    Waited,
)
from atomic_manifest.commit.protocol import CommitMachine
from atomic_manifest.errors import CorruptLog, StorePermissionDenied, TableReplaced
from atomic_manifest.log.actions import DomainMetadata, Txn
from atomic_manifest.log.entry import Entry, decode
from tests.commit.actions import METADATA, add, intent, partitions, remove

TIMEOUT = TimeoutError("no answer")
ALONE = intent(add(), DomainMetadata(domain="d", configuration="{}"))
"""It may not share an entry, so that posting it is of no use."""
DENIED = StorePermissionDenied("denied", path="entry")
CORRUPT = CorruptLog("bad", path="entry", version=5)


class Scenario:
    """A machine with a clock in its hand, based on version 4 unless told otherwise."""

    def __init__(self, wanted=None, *, seconds_per_event=0.0, draw=0.5, **budget):
        self.clock = 0.0
        self.draw = draw
        self._tick = seconds_per_event
        self.intent = wanted or intent(add())
        self.machine = CommitMachine(self.intent, Budget(**budget), self._moment())

    def _moment(self):
        return Moment(self.clock, int(self.clock * 1000), self.draw)

    def tell(self, event, seconds=None):
        """Report an event after some time, and give the state that the machine is in then."""
        self.clock += self._tick if seconds is None else seconds
        self.machine.handle(event, self._moment())
        return self.machine.state

    def told(self, *events):
        for event in events:
            self.tell(event)
        return self

    @property
    def sent(self):
        assert isinstance(self.machine.request, CreateEntry)
        return self.machine.request

    def own(self, version=5):
        """The entry in which this commit is at `version`."""
        return self.intent.as_entry(version)


def other(version=5, **fields):
    return Entry(version, **({"adds": (add(f"of-{version}", p="9"),)} | fields))


def read(*entries):
    return EntriesRead(entries)


# --- the fast path --------------------------------------------------------------------------------


def test_begins_with_a_put_of_the_version_after_the_base():
    scenario = Scenario()
    assert scenario.sent.version == 5
    assert decode(scenario.sent.data, 5).holds("mine")


def test_an_acknowledged_put_is_committed_where_it_was_sent():
    scenario = Scenario()
    assert scenario.tell(EntryCreated()) == Committed(5)
    assert scenario.machine.request is None
    assert scenario.machine.outcome == Committed(5)


def test_there_is_no_outcome_before_the_end():
    assert Scenario().machine.outcome is None


# --- who holds the version ------------------------------------------------------------------------


@pytest.mark.parametrize("event", [EntryRefused(), Unanswered(TIMEOUT)])
def test_after_412_or_no_answer_looks_at_the_version_it_sent(event):
    scenario = Scenario().told(event)
    assert scenario.machine.request == ReadEntries(5, 2)


@pytest.mark.parametrize("event", [EntryRefused(), Unanswered(TIMEOUT)])
def test_its_own_entry_after_412_or_no_answer_is_committed(event):
    scenario = Scenario().told(event)
    assert scenario.tell(read(scenario.own(), other(6))) == Committed(5)
    assert scenario.machine.progress.winners == ()


def test_its_own_entry_is_found_among_the_commits_of_a_combined_entry():
    scenario = Scenario().told(Unanswered())
    combined = Entry(5, commits=(intent(commit_id="first").records[0], scenario.intent.records[0]))
    assert scenario.tell(read(combined)) == Committed(5)


def test_a_put_that_did_not_land_is_sent_again_to_the_same_version_with_the_same_bytes():
    scenario = Scenario()
    first = scenario.sent
    assert isinstance(scenario.told(Unanswered()).tell(read(), seconds=1), Pausing)
    scenario.tell(Waited(), seconds=1)
    assert scenario.sent == first
    assert scenario.sent.data == first.data


def test_refused_and_yet_not_to_be_found_sends_the_same_bytes_again():
    scenario = Scenario()
    first = scenario.sent
    scenario.told(EntryRefused(), read(), Waited())
    assert scenario.sent.data == first.data
    assert scenario.sent.version == 5


def test_never_sends_to_the_next_version_before_the_one_in_doubt_was_read():
    scenario = Scenario()
    for _ in range(5):
        scenario.told(Unanswered(), read(), Waited())
        assert scenario.sent.version == 5
    scenario.told(EntryRefused(), read(other(5)))
    assert scenario.sent.version == 6


def test_a_new_version_gets_new_bytes_with_the_same_commit_id_and_a_new_read_version():
    scenario = Scenario()
    old = decode(scenario.sent.data, 5)
    scenario.tell(EntryRefused(), seconds=1)
    scenario.tell(read(other(5)), seconds=1)
    new = decode(scenario.sent.data, scenario.sent.version)
    assert scenario.sent.version == 6
    assert new.commits == old.commits
    assert (old.commit_info["readVersion"], new.commit_info["readVersion"]) == (4, 5)
    assert (old.commit_info["timestamp"], new.commit_info["timestamp"]) == (0, 2000)
    assert new.adds == old.adds


def test_the_first_loss_costs_no_pause():
    assert Scenario().told(EntryRefused()).tell(read(other(5))) == Creating()


def test_the_first_loss_costs_no_pause_either_when_the_tail_took_two_reads():
    scenario = Scenario().told(EntryRefused(), read(other(5), other(6)))
    assert scenario.tell(read()) == Creating()
    assert scenario.sent.version == 7


def test_every_later_loss_costs_a_pause_of_up_to_one_measured_attempt_before_the_look():
    scenario = Scenario(ALONE, draw=0.5).told(EntryRefused(), read(other(5)))
    for version in range(6, 12):
        assert scenario.tell(EntryRefused(), seconds=3.0) == Pausing(1.5, Looking(4))
        scenario.tell(Waited())
        assert scenario.tell(read(other(version))) == Creating()


def test_a_lost_race_ends_the_doubling_of_pauses_because_the_log_moved():
    scenario = Scenario(ALONE, draw=0.5).told(EntryRefused(), read(other(5)))
    assert pauses_of(scenario, 3) == [0.5, 1.0, 2.0]
    scenario.tell(EntryRefused(), seconds=1.0)
    scenario.told(Waited(), read(other(6)))
    assert pauses_of(scenario, 2) == [0.5, 1.0]


def test_far_behind_it_reads_as_many_entries_again_each_time_up_to_a_limit():
    scenario = Scenario().told(EntryRefused())
    counts, version = [], 5
    for _ in range(7):
        asked = scenario.machine.request
        assert asked.first == version
        counts.append(asked.count)
        scenario.tell(read(*(other(version + i) for i in range(asked.count))))
        version += asked.count
    assert counts == [2, 2, 4, 8, 16, 32, 32]
    scenario.tell(read())
    assert scenario.sent.version == version
    assert [entry.version for entry in scenario.machine.progress.winners] == [*range(5, version)]


# --- what others did ------------------------------------------------------------------------------


def test_a_conflict_ends_it_and_lists_every_reason():
    scenario = Scenario(intent(remove("a"), reads=partitions("1"))).told(EntryRefused())
    outcome = scenario.tell(read(other(5), other(6, removes=(remove("a"),))))
    assert isinstance(outcome, Conflicted)
    assert outcome.version == 6
    assert len(outcome.conflicts) == 2
    assert [entry.version for entry in scenario.machine.progress.winners] == [5, 6]


def test_a_winner_with_the_same_transaction_means_that_it_is_done_already():
    wanted = intent(Txn(app_id="x", version=7), add(), txn=("x", 7))
    scenario = Scenario(wanted).told(EntryRefused())
    assert scenario.tell(read(other(txns=(Txn(app_id="x", version=7),)))) == AlreadyCommitted(5)


def test_a_winner_with_a_later_transaction_of_the_application_ends_the_commit():
    wanted = intent(Txn(app_id="x", version=7), add(), txn=("x", 7), reads=ReadTable())
    scenario = Scenario(wanted).told(EntryRefused())
    outcome = scenario.tell(read(other(txns=(Txn(app_id="x", version=8),))))
    assert outcome == OutOfOrder(5, Overtaken("x", 7, 8))


def test_a_repeated_transaction_is_found_before_a_conflict_with_the_same_entry():
    wanted = intent(Txn(app_id="x", version=7), add(), txn=("x", 7), reads=ReadTable())
    scenario = Scenario(wanted).told(EntryRefused())
    assert scenario.tell(read(other(txns=(Txn(app_id="x", version=7),)))) == AlreadyCommitted(5)


def test_its_own_entry_is_no_repeat_of_its_transaction_and_no_conflict():
    wanted = intent(Txn(app_id="x", version=7), remove("a"), txn=("x", 7), reads=ReadTable())
    scenario = Scenario(wanted).told(Unanswered())
    assert scenario.tell(read(scenario.own())) == Committed(5)


FOREIGN = EntryCorrupt(CORRUPT, damaged=False, data=b'{"add":{}}')
DAMAGED = EntryCorrupt(CORRUPT, data=b"<html>")


def reads_until_believed(scenario, event):
    """How often an event was told before there was an outcome."""
    times = 0
    while scenario.machine.outcome is None:
        scenario.told(event)
        times += 1
        if isinstance(scenario.machine.state, Pausing):
            assert scenario.tell(Waited()) == Looking()
    return times


def test_a_winner_that_is_no_entry_rejects_the_commit_with_its_error_when_it_was_read_twice():
    scenario = Scenario().told(EntryRefused())
    assert reads_until_believed(scenario, FOREIGN) == 2
    assert scenario.machine.outcome == Rejected(CORRUPT)


def test_a_winner_that_stays_damaged_and_is_not_what_was_sent_rejects_the_commit():
    scenario = Scenario().told(EntryRefused())
    assert reads_until_believed(scenario, DAMAGED) == 8
    assert scenario.machine.outcome == Rejected(CORRUPT)


@pytest.mark.parametrize("times", range(1, 8))
@pytest.mark.parametrize("event", [EntryRefused(), Unanswered(TIMEOUT), EntryConflict409()])
def test_the_own_entry_is_found_however_often_it_came_damaged_before(event, times):
    scenario = Scenario().told(event)
    while isinstance(scenario.machine.request, Wait):
        scenario.told(Waited())
    if isinstance(scenario.machine.request, CreateEntry):
        scenario.told(EntryRefused())
    for _ in range(times):
        assert isinstance(scenario.tell(DAMAGED), Pausing)
        scenario.told(Waited())
    assert scenario.tell(read(scenario.own())) == Committed(5)


@pytest.mark.parametrize("event", [Unanswered(TIMEOUT), EntryThrottled()])
def test_an_attempt_without_an_answer_is_unknown_if_what_is_there_stays_damaged(event):
    scenario = Scenario().told(event)
    if isinstance(scenario.machine.request, Wait):
        scenario.told(Waited())
    assert reads_until_believed(scenario, DAMAGED) == 8
    assert scenario.machine.outcome == Unknown((5,), CORRUPT)


@pytest.mark.parametrize("broken", ["cut", "flipped", "combined"])
def test_a_refused_attempt_is_unknown_if_what_is_there_stays_damaged_and_may_be_it(broken):
    scenario = Scenario()
    sent = scenario.sent.data
    data = {
        "cut": sent[:-20],
        "flipped": sent[:9] + b"\0" + sent[10:],
        "combined": b'{"commits": ["other", "mine"]',
    }[broken]
    scenario.told(EntryRefused())
    reads_until_believed(scenario, EntryCorrupt(CORRUPT, data=data))
    assert scenario.machine.outcome == Unknown((5,), CORRUPT)


def test_a_whole_object_that_is_no_entry_rejects_even_an_attempt_without_an_answer():
    scenario = Scenario().told(Unanswered(TIMEOUT))
    reads_until_believed(scenario, FOREIGN)
    assert scenario.machine.outcome == Rejected(CORRUPT)


def test_what_was_damaged_at_one_version_does_not_count_at_the_next():
    scenario = Scenario().told(EntryRefused())
    for _ in range(7):
        scenario.told(DAMAGED, Waited())
    scenario.told(read(other(5)), EntryRefused())
    while not isinstance(scenario.machine.request, ReadEntries):
        scenario.told(Waited())
    assert reads_until_believed(scenario, DAMAGED) == 8


# --- 409 and 429 ----------------------------------------------------------------------------------


def test_409_sends_the_same_bytes_again_after_a_pause():
    scenario = Scenario()
    first = scenario.sent
    assert scenario.tell(EntryConflict409(), seconds=1) == Pausing(0.5, Creating())
    assert scenario.machine.request == Wait(0.5)
    scenario.tell(Waited(), seconds=1)
    assert scenario.sent == first


def test_429_looks_after_a_pause():
    scenario = Scenario()
    assert scenario.tell(EntryThrottled(), seconds=1) == Pausing(0.5, Looking())
    scenario.tell(Waited())
    assert scenario.machine.request == ReadEntries(5, 2)


@pytest.mark.parametrize("event", [EntryConflict409(), EntryThrottled()])
def test_409_or_429_may_come_from_its_own_copy_which_the_last_look_finds(event):
    scenario = Scenario(attempts=1)
    assert scenario.tell(event) == Looking()
    assert scenario.tell(read(scenario.own())) == Committed(5)


@pytest.mark.parametrize("event", [EntryConflict409(), EntryThrottled()])
def test_budget_end_at_409_or_429_with_the_version_still_free_is_unknown(event):
    scenario = Scenario(attempts=1).told(event)
    assert scenario.tell(read()) == Unknown((5,), None)


@pytest.mark.parametrize("event", [EntryConflict409(), EntryThrottled()])
def test_budget_end_at_409_or_429_with_the_version_taken_is_given_up(event):
    scenario = Scenario(attempts=1).told(event)
    assert scenario.tell(read(other(5))) == GaveUp()


# --- errors that no retry mends -------------------------------------------------------------------


def test_a_first_put_that_is_denied_is_rejected():
    assert Scenario().tell(Failed(DENIED)) == Rejected(DENIED)


@pytest.mark.parametrize("doubt", [Unanswered(TIMEOUT), EntryRefused()])
def test_a_put_that_is_denied_after_an_open_attempt_is_unknown(doubt):
    scenario = Scenario().told(doubt, read(), Waited())
    assert scenario.tell(Failed(DENIED)) == Unknown((5,), DENIED)


@pytest.mark.parametrize("event", [EntryConflict409(), EntryThrottled()])
def test_a_denial_after_409_or_429_is_unknown(event):
    scenario = Scenario().told(event, Waited())
    assert scenario.tell(Failed(DENIED)) == Unknown((5,), DENIED)


def test_a_look_that_is_denied_after_an_open_attempt_is_unknown():
    assert Scenario().told(Unanswered()).tell(Failed(DENIED)) == Unknown((5,), DENIED)


def test_a_look_that_is_denied_once_the_version_in_doubt_was_read_is_rejected():
    scenario = Scenario().told(EntryRefused(), read(other(5), other(6)))
    assert scenario.tell(Failed(DENIED)) == Rejected(DENIED)


# --- the end of the budget ------------------------------------------------------------------------


def test_attempts_end_with_an_open_attempt_as_unknown():
    scenario = Scenario(attempts=1).told(Unanswered(TIMEOUT))
    assert scenario.tell(read()) == Unknown((5,), TIMEOUT)


def test_attempts_end_between_two_races_as_given_up():
    scenario = Scenario(attempts=2).told(EntryRefused(), read(other(5)), EntryRefused())
    assert scenario.tell(read(other(6))) == GaveUp()
    assert scenario.machine.progress.sends == 2


def test_time_ends_with_an_open_attempt_as_unknown():
    scenario = Scenario(seconds=10).told(Unanswered(TIMEOUT))
    assert scenario.tell(read(), seconds=10) == Unknown((5,), TIMEOUT)


def test_a_put_answered_after_the_end_of_time_is_still_looked_at():
    scenario = Scenario(seconds=10)
    assert scenario.tell(Unanswered(TIMEOUT), seconds=60) == Looking()
    assert scenario.tell(read(scenario.own())) == Committed(5)


def test_a_look_without_answer_is_repeated_after_a_pause():
    scenario = Scenario().told(Unanswered(TIMEOUT))
    assert scenario.tell(Unanswered(TIMEOUT)) == Pausing(0.001, Looking())


def test_time_ends_while_looking_for_an_open_attempt_as_unknown():
    scenario = Scenario(seconds=10).told(EntryRefused())
    assert scenario.tell(Unanswered(TIMEOUT), seconds=10) == Unknown((5,), TIMEOUT)


def test_time_ends_while_reading_far_behind_as_given_up():
    scenario = Scenario(seconds=10).told(EntryRefused(), read(other(5), other(6)))
    assert scenario.tell(Unanswered(TIMEOUT), seconds=10) == GaveUp()


def test_no_schedule_of_answers_sends_more_often_than_the_budget_allows():
    scenario = Scenario(attempts=7)
    while scenario.machine.outcome is None:
        match scenario.machine.request:
            case CreateEntry():
                scenario.tell(EntryConflict409())
            case ReadEntries():
                scenario.tell(read())
            case Wait():
                scenario.tell(Waited())
    assert scenario.machine.progress.sends == 7
    assert scenario.machine.outcome == Unknown((5,), None)


# --- pauses ---------------------------------------------------------------------------------------


def pauses_of(scenario, count):
    """The lengths of consecutive pauses when every PUT meets a 409 after one second."""
    lengths = []
    for _ in range(count):
        lengths.append(scenario.tell(EntryConflict409(), seconds=1.0).seconds)
        scenario.tell(Waited(), seconds=0.0)
    return lengths


def test_pauses_double_in_units_of_a_measured_attempt_up_to_the_cap():
    scenario = Scenario(draw=0.5, pause_cap_seconds=6.0)
    assert pauses_of(scenario, 6) == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]


def test_a_pause_is_drawn_from_zero_on():
    assert pauses_of(Scenario(draw=0.0), 3) == [0.0, 0.0, 0.0]


def test_the_pause_stays_at_its_cap_however_long_the_store_is_away():
    scenario = Scenario(seconds=float("inf"), draw=0.5).told(Unanswered())
    for _ in range(3000):
        pause = scenario.tell(Unanswered())
        scenario.tell(Waited())
    assert pause == Pausing(2.5, Looking())


# --- events that do not fit -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "event"),
    [
        ((), Waited()),
        ((), read()),
        ((EntryRefused(),), EntryCreated()),
        ((EntryConflict409(),), EntryCreated()),
        ((EntryCreated(),), EntryCreated()),
        ((EntryCreated(),), Unanswered()),
    ],
)
def test_an_event_that_a_state_does_not_take_raises_and_changes_nothing(told, event):
    scenario = Scenario().told(*told)
    machine = scenario.machine
    before = (machine.state, machine.request, dict(vars(machine.progress)))
    with pytest.raises(UnexpectedEvent, match=type(machine.state).__name__):
        machine.handle(event, Moment(99.0, 99, 0.9))
    assert (machine.state, machine.request, dict(vars(machine.progress))) == before


# --- another table --------------------------------------------------------------------------------


def of_table(table, version=5, **fields):
    return other(version, table=table, **fields)


def test_a_winner_of_another_table_refuses_the_commit_for_certain():
    scenario = Scenario(intent(add(), base_metadata=METADATA)).told(EntryRefused())
    outcome = scenario.tell(read(of_table("another")))
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.cause, TableReplaced)


@pytest.mark.parametrize("table", [None, METADATA.id])
def test_a_winner_of_the_same_table_or_of_none_that_is_named_is_a_lost_race(table):
    scenario = Scenario(intent(add(), base_metadata=METADATA)).told(EntryRefused())
    assert scenario.tell(read(of_table(table))) == Creating()


def test_its_own_entry_is_its_own_whatever_table_it_names():
    scenario = Scenario(intent(add(), base_metadata=METADATA)).told(Unanswered(TIMEOUT))
    assert scenario.tell(read(replace(scenario.own(), table="another"))) == Committed(5)


def test_a_table_that_gets_another_id_in_its_own_log_is_the_same_table():
    wanted = intent(add(), base_metadata=METADATA, isolation=Isolation.WRITE_SERIALIZABLE)
    scenario = Scenario(wanted).told(EntryRefused())
    renamed = structs.replace(METADATA, id="second")
    outcome = scenario.tell(read(of_table(METADATA.id, metadata=renamed), of_table("second", 6)))
    assert not isinstance(outcome, Rejected)
