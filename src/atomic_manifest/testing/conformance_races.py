"""Tests in which clients race for one key: exactly one may win, every time."""

from collections.abc import Sequence
from types import UnionType
from typing import ClassVar

from atomic_manifest.store.conditions import IfAbsent, IfMatch
from atomic_manifest.store.driver import Deleted, Driver, Unanswered, Written
from atomic_manifest.testing.checks import decided, race, tag, upload, written
from atomic_manifest.testing.features import Feature, FeatureTests

_COUNTERS, _INCREMENTS = 5, 10


class RaceTests(FeatureTests):
    """Races.

    Attributes:
        creators: How many race for a key with `put`.
        racers: How many race for a key with the other verbs.
        rounds: How many keys they race for, with `put`; with the other verbs a fifth of it.
    """

    creators: ClassVar[int] = 16
    racers: ClassVar[int] = 8
    rounds: ClassVar[int] = 5

    @property
    def _few(self) -> range:
        return range(max(1, self.rounds // 5))

    def test_racing_creators_have_one_winner(self, driver: Driver) -> None:
        """At the same instant, key after key; the winner's bytes stay."""
        self.needs(Feature.PUT_RACES)
        for key in range(self.rounds):
            path = f"race/{key}"
            outcomes = race(
                self.creators,
                lambda i, path=path: decided(lambda: driver.put(path, b"%d" % i, when=IfAbsent())),  # type: ignore[misc]
            )
            assert driver.get(path).data == b"%d" % _only(outcomes, Written)

    def test_compare_and_swap_loses_no_increment(self, driver: Driver) -> None:
        """Five counters, ten increments each: 50."""
        self.needs(Feature.PUT_RACES)
        driver.put("counter", b"0")

        def count(_: int) -> None:
            for _ in range(_INCREMENTS):
                _increment(driver, "counter")

        race(_COUNTERS, count)
        assert driver.get("counter").data == b"%d" % (_COUNTERS * _INCREMENTS)

    def test_racing_uploads_have_one_winner(self, driver: Driver) -> None:
        """Of those that create, and of those that replace one state."""
        self.needs(Feature.UPLOAD_RACES, Feature.UPLOAD_ABSENT)
        for key in self._few:
            path = f"race/{key}"
            outcomes = race(
                self.racers,
                lambda i, path=path: decided(  # type: ignore[misc]
                    lambda: upload(driver, path, b"%d" % i, when=IfAbsent())
                ),
            )
            assert driver.get(path).data == b"%d" % _only(outcomes, Written)

    def test_racing_replacing_uploads_have_one_winner(self, driver: Driver) -> None:
        """With the tag of one state."""
        self.needs(Feature.UPLOAD_RACES, Feature.UPLOAD_MATCH)
        for key in self._few:
            path = f"race/{key}"
            when = IfMatch(tag(driver.put(path, b"first")))
            outcomes = race(
                self.racers,
                lambda i, path=path, when=when: decided(  # type: ignore[misc]
                    lambda: upload(driver, path, b"%d" % i, when=when)
                ),
            )
            assert driver.get(path).data == b"%d" % _only(outcomes, Written)

    def test_racing_copies_have_one_winner(self, driver: Driver) -> None:
        """From as many sources to one path that is free."""
        self.needs(Feature.COPY_RACES, Feature.COPY_ABSENT)
        for source in range(self.racers):
            written(driver.put(f"source/{source}", b"%d" % source))
        for key in self._few:
            path = f"race/{key}"
            outcomes = race(
                self.racers,
                lambda i, path=path: decided(  # type: ignore[misc]
                    lambda: driver.copy(f"source/{i}", path, when=IfAbsent())
                ),
            )
            assert driver.get(path).data == b"%d" % _only(outcomes, Written)

    def test_racing_replacing_copies_have_one_winner(self, driver: Driver) -> None:
        """From as many sources over one state."""
        self.needs(Feature.COPY_RACES, Feature.COPY_MATCH)
        for source in range(self.racers):
            written(driver.put(f"source/{source}", b"%d" % source))
        for key in self._few:
            path = f"race/{key}"
            when = IfMatch(tag(driver.put(path, b"first")))
            outcomes = race(
                self.racers,
                lambda i, path=path, when=when: decided(  # type: ignore[misc]
                    lambda: driver.copy(f"source/{i}", path, when=when)
                ),
            )
            assert driver.get(path).data == b"%d" % _only(outcomes, Written)

    def test_racing_deletions_have_one_winner(self, driver: Driver) -> None:
        """Of one state of one object."""
        self.needs(Feature.DELETE_RACES, Feature.DELETE_MATCH)
        for key in self._few:
            path = f"race/{key}"
            when = IfMatch(tag(driver.put(path, b"first")))
            outcomes = race(
                self.racers,
                lambda _, path=path, when=when: decided(lambda: driver.delete(path, when=when)),  # type: ignore[misc]
            )
            _only(outcomes, Deleted)

    def test_a_deletion_and_a_write_of_one_state_do_not_both_win(self, driver: Driver) -> None:
        """Half of the racers delete it, half replace it."""
        self.needs(Feature.PUT_RACES, Feature.DELETE_RACES, Feature.DELETE_MATCH)
        for key in self._few:
            path = f"race/{key}"
            when = IfMatch(tag(driver.put(path, b"first")))
            outcomes = race(
                self.racers,
                lambda i, path=path, when=when: (  # type: ignore[misc]
                    decided(lambda: driver.delete(path, when=when))
                    if i % 2
                    else decided(lambda: driver.put(path, b"%d" % i, when=when))
                ),
            )
            winner = _only(outcomes, Deleted | Written)
            left = [driver.get(meta.path).data for meta in driver.list(path.partition("/")[0])]
            assert left == ([] if winner % 2 else [b"%d" % winner])
            driver.delete(path)


def _only(outcomes: Sequence[object], kind: type | UnionType) -> int:
    """The number of the one that won."""
    winners = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, kind)]
    assert len(winners) == 1, f"{len(winners)} won: {outcomes}"
    return winners[0]


def _increment(driver: Driver, path: str) -> None:
    """Read, add one, swap; again after each loss."""
    swapped = False
    while not swapped:
        seen = driver.get(path)
        assert seen.meta.etag is not None
        outcome = driver.put(path, b"%d" % (int(seen.data) + 1), when=IfMatch(seen.meta.etag))
        assert not isinstance(outcome, Unanswered), outcome
        swapped = isinstance(outcome, Written)
