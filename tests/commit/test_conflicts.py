"""The conflict rules, one by one and as a whole."""

import dataclasses

import msgspec
import pytest
from hypothesis import given

from atomic_manifest.commit.conflicts import (
    ConflictKind,
    Overtaken,
    check,
    overtaken_txn,
    repeats_txn,
)
from atomic_manifest.commit.intent import Isolation, ReadTable
from atomic_manifest.log.actions import CommitInfo, DomainMetadata, Metadata, Protocol, Txn
from atomic_manifest.log.entry import Entry, decode, encode
from atomic_manifest.log.pruning.predicate import (
    And,
    Comparison,
    Everything,
    In,
    IsNull,
    Not,
    Nothing,
    Or,
)
from tests.commit.actions import (
    METADATA,
    PROTOCOL,
    add,
    creation,
    entries,
    entry,
    intent,
    intents,
    partitions,
    remove,
    rows,
    stats,
)

WRITE_SERIALIZABLE = Isolation.WRITE_SERIALIZABLE


def kinds(wanted, winner):
    return [conflict.kind for conflict in check(wanted, winner)]


def metadata(**fields):
    defaults = {"id": "t", "schema_string": "s", "partition_columns": ["p"]}
    return Metadata(**(defaults | fields))


# --- 1: the table was created ---------------------------------------------------------------------


def test_creating_a_table_conflicts_with_the_entry_that_created_it():
    winner = entry(version=0, protocol=PROTOCOL, metadata=METADATA)
    assert kinds(creation(), winner) == [ConflictKind.TABLE_CREATED]


def test_creating_a_table_conflicts_with_a_first_entry_that_holds_nothing():
    assert kinds(creation(), Entry(0)) == [ConflictKind.TABLE_CREATED]


# --- 2: protocol ----------------------------------------------------------------------------------


def test_any_writer_conflicts_with_another_protocol():
    winner = entry(protocol=Protocol(min_reader_version=1, min_writer_version=4))
    assert kinds(intent(add()), winner) == [ConflictKind.PROTOCOL_CHANGED]


def test_an_append_does_not_conflict_with_the_same_protocol_written_again():
    assert kinds(intent(add()), entry(protocol=PROTOCOL)) == []


def test_a_metadata_change_conflicts_even_with_the_same_protocol_written_again():
    winner = entry(protocol=PROTOCOL)
    assert kinds(intent(metadata()), winner) == [ConflictKind.PROTOCOL_CHANGED]


# --- 3: metadata ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema_string": "other"}, "the schema"),
        ({"partition_columns": ["q"]}, "the partitioning"),
        ({"configuration": {"delta.appendOnly": "true"}}, "delta.appendOnly"),
        ({"configuration": {"delta.constraints.c": "x > 0"}}, "delta.constraints.c"),
        ({"configuration": {"delta.isolationLevel": "x"}}, "delta.isolationLevel"),
        ({"configuration": {"delta.enableChangeDataFeed": "true"}}, "enableChangeDataFeed"),
        ({"configuration": {"delta.columnMapping.mode": "name"}}, "columnMapping"),
    ],
)
def test_an_append_conflicts_with_metadata_that_a_writer_must_obey(change, named):
    (conflict,) = check(intent(add()), entry(metadata=metadata(**change)))
    assert conflict.kind is ConflictKind.METADATA_CHANGED
    assert named in conflict.detail


@pytest.mark.parametrize(
    "change",
    [
        {"description": "a better word"},
        {"name": "another"},
        {"configuration": {"owner": "me"}},
        {"configuration": {"delta.logRetentionDuration": "interval 1 day"}},
        {"configuration": {"delta.checkpointInterval": "7"}},
        {"configuration": {"delta.dataSkippingNumIndexedCols": "3"}},
        {"configuration": {"delta.autoOptimize.autoCompact": "true"}},
    ],
)
def test_a_harmless_metadata_change_stops_no_writer(change):
    overwrite = intent(remove(), add(), reads=ReadTable())
    assert kinds(overwrite, entry(metadata=metadata(**change))) == []


def test_a_property_that_was_taken_away_conflicts_like_one_that_was_set():
    constrained = metadata(configuration={"delta.constraints.c": "x > 0"})
    wanted = intent(add(), base_metadata=constrained)
    assert kinds(wanted, entry(metadata=metadata())) == [ConflictKind.METADATA_CHANGED]


