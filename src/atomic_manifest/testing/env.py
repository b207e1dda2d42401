"""An `AsyncEnv` whose clock moves only when somebody sleeps: one seed, one trace, no waiting."""

import itertools
import random  # noqa: TID251 - this is one of the two doors to randomness
import threading


class FakeEnv:
    """Virtual clock, seeded randomness, counted ids. Safe to share between threads.

    Args:
        seed: Of the random numbers.
        start: The wall-clock time at first, in seconds since the Unix epoch.

    Attributes:
        slept: The lengths of all sleeps so far, in seconds.
    """

    def __init__(self, seed: int = 0, *, start: float = 1_700_000_000.0) -> None:
        self.slept: list[float] = []
        self._random = random.Random(seed)
        self._start = start
        self._elapsed = 0.0
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def now(self) -> float:
        """See `Env.now`."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """See `Env.monotonic`."""
        return self._elapsed

    def random(self) -> float:
        """See `Env.random`."""
        with self._lock:
            return self._random.random()

    def new_id(self) -> str:
        """See `Env.new_id`. The ids count up."""
        with self._lock:
            return f"{next(self._ids):032x}"

    def sleep(self, seconds: float) -> None:
        """See `Env.sleep`. Only moves the clock."""
        with self._lock:
            self.slept.append(seconds)
            self._elapsed += seconds

    async def sleep_async(self, seconds: float) -> None:
        """See `AsyncEnv.sleep_async`. Only moves the clock."""
        self.sleep(seconds)
