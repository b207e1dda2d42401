"""What one commit knows on its way into the log, and what its writer remembers afterwards.

The handlers of `commit.protocol` decide; a `Progress` keeps the books: which entries have been read, what
is sent where, what the others wait for, how much of the budget is left.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from atomic_manifest.commit.combine import (
    Candidate,
    Combination,
    combine,
    render,
    render_revocation,
)
from atomic_manifest.commit.conflicts import check, overtaken_txn, repeats_txn
from atomic_manifest.commit.gathering import (
    GATHER_LIMIT,
    GATHER_ROUNDS,
    Sifted,
    portion,
    readable,
    sift,
)
from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Budget,
    Committed,
    Conflicted,
    CreateEntry,
    GaveUp,
    IntentsListed,
    Moment,
    Outcome,
    OutOfOrder,
    PostIntent,
    Rejected,
    Unknown,
)
from atomic_manifest.commit.posted import LIFETIME, decode_intent, encode_intent, id_in, key_of
from atomic_manifest.commit.sound import same_table
from atomic_manifest.errors import TableReplaced
from atomic_manifest.log.entry import Entry, entry_path, mark_of

_REMEMBERED_ENTRIES = 64
_REMEMBERED_ACTIONS = 10_000
_REMEMBERED_KEYS = 4096
_MINIMAL_UNIT_SECONDS = 0.002
_REVOCATIONS = 10
"""PUTs of a revocation before its commit is called unknown."""
_DOUBLINGS = 32
"""Of the pause's unit: past any cap, and a power that a float still holds."""
_ALIKE_BYTES = 64
"""So many bytes that are the same at the beginning are no accident."""
_RACERS = 2
"""So few writers get further by racing than by combining: that takes four requests in a row."""
_LED_LOSSES = 4
"""Races in a row that a leader loses before it lists again."""
_UNIT_GROWTH = 1.25
_PATIENCE_UNITS = 12
"""How long a follower waits for a leader's entry at least: a LIST, a GET and a PUT take three units."""
_PATIENCE_LOOKS = 12
"""How often it looks at least: where processors are scarce its own looks are late, as the leader is."""
_PATIENCE_SECONDS = 5.0
"""How long it waits at most."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a writer carries from one commit to the next. Losing it costs time, never correctness.

    Attributes:
        contended: Whether it met others lately, and more than one or with losses: it then posts its
            intent straight away.
        unit_seconds: How long a PUT took.
        suspects: Keys of posted intents whose writers did not lead when it was their turn.
        garbage: Keys of what is posted and turned out to be no intent.
        recent: Entries up to the version it knows, consecutive, for leading writers with older bases.
    """

    contended: bool = False
    unit_seconds: float = 0.0
    suspects: frozenset[str] = frozenset()
    garbage: frozenset[str] = frozenset()
    recent: tuple[Entry, ...] = ()