def test_two_metadata_changes_conflict_even_if_they_are_equal():
    assert kinds(intent(metadata()), entry(metadata=metadata())) == [ConflictKind.METADATA_CHANGED]


def test_every_difference_of_the_metadata_is_a_conflict_of_its_own():
    winner = entry(
        metadata=metadata(
            schema_string="other",
            partition_columns=[],
            configuration={"delta.b": "1", "delta.a": "1"},
        )
    )
    details = [conflict.detail for conflict in check(intent(add()), winner)]
    assert details == [
        "the schema was changed",
        "the partitioning was changed",
        "the property delta.a was changed",
        "the property delta.b was changed",
    ]


# --- 4: delete-delete -----------------------------------------------------------------------------


@pytest.mark.parametrize("mine", [True, False])
@pytest.mark.parametrize("theirs", [True, False])
def test_two_removes_of_one_file_conflict_whether_or_not_they_change_data(mine, theirs):
    wanted = intent(remove("a", data_change=mine))
    winner = entry(removes=(remove("a", data_change=theirs),))
    assert kinds(wanted, winner) == [ConflictKind.DELETE_DELETE]


def test_removes_of_two_files_do_not_conflict():
    assert kinds(intent(remove("a")), entry(removes=(remove("b"),))) == []


# --- 5 and 6: what was read -----------------------------------------------------------------------


def test_a_blind_append_conflicts_with_no_change_of_rows():
    winner = entry(adds=(add("a"),), removes=(remove("b"),))
    assert kinds(intent(add()), winner) == []


def test_a_reader_of_the_table_conflicts_with_rows_that_were_removed():
    winner = entry(removes=(remove("a", p="9"),))
    assert kinds(intent(add(), reads=ReadTable()), winner) == [ConflictKind.DELETE_READ]


def test_a_reader_of_the_table_conflicts_with_rows_that_were_added():
    winner = entry(adds=(add("a", p="9"),), blind=True)
    assert kinds(intent(add(), reads=ReadTable()), winner) == [ConflictKind.APPEND]


@pytest.mark.parametrize(
    ("read", "written", "conflict"),
    [
        (partitions("1"), "1", True),
        (partitions("1"), "2", False),
        (partitions("1", "2"), "2", True),
        (partitions(), "1", False),
        (partitions(None), None, True),
        (partitions(None), "1", False),
    ],
)
def test_a_reader_of_partitions_conflicts_only_with_rows_of_those(read, written, conflict):
    wanted = intent(add(), reads=read)
    assert kinds(wanted, entry(adds=(add(p=written),))) == [ConflictKind.APPEND] * conflict
    removed = entry(removes=(remove(p=written),))
    assert kinds(wanted, removed) == [ConflictKind.DELETE_READ] * conflict


@pytest.mark.parametrize(("mine", "theirs"), [(None, ""), ("", None)])
def test_an_empty_partition_value_is_null_as_the_protocol_says(mine, theirs):
    wanted = intent(add(), reads=partitions(mine))
    assert kinds(wanted, entry(adds=(add(p=theirs),))) == [ConflictKind.APPEND]


def test_a_remove_that_leaves_its_partition_out_counts_as_read():
    winner = entry(removes=(remove("a", partition_values=None),))
    assert kinds(intent(add(), reads=partitions("1")), winner) == [ConflictKind.DELETE_READ]


@pytest.mark.parametrize("reads", [ReadTable(), partitions("1")])
def test_a_reader_does_not_conflict_with_a_winner_that_only_moved_rows(reads):
    compaction = entry(
        adds=(add("a+b", data_change=False),),
        removes=(remove("a", data_change=False), remove("b", data_change=False)),
    )
    assert kinds(intent(add(), reads=reads), compaction) == []


# --- what was read, by a predicate ----------------------------------------------------------------

P1, X5, X9 = Comparison("p", "=", "1"), Comparison("x", "=", 5), Comparison("x", ">=", 9)


