"""The only door to clock, randomness and identity.

Everything that waits, jitters, stamps or names asks an `Env`; a linter rule forbids `time.*`,
`random` and `uuid.uuid4` elsewhere. Tests and the simulator pass an `Env` of their own, so that one
seed gives one trace and no test has to sleep.
"""

import random
import time
import uuid
from typing import Protocol


class Env(Protocol):
    """Clock, randomness, ids and sleep, as a value that can be replaced."""

    def now(self) -> float:
        """Wall-clock time in seconds since the Unix epoch. For stamps only, never for ordering."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back. For durations and deadlines."""
        ...

    def random(self) -> float:
        """A float drawn uniformly from [0, 1)."""
        ...

    def new_id(self) -> str:
        """A fresh universally unique id: 32 lower-case hexadecimal digits."""
        ...

    def sleep(self, seconds: float) -> None:
        """Pause the calling thread."""
        ...


class AsyncEnv(Env, Protocol):
    """An `Env` whose pauses do not block the event loop."""

    async def sleep_async(self, seconds: float) -> None:
        """Pause the calling task."""
        ...


class SystemEnv:
    """The machine's own clock and randomness; safe to share between threads."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def now(self) -> float:
        """See `Env.now`."""
        return time.time()

    def monotonic(self) -> float:
        """See `Env.monotonic`."""
        return time.monotonic()

    def random(self) -> float:
        """See `Env.random`."""
        return self._random.random()

    def new_id(self) -> str:
        """See `Env.new_id`."""
        return uuid.uuid4().hex

    def sleep(self, seconds: float) -> None:
        """See `Env.sleep`."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """See `AsyncEnv.sleep_async`."""
        import asyncio  # noqa: PLC0415 - it costs as much as the store floor

        await asyncio.sleep(seconds)


SYSTEM = SystemEnv()
