"""The explorer itself."""

import pytest

from atomic_manifest.testing.model.tree import CounterexampleError, explore, follow, split


class Digits:
    """Every sequence of digits that `branches` allows; `ends` takes those at which it ends."""

    def __init__(self, branches, ends):
        self.digits = ()
        self.branches = branches
        self.ends = ends

    def options(self):
        return self.branches(self.digits)

    def take(self, option):
        assert option < self.options()
        self.digits += (option,)

    def copy(self):
        new = Digits(self.branches, self.ends)
        new.digits = self.digits
        return new

    def finish(self):
        return self.ends(self.digits) is not False


def three_digits(digits):
    return 3 if len(digits) < 3 else 0


def uneven(digits):
    """One branch is a single way, the other has many."""
    return 0 if digits[:1] == (0,) or len(digits) > 6 else 2


def ways(branches, **options):
    seen = []
    count = explore(lambda: Digits(branches, seen.append), **options)
    assert count == len(seen)
    return seen


def test_every_way_is_gone_once():
    assert ways(three_digits) == [
        (a, b, c) for a in range(3) for b in range(3) for c in range(3)
    ]  # fmt: skip


def test_later_options_may_depend_on_earlier_ones():
    seen = ways(lambda digits: 3 if not digits else 2 if len(digits) <= digits[0] else 0)
    assert seen == [(0,), (1, 0), (1, 1), (2, 0, 0), (2, 0, 1), (2, 1, 0), (2, 1, 1)]


def test_what_has_no_options_is_one_way():
    assert ways(lambda _: 0) == [()]


def test_a_way_that_was_not_worth_it_is_not_counted():
    assert explore(lambda: Digits(three_digits, lambda digits: digits[0] != 0)) == 18


def test_a_script_chooses_the_ways_that_begin_with_it():
    assert ways(three_digits, script=(1, 2)) == [(1, 2, 0), (1, 2, 1), (1, 2, 2)]


@pytest.mark.parametrize("limit", [1, 2, 10, 26])
def test_a_limit_takes_as_many_different_ways_always_the_same(limit):
    seen = ways(three_digits, limit=limit)
    assert len(set(seen)) == len(seen) == limit
    assert seen == ways(three_digits, limit=limit)


def test_a_limit_is_spread_over_all_branches():
    assert {digits[0] for digits in ways(three_digits, limit=3)} == {0, 1, 2}


def test_a_limit_beyond_all_ways_takes_all():
    assert set(ways(three_digits, limit=1000)) == set(ways(three_digits))


def test_a_branch_that_needs_less_leaves_the_rest_to_others():
    assert len(ways(uneven, limit=20)) > 10


@pytest.mark.parametrize("parts", [1, 5, 27, 1000])
def test_the_parts_of_a_tree_are_all_of_it(parts):
    scripts = split(lambda: Digits(three_digits, bool), parts)
    assert len(scripts) >= min(parts, 27)
    seen = [way for script in scripts for way in ways(three_digits, script=script)]
    assert sorted(seen) == ways(three_digits)


def fail_at_five(digits):
    assert sum(digits) < 5, f"total is {sum(digits)}"


def test_a_failing_way_is_repeated_by_its_script():
    with pytest.raises(CounterexampleError, match=r"(?s)total is 5.*the script 1\.2\.2") as e:
        explore(lambda: Digits(three_digits, fail_at_five))
    with pytest.raises(AssertionError, match="total is 5"):
        follow(lambda: Digits(three_digits, fail_at_five), e.value.script)


def test_a_script_is_followed_by_the_first_option_each_time():
    assert follow(lambda: Digits(three_digits, bool), (2,)).digits == (2, 0, 0)