@pytest.mark.parametrize(
    ("predicate", "p", "statistics", "conflict"),
    [
        (P1, "1", None, True),
        (P1, "2", None, False),
        (P1, "2", stats(1, 9), False),
        (P1, None, None, False),
        (Not(P1), None, None, False),
        (IsNull("p"), "", None, True),
        (X5, "1", None, True),
        (X5, "1", stats(1, 9), True),
        (X5, "1", stats(6, 9), False),
        (X5, "1", stats(5, 5, nulls=10), False),
        (X5, "1", "not JSON", True),
        (And((P1, X5)), "1", stats(6, 9), False),
        (And((P1, X5)), "2", stats(5, 5), False),
        (And((P1, X5)), "1", stats(5, 5), True),
        (Or((P1, X5)), "2", stats(5, 5), True),
        (Or((P1, X5)), "2", stats(6, 9), False),
        (In("x", (1, 10)), "1", stats(2, 9), False),
        (Comparison("unknown", "=", 1), "1", stats(1, 9), True),
        (Everything(), "1", stats(1, 9), True),
        (Nothing(), "1", None, False),
    ],
)
def test_a_reader_of_rows_conflicts_only_with_files_that_may_hold_some(
    predicate, p, statistics, conflict
):
    wanted = intent(add(), reads=rows(predicate))
    added = entry(adds=(add(p=p, stats=statistics),))
    assert kinds(wanted, added) == [ConflictKind.APPEND] * conflict
    removed = entry(removes=(remove(p=p, stats=statistics),))
    assert kinds(wanted, removed) == [ConflictKind.DELETE_READ] * conflict


def test_a_remove_counts_as_read_unless_it_proves_the_contrary():
    wanted = intent(add(), reads=rows(And((P1, X5))))
    for fields, conflict in (
        ({"partition_values": None}, True),
        ({"partition_values": None, "stats": stats(1, 9)}, True),
        ({"partition_values": None, "stats": stats(6, 9)}, False),
        ({"partition_values": {"p": "2"}}, False),
        ({"partition_values": {"p": "1"}}, True),
        ({"partition_values": {}}, True),
    ):
        winner = entry(removes=(remove(**fields),))
        assert kinds(wanted, winner) == [ConflictKind.DELETE_READ] * conflict


def overwrite(old, new, predicate, **fields):
    """`overwrite(where=predicate)`: the files that held such rows go, files of new ones come."""
    return intent(*old, *new, reads=rows(predicate), **fields)


def won(wanted, version=5):
    """The entry that such a commit makes, as another writer reads it."""
    read = decode(encode(wanted.actions), version)
    return dataclasses.replace(read, commit_info={"isBlindAppend": False})


def test_of_two_overwrites_of_the_same_rows_one_conflicts_with_the_other_delta_rs_3622():
    """Both read p = '1' and x = 5; what one wrote the other would have had to replace."""
    predicate = And((P1, X5))
    first = overwrite([remove("old", stats=stats(1, 9))], [add("a", stats=stats(5, 5))], predicate)
    second = overwrite([remove("old", stats=stats(1, 9))], [add("b", stats=stats(5, 5))], predicate)
    expected = [ConflictKind.DELETE_DELETE, ConflictKind.DELETE_READ, ConflictKind.APPEND]
    assert kinds(first, won(second)) == expected
    assert kinds(second, won(first)) == expected


def test_two_overwrites_of_rows_that_were_not_there_conflict_too_delta_rs_3622():
    """Neither removes a file: what they read is all that tells."""
    first = overwrite([], [add("a", p="1", stats=stats(5, 5))], X5)
    second = overwrite([], [add("b", p="1", stats=stats(5, 5))], X5)
    assert kinds(first, won(second)) == [ConflictKind.APPEND]
    assert kinds(second, won(first)) == [ConflictKind.APPEND]


def test_of_two_overwrites_that_read_what_the_other_wrote_one_conflicts_delta_rs_3622():
    """Write skew: each moves the rows the other reads, in files of their own."""
    to_2 = overwrite([remove("one", p="1")], [add("a", p="2")], P1)
    to_1 = overwrite([remove("two", p="2")], [add("b", p="1")], Comparison("p", "=", "2"))
    assert kinds(to_2, won(to_1)) == [ConflictKind.APPEND]
    assert kinds(to_1, won(to_2)) == [ConflictKind.APPEND]


def bare(file):
    """A file of an unpartitioned table."""
    return msgspec.structs.replace(file, partition_values={})


def test_an_unpartitioned_table_has_no_conflict_where_statistics_prove_one_delta_7356():
    low, high = Comparison("x", "<", 5), X9
    deletes_low = overwrite(
        [bare(remove("l", stats=stats(1, 4)))], [bare(add("a", stats=stats(2, 3)))], low
    )
    deletes_high = overwrite(
        [bare(remove("h", stats=stats(9, 20)))], [bare(add("b", stats=stats(10, 11)))], high
    )
    assert kinds(deletes_low, won(deletes_high)) == []
    assert kinds(deletes_high, won(deletes_low)) == []