class Progress:
    """The books of one commit.

    Attributes:
        own: What to commit; posted or not.
        version: The version it is trying for.
        entries: Entries read, consecutive up to `version - 1`.
        data: The bytes rendered for `version`; empty until it is first sent there.
        combination: What is in `data`.
        in_doubt: Whether an attempt at `version` is of unknown fate.
        unanswered: Whether one of those had an answer that tells nothing, or none.
        posted: Whether the intent may be among the posted ones.
        can_post: Whether posting is worth a try.
        revoking: Whether the budget ended and only a revocation is still sent.
        others: What others want, by key, as far as it was gathered.
        leading: Whether it is this writer's turn to create an entry for all.
        awaited: Keys of posted intents whose writers lead before this one.
        sends: PUTs of an entry so far.
        losses: Races lost so far.
        troubles: Consecutive events that call for a pause, since the log last moved; paces the backoff.
        damaged: Consecutive reads of `version` that gave no entry.
        cause: Why the last request went unanswered.
        now: When the last event arrived.
        final: The entry that holds the commit, once there is one.
    """

    def __init__(
        self,
        intent: Intent,
        budget: Budget,
        moment: Moment,
        memory: Memory,
        *,
        revoking: bool = False,
    ) -> None:
        recent = memory.recent
        if not recent or recent[-1].version != intent.base_version:
            recent = ()
        self.own = Candidate.of(intent)
        self.version = intent.base_version + 1
        self.entries: list[Entry] = list(recent)
        self.data = b""
        self.combination: Combination | None = None
        self.in_doubt = False
        self.unanswered = False
        self.posted = False
        self.can_post = intent.is_combinable
        self.revoking = revoking
        self.others: dict[str, Candidate] = {}
        self.leading = False
        self.awaited: frozenset[str] = frozenset()
        self.sends = 0
        self.losses = 0
        self.troubles = 0
        self.damaged = 0
        self.cause: BaseException | None = None
        self.now = moment
        self.final: Entry | None = None
        self._intent = intent
        self._table = None if intent.base_metadata is None else intent.base_metadata.id
        self._ids = frozenset(record.id for record in intent.records)
        self._memory = memory
        self._suspects = memory.suspects
        self._garbage = memory.garbage
        self._listed = IntentsListed(())
        self._ungathered: tuple[str, ...] = ()
        self._rounds = 0
        self._sifted = Sifted()
        self._met = 0
        self._led_losses = 0
        self._revocations = 0
        self._stale_keys: list[str] = []
        self._budget = budget
        self._started = moment.monotonic
        self._sent_at = moment.monotonic
        self._follow_since = moment.monotonic
        self._looks = 0
        self._unit = memory.unit_seconds

    # --- what it is about ---

    @property
    def commit_id(self) -> str:
        """The id by which entries name the commit."""
        return self._intent.commit_id

    @property
    def winners(self) -> tuple[Entry, ...]:
        """Entries of others since the intent's base."""
        return tuple(e for e in self.entries if e.version > self._intent.base_version)

    @property
    def expects_others(self) -> bool:
        """Whether to post the intent at once, rather than to race."""
        return self.can_post and self._memory.contended and not self.revoking

    # --- sending ---

    def send(self) -> CreateEntry:
        """The next PUT: the same bytes as long as the version stays the same."""
        if not self.data:
            self.data = self._revocation() if self.revoking else self._render()
        self.sends += 1
        self._revocations += self.revoking
        self._sent_at = self.now.monotonic
        return CreateEntry(self.version, self.data)

    def _render(self) -> bytes:
        candidates = [self.own, *(self.others[key] for key in sorted(self.others))]
        self.combination = combine(candidates, self.entries, self.version)
        if self.own not in self.combination.accepted:
            raise AssertionError("the own commit is not in the entry")
        return render(self.combination.accepted, self.version, self.now.unix_ms)

    def _revocation(self) -> bytes:
        ids = [record.id for record in self._intent.records]
        self.combination = None
        return render_revocation(ids, self.version, self.now.unix_ms, self._table)

    def post(self) -> PostIntent:
        """Post the intent, as of the version reached: there was no conflict up to there."""
        if self.own.key is not None:
            self._stale_keys.append(self.own.key)
        base = self.version - 1
        intent = replace(self._intent, base_version=base)
        self.own = Candidate(intent, self.own.body, key_of(intent), base + LIFETIME)
        self.posted = True
        self._sent_at = self.now.monotonic
        return PostIntent(key_of(intent), encode_intent(self.own, self.now.unix_ms))

    def measure(self) -> None:
        """Let the time of the PUT just answered into the unit of pauses.

        The unit falls at once and rises slowly: a PUT that was slow because this machine was busy
        says nothing of the store.
        """
        took = self.now.monotonic - self._sent_at
        self._unit = min(took, self._unit * _UNIT_GROWTH) if self._unit else took

    # --- bounds and pauses ---

    def spent(self) -> bool:
        """Whether the budget has ended."""
        elapsed = self.now.monotonic - self._started
        if self.revoking:
            return self._revocations >= _REVOCATIONS or elapsed >= 2 * self._budget.seconds
        return self.sends >= self._budget.attempts or elapsed >= self._budget.seconds

    def must_revoke(self) -> bool:
        """Whether others may still commit what is about to be given up; from now on, revoke it."""
        if self.revoking or not self.posted:
            return False
        self.revoking = True
        self.data = b""
        return True

    def unknown(self, cause: BaseException | None) -> Unknown:
        """The outcome while an attempt, or a posted intent, may still land."""
        last = self.version
        if self.posted and self.own.expires is not None:
            last = max(last, self.own.expires)
        return Unknown(tuple(range(self.version, last + 1)), cause)

    @property
    def uncertain(self) -> bool:
        """Whether something of the commit may still land: until a revocation is in the log, it may."""
        return self.in_doubt or self.posted or self.revoking

    def may_have_landed(self, data: bytes) -> bool:
        """Whether what came damaged may be what was sent, or what others made of it."""
        if self.unanswered or self.posted or self.revoking:
            return True
        alike = len(data) == len(self.data) or (
            len(data) >= _ALIKE_BYTES and self.data.startswith(data)
        )
        return self.in_doubt and (alike or self.commit_id.encode() in data)

    def pause_seconds(self) -> float:
        """Full jitter; the unit is how long an attempt takes on this store, doubled each time."""
        doubled = self._scale() * float(2 ** min(self.troubles, _DOUBLINGS))
        self.troubles += 1
        return self.now.draw * min(doubled, self._budget.pause_cap_seconds)

    def jitter_seconds(self) -> float:
        """A pause of at most one unit, however often: for who only has to come at another time."""
        return self.now.draw * min(self._scale(), self._budget.pause_cap_seconds)

    def _scale(self) -> float:
        return max(self._unit, _MINIMAL_UNIT_SECONDS)

    # --- leading, and waiting for a leader ---

    def lead(self) -> None:
        """It is this writer's turn."""
        self.leading = True
        self._led_losses = 0

    def leads_on(self) -> bool:
        """Whether a leader that lost shall try again at once, rather than look who waits by now."""
        self._led_losses += 1
        return self.leading and self._led_losses < _LED_LOSSES

    def follow(self, awaited: Iterable[str]) -> float:
        """Begin to wait for the leader; how long before the first look."""
        self._await(frozenset(awaited))
        return self.follow_on(moved=True)

    def _await(self, keys: frozenset[str]) -> None:
        """Wait for these from now on, with all patience."""
        self.awaited = keys
        self._follow_since = self.now.monotonic
        self._looks = 0

    def follow_on(self, *, moved: bool) -> float:
        """How long before the next look, so that few are in vain.

        Args:
            moved: Whether there is a new entry: the next one takes its leader some requests.
        """
        share = 1.0 + self.now.draw if moved else 0.3 + 0.5 * self.now.draw
        return self._scale() * share

    def lost_patience(self) -> bool:
        """Whether the leader is late. Then it is a suspect, whom nobody here awaits again."""
        self._looks += 1
        waited = self.now.monotonic - self._follow_since
        is_early = waited <= _PATIENCE_UNITS * self._scale() or self._looks < _PATIENCE_LOOKS
        if is_early and waited <= _PATIENCE_SECONDS:
            return False
        self._suspects |= self.awaited
        return True

    def sift(self, listed: IntentsListed) -> tuple[str, ...]:
        """The keys behind which a writer may be waiting, of what was listed."""
        assert self.own.key is not None  # noqa: S101 - one lists after posting
        self._listed = listed
        self._sifted = sift(listed, self.own.key, self.version - LIFETIME, self._garbage)
        self._suspects &= frozenset(self._sifted.waiting)
        self._garbage &= frozenset(listed.keys)
        return self._sifted.waiting

    def begin_gathering(self) -> tuple[str, ...]:
        """What to read first of the intents of those who wait."""
        assert self.own.key is not None  # noqa: S101 - one lists after posting
        self.others = {}
        self._rounds = 0
        self._ungathered = readable(self._listed, self._sifted, self.own.key)
        return self._next_to_gather()

    def _next_to_gather(self) -> tuple[str, ...]:
        self._rounds += 1
        chosen = portion(self._listed, self._ungathered, GATHER_LIMIT - len(self.others))
        self._ungathered = self._ungathered[len(chosen) :]
        return chosen

    def gather(self, objects: Mapping[str, bytes]) -> tuple[str, ...]:
        """Take in intents that were read; what to read next, as some of it were none."""
        garbage = set()
        for key, data in objects.items():
            candidate = decode_intent(key, data, self._listed.modified.get(key))
            if candidate is None:
                garbage.add(key)
            elif same_table(self._intent, candidate.intent):
                self.others[key] = candidate
        self._garbage |= garbage
        return self._next_to_gather() if garbage and self._rounds < GATHER_ROUNDS else ()

    def precede(self, keys: Sequence[str]) -> list[str]:
        """Of the listed keys, those whose writers lead before this one."""
        assert self.own.key is not None  # noqa: S101 - one lists after posting
        # What is in the log already, or was posted anew, only waits to be deleted: nobody will lead
        # for it.
        done = {record.id for entry in self.entries for record in entry.commits}
        newest = {id_in(key): key for key in keys if id_in(key) not in done}
        newest[self.commit_id] = self.own.key
        self._met = len(keys)
        return [k for k in sorted(newest.values()) if k < self.own.key and k not in self._suspects]

    # --- reading the log ---

    def pass_by(self, entries: Sequence[Entry]) -> Outcome | None:
        """Go past entries that others won; stop at the first that settles this commit."""
        for entry in entries:
            if entry.holds(self.commit_id):
                self.final = entry
                return Committed(entry.version)
            if not self._ids.isdisjoint(entry.revoked):
                return GaveUp()
            if entry.table is not None and self._table not in (None, entry.table):
                return Rejected(replaced(entry, self._table))
            if entry.metadata is not None and self._table is not None:
                self._table = entry.metadata.id
            self.in_doubt = self.unanswered = False
            self.damaged = 0
            self.entries.append(entry)
            self.version = entry.version + 1
            self.data = b""
            if self.revoking:
                continue
            if repeats_txn(self._intent, entry):
                return AlreadyCommitted(entry.version)
            if overtaken := overtaken_txn(self._intent, entry):
                return OutOfOrder(entry.version, overtaken)
            if conflicts := check(self._intent, entry):
                return Conflicted(entry.version, conflicts)
            self._no_longer_await(entry)
        return None

    def _no_longer_await(self, entry: Entry) -> None:
        """Those before this writer are done; those after them get the same time to lead.

        An entry of one commit says nothing of a leader, who may be dead while others race. One of several
        was made by somebody who leads: where processors are scarce all are late, and taking over then
        only makes more work. Whoever leads next finds this writer in its listing.
        """
        still = frozenset(key for key in self.awaited if not entry.holds(id_in(key)))
        if still != self.awaited or len(entry.commits) > 1:
            self._await(still)

    def has_expired(self) -> bool:
        """Whether the log has passed the last version that may hold the posted intent."""
        expires = self.own.expires
        if not self.posted or expires is None or self.version <= expires:
            return False
        self.posted = False
        return True

    def acknowledge(self) -> Committed:
        """The entry just sent is in the log."""
        assert self.combination is not None  # noqa: S101 - a revocation is not acknowledged
        self.final = replace(self.combination.entry, mark=mark_of(self.data))
        return Committed(self.version)

    # --- afterwards ---

    @property
    def combined(self) -> bool:
        """Whether the entry that holds the commit holds commits of other writers too."""
        return self.final is not None and len(self.final.commits) > 1

    @property
    def created(self) -> bool:
        """Whether the entry that holds the commit is the one sent from here."""
        if self.combination is None or self.final is None:
            return False
        sent = [record for c in self.combination.accepted for record in c.intent.records]
        return self.combination.version == self.final.version and sent == [*self.final.commits]

    @property
    def litter(self) -> tuple[str, ...]:
        """Keys of posted intents that are to be deleted by this writer, now that it is done."""
        keys = [*self._stale_keys, *self._sifted.useless]
        if self.created and self.combination is not None:
            keys.extend(self.combination.keys)
        elif self.final is None and self.own.key is not None:
            keys.append(self.own.key)
        return tuple(dict.fromkeys(keys))

    def memory(self) -> Memory:
        """What to remember for the next commit."""
        met_others = self.losses > 0 or (self.posted and self._met > _RACERS)
        known = [*self.entries, *([self.final] if self.final is not None else ())]
        return Memory(
            contended=met_others,
            unit_seconds=self._unit,
            suspects=frozenset(sorted(self._suspects)[-_REMEMBERED_KEYS:]),
            garbage=frozenset(sorted(self._garbage)[-_REMEMBERED_KEYS:]),
            recent=_last_small(known[-_REMEMBERED_ENTRIES:]),
        )


def replaced(entry: Entry, table: str | None) -> TableReplaced:
    """The error of meeting an entry of another table in the log."""
    return TableReplaced(
        f"{entry_path(entry.version)} belongs to table {entry.table}, which has taken the place of "
        f"table {table}. Nothing was committed; open the table again",
        version=entry.version,
    )


def _last_small(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The last entries, as many as hold few enough actions to be worth the memory."""
    kept: list[Entry] = []
    actions = 0
    for entry in reversed(entries):
        actions += len(entry.adds) + len(entry.removes)
        if actions > _REMEMBERED_ACTIONS:
            break
        kept.append(entry)
    return tuple(reversed(kept))
