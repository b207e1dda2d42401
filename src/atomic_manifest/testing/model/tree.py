"""Every way that something can go, by depth first.

What is explored says in how many ways it can go on, goes one of them, and can be copied. So a step that
many ways have in common is taken once. A way that fails is repeated by the numbers of its options alone.

A limit takes no prefix of the tree: each branch gets an equal share of it, branches that need less
leave the rest to those after them, and the order is drawn from the position in the tree. So the ways taken
are spread over the whole tree, the same ones each time, and none twice; where the last branches need less
than is left, they are fewer than the limit.
"""

import random  # noqa: TID251 - seeded by the position in the tree
from collections.abc import Callable, Sequence
from typing import Protocol, Self


class Explorable(Protocol):
    """Something that can go on in several ways."""

    def options(self) -> int:
        """In how many ways it can go on; 0 at its end."""
        ...

    def take(self, option: int) -> None:
        """Go on in one of these ways, counted from 0."""
        ...

    def copy(self) -> Self:
        """One that goes its own way from here."""
        ...

    def finish(self) -> bool:
        """Check what came of it, at its end; False if it was not worth going on with."""
        ...


class CounterexampleError(AssertionError):
    """A way that broke an invariant; `follow` repeats it.

    Args:
        script: The options taken.
        cause: What was broken.

    Attributes:
        script: The options taken.
    """

    def __init__(self, script: Sequence[int], cause: AssertionError) -> None:
        super().__init__(f"{cause}\nrepeat with the script {'.'.join(map(str, script))}")
        self.script = tuple(script)
        self.cause = cause

    def __reduce__(self) -> tuple[type["CounterexampleError"], tuple[object, ...]]:
        return type(self), (self.script, self.cause)


def explore(
    start: Callable[[], Explorable], *, script: Sequence[int] = (), limit: int | None = None
) -> int:
    """Go every way that begins with `script`.

    Args:
        start: Begins anew.
        script: The first options.
        limit: How many ways at most; spread over all there are.

    Returns:
        How many came to an end that was worth it.

    Raises:
        CounterexampleError: At the first way that raises an `AssertionError`.
    """
    taken: list[int] = []
    try:
        begun = start()
        for option in script:
            taken.append(option)
            begun.take(option)
        return _explore(begun, taken, limit)
    except AssertionError as error:
        raise CounterexampleError(taken, error) from error


def follow(start: Callable[[], Explorable], script: Sequence[int]) -> Explorable:
    """Go one way to its end; beyond the end of `script` always the first one.

    Raises:
        AssertionError: What it broke.
    """
    begun = start()
    for option in script:
        begun.take(option)
    while begun.options():
        begun.take(0)
    begun.finish()
    return begun


def split(start: Callable[[], Explorable], parts: int) -> list[tuple[int, ...]]:
    """Scripts that together begin every way, each way one of them; about so many, if there are."""
    scripts: list[tuple[int, ...]] = [()]
    while len(scripts) < parts:
        longer = [following for script in scripts for following in _following(start, script)]
        if len(longer) == len(scripts):
            break
        scripts = longer
    return scripts


def _following(start: Callable[[], Explorable], script: tuple[int, ...]) -> list[tuple[int, ...]]:
    begun = start()
    try:
        for option in script:
            begun.take(option)
        return [(*script, option) for option in range(begun.options())] or [script]
    except AssertionError:
        return [script]  # whoever explores it will say what is wrong


def _explore(begun: Explorable, taken: list[int], limit: int | None) -> int:
    options = begun.options()
    if not options:
        return int(begun.finish())
    order = list(range(options))
    if limit is not None:
        random.Random(".".join(map(str, taken))).shuffle(order)
    done = 0
    for position, option in enumerate(order):
        left = options - position
        share = None if limit is None else -(-(limit - done) // left)
        if share == 0:
            break
        branch = begun.copy() if left > 1 else begun
        taken.append(option)
        branch.take(option)
        done += _explore(branch, taken, share)
        taken.pop()
    return done