def test_an_unpartitioned_table_has_a_conflict_where_statistics_overlap_delta_7356():
    low = Comparison("x", "<", 5)
    wanted = overwrite([bare(remove("l", stats=stats(1, 4)))], [], low)
    assert kinds(wanted, entry(adds=(bare(add(stats=stats(4, 20))),))) == [ConflictKind.APPEND]
    assert kinds(wanted, entry(adds=(bare(add(stats=None)),))) == [ConflictKind.APPEND]


def test_cut_text_proves_no_two_commits_disjoint():
    """A maximum that was cut, with a tie-breaker too small, as old writers have it."""
    flower = "a" * 32 + "\U0001f33c"
    wanted = intent(add(), reads=rows(Comparison("s", "=", flower)))
    cut = stats("a" * 32, "a" * 32 + "\ufffd", column="s")
    assert kinds(wanted, entry(adds=(add(stats=cut),))) == [ConflictKind.APPEND]


def test_a_compaction_conflicts_only_by_a_file_that_both_remove_delta_rs_3982():
    compaction = entry(
        adds=(add("a+b", data_change=False, stats=stats(1, 9)),),
        removes=(remove("a", data_change=False), remove("b", data_change=False)),
    )
    assert kinds(overwrite([remove("c")], [add("d")], X5), compaction) == []
    assert kinds(overwrite([remove("a")], [add("d")], X5), compaction) == [
        ConflictKind.DELETE_DELETE
    ]


def test_write_serializable_lets_a_blind_append_of_rows_that_were_read_pass():
    winner = entry(adds=(add(stats=stats(5, 5)),), blind=True)
    assert kinds(overwrite([], [add()], X5, isolation=WRITE_SERIALIZABLE), winner) == []
    assert kinds(overwrite([], [add()], X5), winner) == [ConflictKind.APPEND]


# --- isolation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("isolation", "blind", "conflict"),
    [
        (Isolation.SERIALIZABLE, True, True),
        (Isolation.SERIALIZABLE, False, True),
        (WRITE_SERIALIZABLE, False, True),
        (WRITE_SERIALIZABLE, True, False),
    ],
)
def test_only_write_serializable_lets_a_blind_append_pass(isolation, blind, conflict):
    wanted = intent(remove("x"), reads=ReadTable(), isolation=isolation)
    winner = entry(adds=(add("a"),), blind=blind)
    assert kinds(wanted, winner) == [ConflictKind.APPEND] * conflict


def test_write_serializable_does_not_excuse_a_missing_blind_append_flag():
    wanted = intent(remove("x"), reads=ReadTable(), isolation=WRITE_SERIALIZABLE)
    assert kinds(wanted, Entry(5, adds=(add("a"),))) == [ConflictKind.APPEND]


def test_write_serializable_excuses_added_rows_and_not_removed_ones():
    wanted = intent(add(), reads=ReadTable(), isolation=WRITE_SERIALIZABLE)
    winner = entry(removes=(remove("a"),), blind=True)
    assert kinds(wanted, winner) == [ConflictKind.DELETE_READ]


def test_write_serializable_metadata_change_conflicts_with_rows_written_for_the_old_metadata():
    wanted = intent(
        metadata(schema_string="other"),
        remove("x"),
        reads=ReadTable(),
        isolation=WRITE_SERIALIZABLE,
    )
    assert kinds(wanted, entry(adds=(add("a"),), blind=True)) == [ConflictKind.APPEND]


# --- 7: domains -----------------------------------------------------------------------------------


def test_setting_one_domain_twice_conflicts_and_two_domains_do_not():
    wanted = intent(DomainMetadata(domain="m", configuration="1"))
    same = entry(domain_metadata=(DomainMetadata(domain="m", configuration="2"),))
    other = entry(domain_metadata=(DomainMetadata(domain="n", configuration="2"),))
    assert kinds(wanted, same) == [ConflictKind.DOMAIN_METADATA]
    assert kinds(wanted, other) == []


# --- transactions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "version", "repeats"),
    [("x", 6, False), ("x", 7, True), ("x", 8, False), ("y", 7, False), ("y", 8, False)],
)
def test_an_equal_transaction_of_the_same_application_is_a_repeat(app, version, repeats):
    winner = entry(txns=(Txn(app_id="other", version=1), Txn(app_id=app, version=version)))
    assert repeats_txn(intent(Txn(app_id="x", version=7), add(), txn=("x", 7)), winner) is repeats


