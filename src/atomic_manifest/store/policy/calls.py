"""Operations without I/O: generators that say what to do next, and the two that do it.

The policy of every operation is a generator. It yields a `Call` (one method of the driver, an upload
or a body) or a `Pause`, is sent what the call returned, and is thrown what it raised. `run` performs
that on a `Driver` in the calling thread, `run_async` on an `AsyncDriver` in a task; so the blocking
and the asynchronous store decide everything alike.

Whatever interrupts a call or a pause, cancellation included, is thrown into the generator as well, so
that it can tidy up; it must let that exception go on.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from atomic_manifest.env import AsyncEnv, Env

if TYPE_CHECKING:
    from atomic_manifest.store.async_driver import AsyncDriver
    from atomic_manifest.store.driver import Driver

T = TypeVar("T")


@dataclass(slots=True)
class Call:
    """Call one method.

    Attributes:
        method: Its name.
        args: Positional arguments.
        options: Named arguments.
        on: Whose method it is; None stands for the driver.
    """

    method: str
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    on: Any = None


@dataclass(slots=True)
class Pause:
    """Wait.

    Attributes:
        seconds: For how long.
    """

    seconds: float


Steps: TypeAlias = Generator[Call | Pause, Any, T]
"""An operation whose result is a `T`."""


def run(steps: Steps[T], driver: "Driver", env: Env) -> T:
    """Perform an operation in this thread.

    Args:
        steps: The operation, not yet begun.
        driver: Gets the calls that name no other object.
        env: Makes the pauses.

    Returns:
        The operation's result. It raises what the operation raises.
    """
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Call):
                    on = driver if step.on is None else step.on
                    result = getattr(on, step.method)(*step.args, **step.options)
                else:
                    result = None
                    env.sleep(step.seconds)
            except BaseException as error:  # noqa: BLE001 - it is for the operation to handle
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def run_async(steps: Steps[T], driver: "AsyncDriver", env: AsyncEnv) -> T:
    """Perform an operation in this task.

    Args:
        steps: The operation, not yet begun.
        driver: Gets the calls that name no other object.
        env: Makes the pauses.

    Returns:
        The operation's result. It raises what the operation raises.
    """
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Call):
                    on = driver if step.on is None else step.on
                    result = getattr(on, step.method)(*step.args, **step.options)
                    if hasattr(result, "__await__"):  # a caller's function may be a plain one
                        result = await result
                else:
                    result = None
                    await env.sleep_async(step.seconds)
            except BaseException as error:  # noqa: BLE001 - it is for the operation to handle
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
