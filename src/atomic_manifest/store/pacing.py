"""How often and how long a request is tried again.

Every loop of retries is bounded by attempts *and* by time, whichever ends first. Pauses are drawn
uniformly between zero and a bound that doubles (full jitter), so that callers who failed together
do not come back together.
"""

from dataclasses import dataclass

from atomic_manifest.env import Env


@dataclass(frozen=True, slots=True)
class Retry:
    """Bounds of the attempts at one request.

    Attributes:
        attempts: Requests sent at most, the first one included.
        base_seconds: Bound of the first pause; doubles with each further one.
        cap_seconds: Bound of any pause.
        budget_seconds: No attempt starts later than this after the first.
    """

    attempts: int = 5
    base_seconds: float = 0.05
    cap_seconds: float = 5.0
    budget_seconds: float = 60.0


class Pacer:
    """Counts the attempts of one request and makes the pauses between them.

    Args:
        retry: The bounds.
        env: Clock, randomness and sleep.
    """

    __slots__ = ("_bound", "_deadline", "_env", "_left", "_retry")

    def __init__(self, retry: Retry, env: Env) -> None:
        self._retry = retry
        self._env = env
        self._left = retry.attempts - 1
        self._bound = retry.base_seconds
        self._deadline = env.monotonic() + retry.budget_seconds

    def pause(self) -> bool:
        """Wait before the next attempt.

        Returns:
            False, at once, if there is to be no further attempt.
        """
        if self._left <= 0:
            return False
        seconds = self._env.random() * min(self._bound, self._retry.cap_seconds)
        if self._env.monotonic() + seconds > self._deadline:
            return False
        self._left -= 1
        self._bound *= 2
        self._env.sleep(seconds)
        return True