@pytest.mark.parametrize(
    ("app", "version", "overtaken"),
    [
        ("x", 6, None),
        ("x", 7, None),
        ("x", 8, Overtaken("x", 7, 8)),
        ("y", 8, None),
        ("x", 2**63 - 1, Overtaken("x", 7, 2**63 - 1)),
    ],
)
def test_a_later_transaction_of_the_same_application_overtakes(app, version, overtaken):
    winner = entry(txns=(Txn(app_id="other", version=9), Txn(app_id=app, version=version)))
    wanted = intent(Txn(app_id="x", version=7), add(), txn=("x", 7))
    assert overtaken_txn(wanted, winner) == overtaken


def test_an_intent_without_a_transaction_repeats_none():
    assert not repeats_txn(intent(add()), entry(txns=(Txn(app_id="x", version=7),)))
    assert overtaken_txn(intent(add()), entry(txns=(Txn(app_id="x", version=7),))) is None


def test_a_repeated_transaction_is_no_conflict():
    wanted = intent(Txn(app_id="x", version=7), add(), txn=("x", 7))
    assert kinds(wanted, entry(txns=(Txn(app_id="x", version=7),))) == []


# --- as a whole -----------------------------------------------------------------------------------


def test_all_conflicts_are_returned_in_the_documented_order():
    wanted = intent(
        remove("a"), DomainMetadata(domain="m", configuration=""), reads=partitions("1")
    )
    winner = entry(
        domain_metadata=(DomainMetadata(domain="m", configuration=""),),
        adds=(add("new"),),
        removes=(remove("a"), remove("b")),
        metadata=metadata(schema_string="other"),
        protocol=Protocol(min_reader_version=1, min_writer_version=3),
    )
    assert kinds(wanted, winner) == [
        ConflictKind.PROTOCOL_CHANGED,
        ConflictKind.METADATA_CHANGED,
        ConflictKind.DELETE_DELETE,
        ConflictKind.DELETE_READ,
        ConflictKind.DELETE_READ,
        ConflictKind.APPEND,
        ConflictKind.DOMAIN_METADATA,
    ]


def test_a_conflict_names_its_version_and_what_met():
    (conflict,) = check(intent(remove("a")), entry(version=12, removes=(remove("a"),)))
    assert str(conflict) == ("ConcurrentDeleteDelete at version 12: both remove the file a")


ORDER = list(ConflictKind)


@given(intents, entries)
def test_conflicts_always_come_in_the_order_of_the_rules(wanted, winner):
    found = [ORDER.index(kind) for kind in kinds(wanted, winner)]
    assert found == sorted(found)


@given(intents, entries)
def test_the_verdict_is_monotone(wanted, winner):
    """However far an intent has come, and whenever it asks, its verdict on one entry is the same."""
    verdict = check(wanted, winner)
    later = dataclasses.replace(winner, version=winner.version + 100)
    assert [(c.kind, c.detail) for c in check(wanted, later)] == [
        (c.kind, c.detail) for c in verdict
    ]
    assert check(wanted, winner) == verdict


@given(intents, entries, entries)
def test_an_entry_that_holds_more_never_conflicts_less(wanted, winner, more):
    """What makes one entry out of several commits safe: the union has every part's conflicts."""
    union = dataclasses.replace(
        winner,
        adds=winner.adds + more.adds,
        removes=winner.removes + more.removes,
        domain_metadata=winner.domain_metadata + more.domain_metadata,
        commit_info={"isBlindAppend": winner.blind_append and more.blind_append},
    )
    assert set(check(wanted, winner)) <= set(check(wanted, union))


@given(intents, entries)
def test_the_verdict_survives_the_way_through_bytes(wanted, winner):
    """The same entry, as another process reads it, gets the same verdict."""
    optional = [CommitInfo(fields={}), winner.protocol, winner.metadata]
    actions = [a for a in optional if a is not None]
    actions += [*winner.adds, *winner.removes, *winner.txns, *winner.domain_metadata]
    read = decode(encode(actions), winner.version)
    read = dataclasses.replace(read, commit_info=winner.commit_info)
    assert check(wanted, read) == check(wanted, winner)
    assert repeats_txn(wanted, read) == repeats_txn(wanted, winner)
    assert overtaken_txn(wanted, read) == overtaken_txn(wanted, winner)
