"""The second opinion recognises histories that are not serial."""

import dataclasses

import pytest

from atomic_manifest.commit.intent import Isolation
from atomic_manifest.log.entry import decode
from atomic_manifest.testing.model import table
from atomic_manifest.testing.model.serial import check_serial


def log_of(*intents):
    """A log that holds the intents one after the other, whether or not they fit."""
    first = decode(table.FIRST_ENTRY, 0)
    entries = [intent.as_entry(version) for version, intent in enumerate(intents, start=1)]
    blind = [isinstance(intent.reads, type(table.append("x").reads)) for intent in intents]
    return [
        first,
        *(
            dataclasses.replace(entry, commit_info={"isBlindAppend": b})
            for entry, b in zip(entries, blind, strict=True)
        ),
    ]


@pytest.mark.parametrize(
    "intents",
    [
        (table.append("A"), table.append("B")),
        (table.overwrite_partition("A"), table.append("B")),
        (table.append("A", "2"), table.overwrite_partition("B")),
        (table.compact("A"), table.append("B")),
        (
            table.append("A"),
            table.overwrite_partition("B", Isolation.WRITE_SERIALIZABLE),
        ),
        (table.append_id("A", 7), table.delete_ids("B", "<", 5, "a")),
    ],
)
def test_a_serial_history_passes(intents):
    check_serial(log_of(*intents), intents)


@pytest.mark.parametrize(
    ("intents", "why"),
    [
        ((table.append("A"), table.overwrite_partition("B")), "B at 2 read"),
        ((table.delete("A", "a"), table.delete("B", "b")), "B at 2 read"),
        ((table.append_id("A", 3), table.delete_ids("B", "<", 5, "a")), "B at 2 read"),
        ((table.delete("A"), table.drop_file("B")), "B at 2 removed"),
        ((table.compact("A"), table.drop_file("B")), "B at 2 removed"),
        ((table.change_schema("A"), table.append("B")), "B at 2 was written for another schema"),
        ((table.create("A"),), "A at 1 created a table that existed"),
        (
            (table.append("A"), table.change_schema("B", Isolation.WRITE_SERIALIZABLE)),
            "B at 2 read",
        ),
    ],
)
def test_a_history_that_is_not_serial_is_refused(intents, why):
    with pytest.raises(AssertionError, match=why):
        check_serial(log_of(*intents), intents)
