"""All schedules of a few writers with a bounded number of faults."""

from collections.abc import Callable, Sequence

from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.protocol import Budget, CreateEntry, Moment, Wait
from tests.model.choices import Choices
from tests.model.world import PUT_FAULTS, READ_FAULTS, Fault, Flying, World, Writer, check_world

_STEPS = 200
"""No bounded schedule is longer; one that is has met a loop without end."""


def schedule(
    intents: Sequence[Intent], *, faults: int, attempts: int = 3
) -> Callable[[Choices], World]:
    """A program for `explore`: one run is one schedule, checked at its end.

    At every step either one writer's request is executed, normally or with a fault, or a PUT that was
    held back arrives. Pauses are no request, so they take no step.

    Args:
        intents: One writer each.
        faults: How many faults one schedule has at most.
        attempts: PUTs of one writer at most.
    """
    budget = Budget(attempts=attempts, seconds=float("inf"))

    def run(choices: Choices) -> World:
        world = World(intents, budget, Moment(0.0, 0, 0.0))
        left = faults
        for step in range(1, _STEPS):
            moment = Moment(0.0, step, 0.0)
            options = _options(world, left)
            if not options:
                break
            option = options[choices.choose(len(options))]
            if isinstance(option, Flying):
                world.land(option)
                continue
            writer, fault = option
            left -= fault is not None
            world.perform(writer, moment, fault)
            while writer.active and isinstance(writer.machine.request, Wait):
                world.perform(writer, moment)
        else:
            raise AssertionError("the schedule does not end")
        while world.flying:
            world.land(world.flying[choices.choose(len(world.flying))])
        check_world(world)
        return world

    return run


_Option = tuple[Writer, Fault | None] | Flying


def _options(world: World, left: int) -> list[_Option]:
    options: list[_Option] = []
    for writer in world.writers:
        if not writer.active:
            continue
        options.append((writer, None))
        if left:
            is_put = isinstance(writer.machine.request, CreateEntry)
            options += [(writer, fault) for fault in (PUT_FAULTS if is_put else READ_FAULTS)]
    if options:
        # A copy whose version is taken can arrive whenever it likes: it changes nothing.
        options += [flying for flying in world.flying if flying.version not in world.objects]
    return options
