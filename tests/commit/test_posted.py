"""Intents as objects: what is posted is what is read back, and nothing else is taken for one."""

import dataclasses
import json

import pytest
from hypothesis import given

from atomic_manifest.commit.combine import Candidate, combine, render
from atomic_manifest.commit.intent import ReadNothing, ReadTable
from atomic_manifest.commit.posted import LIFETIME, decode_intent, encode_intent, id_in, key_of
from atomic_manifest.log.actions import Txn
from atomic_manifest.log.entry import CommitRecord, decode
from tests.commit.actions import add, intent, intents, partitions, remove

APPEND = intent(add())
KINDS = {
    "append": APPEND,
    "transaction": intent(Txn(app_id="x", version=1), add(), txn=("x", 1)),
    "delete": intent(remove(), reads=partitions("1", None)),
    "overwrite": intent(remove(), add(), reads=ReadTable()),
    "described": intent(add(), user_info={"who": "me"}, parameters={"mode": "Append"}),
    "merged": dataclasses.replace(
        APPEND, members=(CommitRecord("mine", "WRITE"), CommitRecord("b", "WRITE", ("x", 2)))
    ),
}


def posted(wanted):
    return Candidate(
        wanted, Candidate.of(wanted).body, key_of(wanted), wanted.base_version + LIFETIME
    )


def changed(**fields):
    """An append as posted, with other fields in its header."""
    header, body = encode_intent(posted(APPEND)).split(b"\n", 1)
    return json.dumps(json.loads(header) | fields).encode() + b"\n" + body


@pytest.mark.parametrize("wanted", KINDS.values(), ids=KINDS)
def test_an_intent_is_read_back_as_it_was_posted(wanted):
    candidate = posted(wanted)
    read = decode_intent(candidate.key, encode_intent(candidate))
    assert read is not None
    assert dataclasses.replace(read.intent, actions=tuple(wanted.actions)) == wanted
    assert (read.body, read.key, read.expires) == (
        candidate.body,
        candidate.key,
        candidate.expires,
    )


@given(intents.filter(lambda wanted: wanted.is_combinable and wanted.actions))
def test_whoever_commits_it_writes_the_same_entry(wanted):
    candidate = posted(wanted)
    read = decode_intent(candidate.key, encode_intent(candidate))
    assert read is not None
    assert render([read], 5, 0) == render([candidate], 5, 0)


def test_a_key_names_the_commit_and_sorts_by_how_long_its_writer_waits():
    older, younger = intent(add(), base_version=9), intent(add(), base_version=10)
    assert key_of(older) < key_of(younger)
    assert id_in(key_of(older)) == "mine"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"<html>",
        b"\n\n",
        b"\xff\xfe",
        changed(rule=2),
        changed(id="another"),
        changed(base=7),
        changed(reads={"kind": "of a later rule"}),
        changed(reads={}),
        changed(isolation="Snapshot?"),
        changed(expires="soon"),
        encode_intent(posted(APPEND)).split(b"\n", 1)[0] + b"\n",
        encode_intent(posted(APPEND)) + b"not an action\n",
        encode_intent(posted(APPEND))[:-20],
    ],
)
def test_what_is_no_intent_of_this_rule_version_is_left_alone(data):
    assert decode_intent(key_of(APPEND), data) is None


def test_an_intent_that_would_change_the_protocol_is_left_alone():
    line = b'{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}\n'
    assert decode_intent(key_of(APPEND), encode_intent(posted(APPEND)) + line) is None


def test_an_intent_read_back_takes_part_in_combining():
    other = posted(intent(add("theirs"), commit_id="theirs"))
    read = decode_intent(other.key, encode_intent(other))
    both = combine([posted(APPEND), read], (), 5)
    entry = decode(render(both.accepted, 5, 0), 5)
    assert [record.id for record in entry.commits] == ["mine", "theirs"]
    assert ReadNothing() == read.intent.reads
