"""An intent and the entry that it becomes."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_manifest.commit.combine import Candidate, render
from atomic_manifest.commit.intent import NO_TABLE, ReadTable
from atomic_manifest.log.actions import Txn
from atomic_manifest.log.entry import decode
from tests.commit.actions import METADATA, PROTOCOL, add, creation, entries, intent, intents, remove


def rendered(wanted, version=5):
    return decode(render([Candidate.of(wanted)], version, 1234), version)


@given(intents, st.integers(5, 99))
def test_the_entry_of_an_intent_is_recognised_whatever_the_intent_holds(wanted, version):
    assert rendered(wanted, version).holds(wanted.commit_id)


@given(intents)
def test_the_entry_without_bytes_equals_the_entry_read_back(wanted):
    read = rendered(wanted)
    assert dataclasses.replace(read, commit_info=None) == wanted.as_entry(5)


@given(intents, entries)
def test_no_entry_of_others_is_taken_for_ours(wanted, winner):
    assert not winner.holds(wanted.commit_id)


def test_the_entry_says_which_version_it_was_rebased_on():
    assert rendered(intent(add()), 9).commit_info["readVersion"] == 8


def test_the_first_entry_of_a_table_names_no_read_version():
    wanted = creation()
    assert wanted.base_version == NO_TABLE
    entry = rendered(wanted, 0)
    assert "readVersion" not in entry.commit_info
    assert (entry.protocol, entry.metadata) == (PROTOCOL, METADATA)


@pytest.mark.parametrize(
    ("wanted", "blind"),
    [
        (intent(add()), True),
        (intent(Txn(app_id="x", version=1), add(), txn=("x", 1)), True),
        (intent(add(), reads=ReadTable()), False),
        (intent(remove(), add()), False),
    ],
)
def test_only_a_commit_that_read_and_removed_nothing_calls_itself_a_blind_append(wanted, blind):
    assert rendered(wanted).blind_append is blind


def test_user_fields_cannot_hide_the_commit_id():
    wanted = intent(add(), user_info={"atomicManifest": "mine", "txnId": "x", "team": "blue"})
    entry = rendered(wanted)
    assert entry.holds("mine")
    assert entry.commit_info["team"] == "blue"


def test_every_line_of_the_entry_is_one_action():
    lines = render([Candidate.of(intent(add()))], 5, 0).splitlines()
    assert [list(json.loads(line)) for line in lines] == [["commitInfo"], ["add"]]
