"""Who may share an entry, and what the entry then is."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_manifest.commit.combine import Candidate, combine, render, render_revocation
from atomic_manifest.commit.intent import Isolation, ReadTable
from atomic_manifest.log.actions import DomainMetadata, Txn
from atomic_manifest.log.entry import CommitRecord, Entry, decode
from tests.commit.actions import METADATA, add, intent, intents, partitions, remove

VERSION = 7


def candidate(name, *actions, base=6, expires=99, **fields):
    wanted = intent(*actions, commit_id=name, base_version=base, **fields)
    return Candidate(wanted, Candidate.of(wanted).body, f"key of {name}", expires)


def names(combination):
    return [c.intent.commit_id for c in combination.accepted]


def together(*candidates, entries=()):
    return names(combine(candidates, entries, VERSION))


def winner(version=6, **fields):
    return Entry(version, **fields)


OWN = candidate("own", add("own"))


def test_appends_share_an_entry_in_order():
    assert together(OWN, candidate("b", add("b")), candidate("c", add("c"))) == ["own", "b", "c"]


def test_an_append_may_follow_a_reader_but_no_reader_an_append():
    reader, append = candidate("r", remove("x"), reads=ReadTable()), candidate("a", add("a"))
    assert together(reader, append) == ["r", "a"]
    assert together(append, reader) == ["a"]


def test_a_write_serializable_reader_may_follow_a_blind_append():
    relaxed = Isolation.WRITE_SERIALIZABLE
    reader = candidate("r", remove("x"), reads=partitions("1"), isolation=relaxed)
    rewriter = candidate("w", remove("z"), add("z2"))
    assert together(OWN, candidate("a", add("a")), reader) == ["own", "a", "r"]
    assert together(rewriter, reader) == ["w"]


@pytest.mark.parametrize(
    "other",
    [
        candidate("b", Txn(app_id="x", version=2), add("b")),
        candidate("b", add("same")),
        candidate("b", remove("same")),
        candidate("b", METADATA, add("b")),
        candidate("b", DomainMetadata(domain="d", configuration="{}"), add("b")),
        candidate("first", add("b")),
    ],
    ids=["application", "path", "path removed", "metadata", "domain", "id"],
)
def test_what_may_not_share_an_entry_waits_and_is_not_refused(other):
    first = candidate("first", Txn(app_id="x", version=1), add("same"))
    combination = combine([first, other], (), VERSION)
    assert names(combination) == ["first"]
    assert combination.keys == ("key of first",)


def test_a_commit_that_may_share_no_entry_goes_alone():
    changes = candidate("m", METADATA)
    assert together(changes, OWN) == ["m"]


@pytest.mark.parametrize(
    "entry",
    [
        winner(commits=(CommitRecord("b", "WRITE"),)),
        winner(revoked=frozenset({"b"})),
        winner(txns=(Txn(app_id="x", version=3),)),
        winner(removes=(remove("gone"),)),
    ],
    ids=["in the log", "revoked", "transaction done", "conflict"],
)
def test_what_no_later_entry_can_hold_is_left_out_and_may_be_deleted(entry):
    other = candidate("b", Txn(app_id="x", version=3), remove("gone"), base=5)
    combination = combine([OWN, other], [entry], VERSION)
    assert names(combination) == ["own"]
    assert combination.spent == ("key of b",)


@pytest.mark.parametrize(("expires", "accepted"), [(7, ["own", "b"]), (6, ["own"])])
def test_an_intent_may_go_into_its_last_version_and_into_none_after_it(expires, accepted):
    assert together(OWN, candidate("b", add("b"), expires=expires)) == accepted


@pytest.mark.parametrize("base", [4, 7, 8])
def test_an_intent_with_a_base_before_or_after_what_is_known_is_left_alone(base):
    combination = combine([OWN, candidate("b", add("b"), base=base)], [winner()], VERSION)
    assert names(combination) == ["own"]
    assert combination.spent == ()


def test_one_member_that_was_revoked_keeps_the_whole_merged_commit_out():
    members = (CommitRecord("b", "WRITE"), CommitRecord("c", "WRITE"))
    merged = candidate("b", add("b"), members=members, base=5)
    assert together(OWN, merged, entries=[winner(revoked=frozenset({"c"}))]) == ["own"]


@given(st.lists(intents, min_size=1, max_size=5, unique_by=lambda wanted: wanted.commit_id))
def test_the_entry_read_back_holds_the_accepted_commits_and_nothing_else(wanted):
    combination = combine([Candidate.of(each) for each in wanted], (), 5)
    assert combination.accepted[0].intent is wanted[0]
    read = decode(render(combination.accepted, 5, 0), 5)
    assert [r.id for r in read.commits] == names(combination)
    expected = combination.entry
    assert dataclasses.replace(read, commit_info=None) == dataclasses.replace(
        expected, commit_info=None
    )


@given(st.lists(intents, min_size=2, max_size=5, unique_by=lambda wanted: wanted.commit_id))
def test_the_entry_without_bytes_says_of_blind_appends_what_the_bytes_say(wanted):
    combination = combine([Candidate.of(each) for each in wanted], (), 5)
    read = decode(render(combination.accepted, 5, 0), 5)
    assert combination.entry.blind_append == read.blind_append


def test_a_revocation_changes_nothing_and_names_what_will_never_be():
    read = decode(render_revocation(["a", "b"], 7, 0), 7)
    assert read.revoked == {"a", "b"}
    assert not read.adds + read.removes + read.txns
    assert not read.holds("a")
    assert read.blind_append
