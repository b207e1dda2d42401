"""A driver around a driver whose reads come damaged: cut off, with a bit flipped, or empty."""

import threading
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from hashlib import sha256
from typing import TypeAlias, TypeVar, cast

from atomic_manifest.store.driver import Driver, Object
from atomic_manifest.store.passing import PassingDriver


class Damage(Enum):
    """What becomes of the bytes of an answer; the object stays as it is."""

    CUT = "cut"
    """The second half is missing."""
    FLIPPED = "flipped"
    """One bit in the middle is another."""
    EMPTY = "empty"
    """There are none."""

    def of(self, data: bytes) -> bytes:
        """The damaged bytes."""
        middle = len(data) // 2
        match self:
            case Damage.CUT:
                return data[:middle]
            case Damage.EMPTY:
                return b""
            case Damage.FLIPPED:
                return (
                    data[:middle]
                    + bytes(byte ^ 1 for byte in data[middle:][:1])
                    + data[middle + 1 :]
                )


_Answer = TypeVar("_Answer")
Damages: TypeAlias = Callable[[int, str], Damage | None]
"""Given a read's number, from 0, and its path: what becomes of it."""


def seeded_damage(seed: int, share: float = 0.05) -> Damages:
    """Damage that follows from a seed and a read's number.

    Args:
        seed: The same seed gives the same damage, in every process.
        share: How many of all reads are damaged, between 0 and 1.
    """
    kinds = tuple(Damage)

    def damage(number: int, _: str) -> Damage | None:
        drawn = int.from_bytes(sha256(f"{seed}/{number}".encode()).digest()[:12])
        happens = (drawn >> 32) / (1 << 64) < share
        return kinds[(drawn & 0xFFFF_FFFF) % len(kinds)] if happens else None

    return damage


class DamagingDriver(PassingDriver):
    """Damages what chosen `get`s give, and passes the rest on. Safe to share between threads.

    Args:
        inner: The driver that does the work.
        damages: Chooses.

    Attributes:
        damaged: Reads that were damaged so far.
    """

    def __init__(self, inner: Driver, damages: Damages) -> None:
        super().__init__(inner)
        self.damaged = 0
        self._damages = damages
        self._lock = threading.Lock()
        self._count = 0

    def around(self, method: str, path: str, act: Callable[[], _Answer]) -> _Answer:
        """See `PassingDriver.around`."""
        answer = super().around(method, path, act)
        if not isinstance(answer, Object):
            return answer
        with self._lock:
            number = self._count
            self._count += 1
            damage = self._damages(number, path)
            self.damaged += damage is not None
        if damage is None:
            return answer
        return cast("_Answer", replace(answer, data=damage.of(bytes(answer.data))))
