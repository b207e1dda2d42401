"""Every run of a program that asks for choices, by replay.

The program is run again and again. Each run follows a recorded sequence of choices and takes the first
alternative beyond its end; the next run increments the last choice that has an alternative left. So no
state is ever copied, and a failing run is reproduced by its sequence alone.
"""

from collections.abc import Callable, Sequence

UNFINISHED = object()
"""Returned by a run that was not worth going on with."""


class Choices:
    """The choices of one run.

    Args:
        script: The choices to repeat; beyond its end the first alternative is taken.
    """

    def __init__(self, script: Sequence[int] = ()) -> None:
        self._script = script
        self.taken: list[int] = []
        self._alternatives: list[int] = []

    def choose(self, alternatives: int) -> int:
        """One of `alternatives` > 0: a number below it."""
        position = len(self.taken)
        choice = self._script[position] if position < len(self._script) else 0
        if not 0 <= choice < alternatives:
            raise ValueError(f"choice {choice} of {alternatives} at {position}: not deterministic")
        self.taken.append(choice)
        self._alternatives.append(alternatives)
        return choice

    def following(self) -> list[int] | None:
        """The script of the next run, None after the last one."""
        for position in range(len(self.taken) - 1, -1, -1):
            if self.taken[position] + 1 < self._alternatives[position]:
                return [*self.taken[:position], self.taken[position] + 1]
        return None


class CounterexampleError(AssertionError):
    """A run that broke an invariant; `script` repeats it."""

    def __init__(self, script: Sequence[int], cause: AssertionError) -> None:
        super().__init__(f"{cause}\nrepeat with Choices({list(script)})")
        self.script = list(script)


def explore(run: Callable[[Choices], object]) -> int:
    """Run with every sequence of choices; how many came to an end, so did not return UNFINISHED.

    Raises:
        CounterexampleError: At the first run that raises an `AssertionError`.
    """
    script: list[int] | None = []
    runs = 0
    while script is not None:
        choices = Choices(script)
        try:
            runs += run(choices) is not UNFINISHED
        except AssertionError as error:
            raise CounterexampleError(choices.taken, error) from error
        script = choices.following()
    return runs
