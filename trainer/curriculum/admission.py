"""Windowed FIFO: how many train groups may be open, and which of them the learner may take.

Symbols
    P   groups in a training batch (`admission.groups_per_step`)
    S   versions a group may lag (`admission.staleness`)
    f   share of the slots that the learner sees (`admission.window_share`)
    B   slots, (S + 1) * P: at most so many train groups are open (dispatched, not closed)
    W   window, max(1, floor(f * B)): the learner may take a group only if its position is within W of the oldest
        group that is neither taken nor closed. Positions count every train group in dispatch order, closed ones
        too: taking or closing a younger group moves nothing, so a slow group is overtaken W - 1 times at most.

Bound: a group dispatched when k steps were done is trained after at most S + ceil((W - 1) / P) further steps.
    Assumed: (1) the dispatcher dispatches only while `free_slots` > 0, and a slot frees only when its group
    closes; (2) the learner takes only what `takeable` allows; (3) a step trains the P groups taken first, or
    every open group (the short batch at the end of a run); (4) the learner announces a version before it closes
    that step's groups, so that whoever sees the slot knows the version; (5) groups of one lineage: a learner that
    resumes reopens groups, and the bound holds again for those dispatched once fewer than B are open.
    Proof. Let g be dispatched after step k. A step that ends after that and before g's own trains groups of two
    kinds. Older than g: they were open when g was dispatched, by (1) at most B - 1. Younger than g: they were
    taken while g was open and not taken, so g or an older group anchored the window, and by (2) their positions
    lie in (g, g + W - 1]: at most W - 1. By (3) each such step trains P groups (a short batch trains every open
    group, g among them, so it is g's own). Groups that were filtered, expired or failed only lower the counts.
    Hence at most floor((B - 1 + W - 1) / P) = S + floor((P - 1 + W - 1) / P) = S + ceil((W - 1) / P) steps. QED
    A token may be older than its group's dispatch by as many versions as the engine then lags behind the
    announcement; that comes on top.

Progress: a window of W < P does not wedge a step, because taken groups leave the window. The oldest group that is
not taken completes, or expires at its deadline.

Dispatch order is `seq`, contiguous over all purposes. A reader of several partitions may learn of seq 7 before
seq 5: a seq not yet heard of counts as an open train group, so nothing is taken that the whole order forbids.

Example: S = 1, P = 3, f = 0.5 make B = 6 and W = 3. Groups 0, 1, 3, 4, 5 are complete, 2 is slow. 0 and 1 are
taken, then 3 completes the batch and 4 may start the next one; 5 waits for 2.
"""

from dataclasses import dataclass
from enum import Enum, auto
from math import floor

from infra.settings.tree import AdmissionSettings


@dataclass(frozen=True, slots=True)
class Limits:
    """S, P and f, and what follows from them."""

    staleness: int
    groups_per_step: int
    window_share: float

    def __post_init__(self) -> None:
        if self.staleness < 0 or self.groups_per_step < 1 or not 0 < self.window_share <= 1:
            raise ValueError(f"admission needs staleness >= 0, groups_per_step >= 1, 0 < window_share <= 1: {self}")

    @classmethod
    def of(cls, settings: AdmissionSettings) -> "Limits":
        return cls(settings.staleness, settings.groups_per_step, settings.window_share)

    @property
    def slots(self) -> int:
        return (self.staleness + 1) * self.groups_per_step

    @property
    def window(self) -> int:
        return max(1, floor(self.window_share * self.slots))

    @property
    def max_age(self) -> int:
        """Versions, proven above: S + ceil((W - 1) / P)."""
        return self.staleness - (1 - self.window) // self.groups_per_step


class _State(Enum):
    OPEN = auto()
    TAKEN = auto()
    CLOSED = auto()
    OTHER = auto()
    """An assess or eval group: no slot, no position."""


class Admission:
    """The state of the window. Every method may be called again with the same arguments to no effect.

    `first_seq`: every earlier group is closed; a learner that resumes tells `closed` of those above it.
    """

    def __init__(self, limits: Limits, first_seq: int = 0) -> None:
        self.limits = limits
        self._low = first_seq
        self._states: dict[int, _State] = {}
        self._held = 0

    def dispatched(self, seq: int, *, train: bool) -> None:
        """A ticket was dispatched, or read. A group that is known keeps its state."""
        if seq < self._low or seq in self._states:
            return
        self._states[seq] = _State.OPEN if train else _State.OTHER
        self._held += train
        self._advance()

    def take(self, seq: int) -> None:
        """The learner put the group into a batch: it leaves the window and keeps its slot.

        Raises ValueError where the window forbids it.
        """
        if not self.takeable(seq):
            raise ValueError(f"group {seq} is not in the window {self.window}")
        self._states[seq] = _State.TAKEN

    def closed(self, seq: int) -> None:
        """The group ended, whatever the outcome: its slot is free."""
        if seq < self._low:
            return
        self._held -= self._states.get(seq) in (_State.OPEN, _State.TAKEN)
        if self._states.get(seq) is not _State.OTHER:
            self._states[seq] = _State.CLOSED
        self._advance()

    @property
    def open_groups(self) -> int:
        """Train groups that hold a slot."""
        return self._held

    @property
    def free_slots(self) -> int:
        """How many train groups may be dispatched now; 0 where a resumed learner reopened more than B."""
        return max(0, self.limits.slots - self._held)

    @property
    def unheard(self) -> tuple[int, ...]:
        """Groups below a known one of which nothing was heard."""
        frontier = max(self._states, default=self._low)
        return tuple(seq for seq in range(self._low, frontier) if seq not in self._states)

    @property
    def window(self) -> tuple[int, ...]:
        """Open groups that the learner may take, oldest first."""
        return tuple(seq for seq in self._window_seqs() if self._states.get(seq) is _State.OPEN)

    def takeable(self, seq: int) -> bool:
        return seq in self.window

    def _window_seqs(self) -> list[int]:
        """The W positions from the anchor on, those not heard of included."""
        frontier = max(self._states, default=self._low - 1)
        anchor = self._low
        while anchor <= frontier and self._states.get(anchor, _State.OPEN) is not _State.OPEN:
            anchor += 1
        positions: list[int] = []
        seq = anchor
        while seq <= frontier and len(positions) < self.limits.window:
            if self._states.get(seq) is not _State.OTHER:
                positions.append(seq)
            seq += 1
        return positions

    def _advance(self) -> None:
        """Forget what is settled, so that memory follows the open groups."""
        while self._states.get(self._low) in (_State.CLOSED, _State.OTHER):
            del self._states[self._low]
            self._low += 1
