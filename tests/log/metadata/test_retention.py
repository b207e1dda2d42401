import pytest

from atomic_manifest.errors import DataError
from atomic_manifest.log.metadata.retention import (
    DELETED_FILES,
    LOG,
    check,
    deleted_file_retention_ms,
    interval_ms,
    log_retention_ms,
    unreadable,
)

DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("interval 1 week", 7 * DAY),
        ("INTERVAL 2 Weeks", 14 * DAY),
        ("7 days", 7 * DAY),
        ("interval 1 day 12 hours", DAY * 3 // 2),
        (" 30 minutes ", 1_800_000),
        ("5 seconds 20 milliseconds 3000 microseconds", 5_023),
        ("interval 0 seconds", 0),
    ],
)
def test_durations_in_sparks_words_are_read(text, milliseconds):
    assert interval_ms(text, "p") == milliseconds


NO_DURATIONS = [
    "",
    "interval",
    "1 month",
    "week",
    "1 day x",
    "P7D",
    "-1 days",
    "9" * 5000,
    "\u0663 days",
]


@pytest.mark.parametrize("text", NO_DURATIONS)
@pytest.mark.parametrize("name", [DELETED_FILES, LOG])
def test_anything_else_is_refused_naming_the_property(name, text):
    with pytest.raises(DataError, match=name):
        check({name: text})
    (wrong,) = unreadable({name: text})
    assert name in str(wrong)


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration_keeps_everything(text):
    assert deleted_file_retention_ms({DELETED_FILES: text}) > 10**15
    assert log_retention_ms({LOG: text}) > 10**15


def test_a_week_unless_the_table_says_otherwise():
    assert deleted_file_retention_ms({}) == 7 * DAY
    assert deleted_file_retention_ms({DELETED_FILES: "interval 2 days"}) == 2 * DAY
