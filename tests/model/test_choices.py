"""The explorer itself."""

import pytest

from tests.model.choices import Choices, CounterexampleError, explore


def test_every_sequence_of_choices_is_run_once():
    seen = []
    explore(lambda choices: seen.append((choices.choose(2), choices.choose(3))))
    assert seen == [(a, b) for a in range(2) for b in range(3)]


def test_later_choices_may_depend_on_earlier_ones():
    seen = []

    def run(choices):
        seen.append([choices.choose(2) for _ in range(choices.choose(3))])

    assert explore(run) == 1 + 2 + 4
    assert seen == [[], [0], [1], [0, 0], [0, 1], [1, 0], [1, 1]]


def test_a_program_without_choices_is_run_once():
    assert explore(lambda choices: choices) == 1


def test_a_failing_run_is_repeated_by_its_script():
    def run(choices):
        total = choices.choose(3) + choices.choose(3) + choices.choose(3)
        assert total < 5, f"total is {total}"

    with pytest.raises(CounterexampleError, match="total is 5") as failure:
        explore(run)
    with pytest.raises(AssertionError, match="total is 5"):
        run(Choices(failure.value.script))


def test_a_script_that_does_not_fit_the_program_is_an_error():
    with pytest.raises(ValueError, match="not deterministic"):
        Choices([2]).choose(2)
