"""How often and how long a request is tried again.

Every loop of retries is bounded by attempts *and* by time, whichever ends first. Pauses are drawn
uniformly between zero and a bound that doubles (full jitter), so that callers who failed together
do not come back together.
"""

from dataclasses import dataclass

from atomic_manifest.env import Env
from atomic_manifest.store.policy.calls import Pause


@dataclass(frozen=True, slots=True)
class Retry:
    """Bounds of the attempts at one request.

    Attributes:
        attempts: Requests sent at most, the first one included.
        base_seconds: Bound of the first pause; doubles with each further one.
        cap_seconds: Bound of any pause.
        budget_seconds: No attempt starts later than this after the first.
        keyed_attempts: In place of `attempts` for a write with an idempotency key.
    """

    attempts: int = 5
    base_seconds: float = 0.05
    cap_seconds: float = 5.0
    budget_seconds: float = 60.0
    keyed_attempts: int = 3


class Pacer:
    """Counts the attempts of one request and says how long to pause between them.

    Args:
        retry: The bounds.
        env: Clock and randomness.
        attempts: In place of `retry.attempts`.
        deadline: On `env.monotonic`'s clock: no attempt starts later than this either.
    """

    __slots__ = ("_bound", "_cap", "_deadline", "_env", "_left")

    def __init__(
        self,
        retry: Retry,
        env: Env,
        *,
        attempts: int | None = None,
        deadline: float | None = None,
    ) -> None:
        self._env = env
        self._left = (retry.attempts if attempts is None else attempts) - 1
        self._bound = retry.base_seconds
        self._cap = retry.cap_seconds
        self._deadline = env.monotonic() + retry.budget_seconds
        if deadline is not None:
            self._deadline = min(self._deadline, deadline)

    @property
    def deadline(self) -> float:
        """On `Env.monotonic`'s clock: no attempt starts later."""
        return self._deadline

    def pause(self) -> Pause | None:
        """Ask for a further attempt.

        Returns:
            What to wait for before it, or None if there is to be none.
        """
        if self._left <= 0:
            return None
        seconds = self._env.random() * min(self._bound, self._cap)
        if self._env.monotonic() + seconds > self._deadline:
            return None
        self._left -= 1
        self._bound *= 2
        return Pause(seconds)


@dataclass(frozen=True, slots=True)
class Policy:
    """What all operations of one store go by.

    Attributes:
        retry: Bounds of attempts.
        env: Clock, randomness and ids.
    """

    retry: Retry
    env: Env

    def pacer(self, attempts: int | None = None, deadline: float | None = None) -> Pacer:
        """Begin a budget of attempts; the arguments are those of `Pacer`."""
        return Pacer(self.retry, self.env, attempts=attempts, deadline=deadline)
