"""What is explored: pairs and triples of writers, what they know, and how many faults they meet.

`USUAL` is run with the tests, `DEEP` beyond them. A case that is "spread" may have more schedules than are
run: its limit is spread over all of them. No schedule of `USUAL` is run twice: two of its cases differ in
their writers, in what these know, or in their budgets, and never in the number of faults alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from atomic_manifest.commit.intent import Intent, Isolation
from atomic_manifest.commit.posted import key_of
from atomic_manifest.commit.progress import Memory
from atomic_manifest.log.entry import decode
from atomic_manifest.testing.model import table
from atomic_manifest.testing.model.schedules import Case

TXN = ("loader", 7)

RACING: Mapping[str, tuple[Intent, ...]] = {
    "two appends": (table.append("A"), table.append("B")),
    "two appends of one transaction": (table.append("A", txn=TXN), table.append("B", txn=TXN)),
    "two transactions of one application": (
        table.append("A", txn=TXN),
        table.append("B", txn=("loader", 6)),
    ),
    "two deletes of one file": (table.delete("A"), table.delete("B")),
    "two deletes in one partition": (table.delete("A", "a"), table.delete("B", "b")),
    "delete and compaction": (table.drop_file("A"), table.compact("B")),
    "reader of a partition and compaction": (
        table.intent("A", table.add("sum", "2"), reads=table.partition()),
        table.compact("B"),
    ),
    "overwrite and append": (table.overwrite_partition("A"), table.append("B")),
    "overwrite and append elsewhere": (table.overwrite_partition("A"), table.append("B", "2")),
    "write-serializable overwrite and append": (
        table.overwrite_partition("A", Isolation.WRITE_SERIALIZABLE),
        table.append("B"),
    ),
    "overwrite of the table and append": (table.overwrite_table("A"), table.append("B", "2")),
    "new schema and append": (table.change_schema("A"), table.append("B")),
    "write-serializable new schema and append": (
        table.change_schema("A", Isolation.WRITE_SERIALIZABLE),
        table.append("B"),
    ),
    "two creations of the table": (table.create("A"), table.create("B")),
    "delete by predicate and append of such a row": (
        table.delete_ids("A", "<", 5, "a"),
        table.append_id("B", 3),
    ),
    "delete by predicate and append of another row": (
        table.delete_ids("A", "<", 5, "a"),
        table.append_id("B", 7),
    ),
    "two deletes by predicates, each of what the other read": (
        table.intent("A", table.add("A@8"), table.remove("a"), reads=table.ids("<", 5)),
        table.intent("B", table.add("B@3"), table.remove("b"), reads=table.ids(">=", 5)),
    ),
}
"""By name: two writers. Those that change metadata share no entry."""

COMBINING = {
    name: intents for name, intents in RACING.items() if all(i.is_combinable for i in intents)
}
"""Those of them that may share an entry."""

ALONE = Memory()
CONTENDED = Memory(contended=True)
SUSPECTING = Memory(
    contended=True, suspects=frozenset({key_of(table.append("A")), key_of(table.append("B"))})
)

MEMORIES: Mapping[str, tuple[Memory, ...]] = {
    "both met others": (CONTENDED, CONTENDED),
    "the first met others": (CONTENDED, ALONE),
    "the second met others": (ALONE, CONTENDED),
    "each suspects the other": (SUSPECTING, SUSPECTING),
}

TRIPLES: Mapping[str, tuple[Intent, ...]] = {
    "appends of one transaction and an overwrite": (
        table.append("A", txn=TXN),
        table.overwrite_partition("B"),
        table.append("C", txn=TXN),
    ),
    "an append and two deletes of one file": (
        table.append("A", "2"),
        table.delete("B"),
        table.delete("C"),
    ),
    "three appends": (table.append("A"), table.append("B"), table.append("C")),
}

TRIPLE_MEMORIES: Mapping[str, tuple[Memory, ...]] = {
    "nobody met others": (ALONE,) * 3,
    "two met others": (CONTENDED, CONTENDED, ALONE),
    "all met others": (CONTENDED,) * 3,
}

PROLOGUE = (table.append("before", "2"),)


def _with_a_stale_writer() -> Iterator[Case]:
    """One writer begins where another version has long been, which only the other remembers."""
    log = [decode(table.FIRST_ENTRY, 0), PROLOGUE[0].as_entry(1)]
    informed = Memory(contended=True, recent=tuple(log))
    for name in ("two appends", "overwrite and append", "two deletes of one file"):
        stale, fresh = RACING[name]
        yield Case(
            f"{name}, the first is a version behind, the second remembers the log",
            (stale, replace(fresh, base_version=1)),
            memories=(CONTENDED, informed),
            prologue=PROLOGUE,
            looks=3,
        )


def _planned_again() -> Iterator[Case]:
    """An overwrite that met a conflict goes on under its id, while its first intent is still posted."""
    overwrite, append = table.overwrite_partition("A"), table.append("B")
    for name, other, again in (
        ("two overwrites that are planned again", table.overwrite_partition("B"), "AB"),
        ("an overwrite that is planned again and an append", append, "A"),
        ("an overwrite that is planned again and a delete", table.delete("B", "b"), "A"),
    ):
        for known, memories in (("nobody met others", (ALONE, ALONE)), *MEMORIES.items()):
            yield Case(
                f"{name}, {known}",
                (overwrite, other),
                memories=memories,
                planners=dict.fromkeys(again, table.overwrite_again),
                looks=3,
            )


def _made_anew() -> Iterator[Case]:
    """The table was dropped and made anew under the first writer; the second one is of the new table."""
    prologue = (table.of_table(table.append("before", "2"), "another"),)
    other = replace(table.of_table(table.append("B"), "another"), base_version=1)
    for name, old in (
        ("append", table.append("A")),
        ("overwrite", table.overwrite_partition("A")),
        ("delete of a file", table.drop_file("A")),
    ):
        for known, memories in (("nobody met others", (ALONE, ALONE)), *MEMORIES.items()):
            yield Case(
                f"{name} on a table made anew, {known}",
                (old, other),
                memories=memories,
                prologue=prologue,
                looks=3,
            )


def _racing(faults: int) -> Iterator[Case]:
    for name, intents in RACING.items():
        yield Case(f"{name}, racing, {faults} faults", intents, faults=faults)


def _combining() -> Iterator[Case]:
    for name, intents in COMBINING.items():
        for known, memories in MEMORIES.items():
            yield Case(f"{name}, {known}", intents, memories=memories, looks=3)
    both = MEMORIES["both met others"]
    for name in ("two appends", "two deletes of one file", "overwrite and append"):
        intents = RACING[name]
        yield Case(f"{name}, soon expired", intents, memories=both, lifetime=1, looks=3)
        yield Case(f"{name}, short budgets", intents, memories=both, attempts=1, looks=1)


def _combining_with_two_faults() -> Iterator[Case]:
    for name, intents in COMBINING.items():
        yield Case(
            f"{name}, both met others, 2 faults",
            intents,
            faults=2,
            attempts=1,
            memories=MEMORIES["both met others"],
            looks=2,
        )


def _triples(faults: int, *known: str) -> Iterator[Case]:
    for name, intents in TRIPLES.items():
        for which in known:
            yield Case(
                f"{name}, {which}, {faults} faults",
                intents,
                faults=faults,
                memories=TRIPLE_MEMORIES[which],
                looks=2,
            )


def _spread(cases: Iterable[Case], limit: int) -> Iterator[Case]:
    for case in cases:
        yield replace(case, name=f"{case.name}, up to {limit} spread", limit=limit)


USUAL: tuple[Case, ...] = (
    *_racing(2),
    *_combining(),
    *_with_a_stale_writer(),
    *_planned_again(),
    *_made_anew(),
    *_triples(0, "all met others"),
    *_spread(_triples(1, "nobody met others", "two met others"), 3000),
    *_spread(_combining_with_two_faults(), 3000),
)
"""What the tests explore."""

DEEP: tuple[Case, ...] = (
    *_spread(_racing(3), 40_000),
    *_spread(_combining_with_two_faults(), 40_000),
    *_spread(_triples(1, *TRIPLE_MEMORIES), 40_000),
    *_spread(_triples(2, *TRIPLE_MEMORIES), 20_000),
)
"""What is explored beyond the tests."""
