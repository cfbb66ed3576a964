"""Windowed FIFO: how many train groups may be open, and which of them the learner may take.

Symbols (`infra.settings.limits` computes B, W and the bound)
    P   groups in a training batch (`admission.groups_per_step`)
    S   versions a group may lag (`admission.staleness`)
    f   share of the slots that the learner sees (`admission.window_share`)
    B   slots, (S + 1) * P: at most so many train groups are open (dispatched, not closed)
    W   window, max(1, floor(f * B)): the learner may take a group only if its position is within W of the oldest
        group that is neither taken nor closed. Positions count every train group in dispatch order, closed ones
        too: taking or closing a younger group moves nothing, so a slow group is overtaken W - 1 times at most.

Bound: a group dispatched when k steps were done is trained after at most S + ceil((W - 1) / P) further steps, and
with S = 0 in the very next one, as synchronous training demands.
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
    Hence at most floor((B - 1 + W - 1) / P) = S + floor((P - 1 + W - 1) / P) = S + ceil((W - 1) / P) steps. With
    S = 0 a step trains P = B groups, which are all that are open: g is among them. QED
    Tight: for every S > 0, P and f some order of completion reaches the bound (tests/unit/trainer/curriculum).
    A token may be older than its group's dispatch by as many versions as the engine then lags behind the
    announcement; that comes on top.

Progress: a window of W < P does not wedge a step, because taken groups leave the window. The oldest group that is
not taken completes, or expires at its deadline.

Dispatch order is `seq`, contiguous over all purposes. A reader of several partitions may learn of seq 7 before
seq 5: a seq not yet heard of counts as an open train group, so nothing is taken that the whole order forbids.

Example: S = 1, P = 3, f = 0.5 make B = 6 and W = 3. Groups 0, 1, 3, 4, 5 are complete, 2 is slow. 0 and 1 are
taken, then 3 completes the batch and 4 may start the next one; 5 waits for 2.
"""

from enum import Enum, auto

from infra.settings.limits import AdmissionLimits


class _State(Enum):
    OPEN = auto()
    TAKEN = auto()
    CLOSED = auto()
    OTHER = auto()
    """An assess or eval group: no slot, no position."""


class Admission:
    """The state of the window. Every method may be called again with the same arguments to no effect.

    `first_seq`: every earlier group is closed; a learner that resumes tells `closed` of those above it.

    Cursors: `_low` <= `_anchor` <= `_end`. Below `_low` all is settled and forgotten. `_anchor` is the oldest seq that
    is neither taken nor closed nor of another purpose. W positions lie in [`_anchor`, `_end`). None of them ever moves
    back, so that a call costs what it moves, whatever the number of slots.
    """

    def __init__(self, limits: AdmissionLimits, first_seq: int = 0) -> None:
        self.limits = limits
        self._low = first_seq
        self._anchor = first_seq
        self._end = first_seq + limits.window
        self._frontier = first_seq
        """One above the highest seq that was heard of."""
        self._states: dict[int, _State] = {}
        self._open_count = 0

    def dispatched(self, seq: int, *, train: bool) -> None:
        """A ticket was dispatched, or read. A group that is known keeps its state."""
        if seq < self._low or seq in self._states:
            return
        self._open_count += train
        self._settle(seq, _State.OPEN if train else _State.OTHER)

    def take(self, seq: int) -> None:
        """The learner put the group into a batch: it leaves the window and keeps its slot.

        Raises ValueError where the window forbids it.
        """
        if not self.takeable(seq):
            raise ValueError(f"group {seq} is not in the window {self.window}")
        self._settle(seq, _State.TAKEN)

    def closed(self, seq: int) -> None:
        """The group ended, whatever the outcome: its slot is free."""
        if seq < self._low or self._states.get(seq) is _State.OTHER:
            return
        self._open_count -= self._states.get(seq) in (_State.OPEN, _State.TAKEN)
        self._settle(seq, _State.CLOSED)

    @property
    def open_groups(self) -> int:
        """Train groups that hold a slot."""
        return self._open_count

    @property
    def free_slots(self) -> int:
        """How many train groups may be dispatched now; 0 where a resumed learner reopened more than B."""
        return max(0, self.limits.slots - self._open_count)

    @property
    def missing(self) -> tuple[int, ...]:
        """Groups below a known one of which nothing was heard."""
        return tuple(seq for seq in range(self._low, self._frontier) if seq not in self._states)

    @property
    def window(self) -> tuple[int, ...]:
        """Open groups that the learner may take, oldest first."""
        return tuple(seq for seq in range(self._anchor, min(self._end, self._frontier)) if self.takeable(seq))

    def takeable(self, seq: int) -> bool:
        return seq < self._end and self._states.get(seq) is _State.OPEN

    def _settle(self, seq: int, state: _State) -> None:
        """Note the state, and move the cursors to where it lets them."""
        if state is _State.OTHER and self._anchor <= seq < self._end:
            self._end = self._positions_on(self._end, 1)
        self._states[seq] = state
        self._frontier = max(self._frontier, seq + 1)
        while (passed := self._states.get(self._anchor, _State.OPEN)) is not _State.OPEN:
            self._anchor += 1
            if passed is not _State.OTHER:
                self._end = self._positions_on(self._end, 1)
        while self._states.get(self._low) in (_State.CLOSED, _State.OTHER):
            del self._states[self._low]
            self._low += 1

    def _positions_on(self, seq: int, positions: int) -> int:
        """The seq from which `positions` more lie behind: what is of another purpose is none."""
        while positions:
            positions -= self._states.get(seq) is not _State.OTHER
            seq += 1
        return seq
