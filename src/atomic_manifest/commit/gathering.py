"""Which of the posted objects a writer waits for, reads and deletes, by what their listing says.

Anybody can put anything among the posted intents, and dead writers leave theirs behind. So before a byte of
it is read, all of it is bounded: by name, by size, by age on the store's clock. That clock is read off the
own intent, which the store took just now.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from atomic_manifest.commit.combine import ENTRY_BYTES
from atomic_manifest.commit.messages import IntentsListed
from atomic_manifest.commit.posted import LIFETIME_SECONDS, base_in

GATHER_LIMIT = 256
"""Posted intents that are read at most to make one entry, and at once; the oldest first."""
GATHER_ROUNDS = 4
"""How often a leader reads on at most, because some of what it read were no intents."""
_GATHER_BYTES = 2 * ENTRY_BYTES
"""So much is read at once. No entry holds more than half of it, besides its leader's own commit."""
_DELETED_AT_ONCE = 1000
"""Of what is of no use any more: as many as one request takes away."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """A listing, sorted by use.

    Attributes:
        waiting: Keys behind which a writer may be waiting, the own one among them.
        useless: Keys of what nobody will commit any more, by versions or by age.
    """

    waiting: tuple[str, ...] = ()
    useless: tuple[str, ...] = ()


def sift(
    listed: IntentsListed, own_key: str, oldest_base: int, garbage: AbstractSet[str]
) -> Sifted:
    """Sort what is posted.

    Args:
        listed: What is posted.
        own_key: Of the intent that was posted just now.
        oldest_base: What was posted with an earlier base has expired.
        garbage: Keys of what was read, and is no intent.
    """
    now = listed.modified.get(own_key)
    waiting, useless = [], []
    for key in listed.keys:
        base, taken = base_in(key), listed.modified.get(key)
        is_old = now is not None and taken is not None and now - taken > LIFETIME_SECONDS
        if key == own_key:
            waiting.append(key)
        elif is_old or (base is not None and base < oldest_base):
            useless.append(key)
        elif base is not None and key not in garbage:
            waiting.append(key)
    return Sifted(tuple(waiting), tuple(useless[:_DELETED_AT_ONCE]))


def readable(listed: IntentsListed, sifted: Sifted, own_key: str) -> tuple[str, ...]:
    """The keys of others' intents, but for those that fit into no entry with any other."""
    fits = (key for key in sifted.waiting if listed.sizes.get(key, 0) <= ENTRY_BYTES)
    return tuple(key for key in fits if key != own_key)


def portion(listed: IntentsListed, keys: tuple[str, ...], room: int) -> tuple[str, ...]:
    """The first of these keys, no more than there is room for, and no more bytes than are read at once."""
    left = _GATHER_BYTES
    for count, key in enumerate(keys[:room]):
        left -= listed.sizes.get(key, 0)
        if left < 0:
            return keys[:count]
    return keys[:room]
