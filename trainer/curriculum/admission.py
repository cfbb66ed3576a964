"""Windowed FIFO: how many train groups may be open, and which of them the learner may take.

Source: MiniMax (arXiv 2605.26494, section 6.2.4) has the idea of a FIFO from which groups may be taken out of order
within a bounded window; torchtitan's notes on it (torchtitan/experiments/rl/docs/windowed_fifo.md) have the symbols,
the anchored window and the form of the bound. The assumptions, the proof and the treatment of closed groups, resumed
learners and several purposes below are this project's.

Symbols (`infra.settings.admission_limits` computes B, W and the bound)
    P   groups in a training batch (`admission.groups_per_step`)
    S   versions that a group may lag (`admission.staleness`)
    f   fraction of the slots in which the learner may choose (`admission.window_share`)
    B   slots, (S + 1) * P: the maximum number of open train groups (dispatched, not closed)
    W   window, max(1, floor(f * B)): the learner may take a group only if it is among the W positions that begin with
        the oldest group that is neither taken nor closed. Positions count every train group in dispatch order, closed
        ones too. Taking or closing a younger group therefore does not move the window, so at most W - 1 younger groups
        overtake a slow group.

Bound: a group dispatched when k steps were done is trained after at most S + ceil((W - 1) / P) further steps, and
with S = 0 in the very next one, as synchronous training demands.
    Assumptions:
    (1) The dispatcher dispatches only while `free_slots` > 0, and a slot frees only when its group closes.
    (2) The learner takes only groups that `takeable` allows.
    (3) A step trains the P groups taken first, or every open group (the short batch at the end of a run).
    (4) The learner announces a version before it closes that step's groups, so a dispatcher that sees the free slot
        knows the version.
    (5) All groups are of one lineage. A learner that resumes reopens groups, and the bound holds again for groups that
        are dispatched once fewer than B are open.
    Proof. Let g be dispatched after step k. The steps after k and before g's own train groups of two kinds. Groups
    older than g were open when g was dispatched; by (1) they are at most B - 1. Groups younger than g were taken while
    g was open and not taken, so g or an older group anchored the window, and by (2) their positions are in
    (g, g + W - 1]: they are at most W - 1. By (3) each such step trains P groups (a short batch trains every open
    group, g among them, so it is g's own step). Groups that were filtered, expired or failed only lower the counts.
    Hence there are at most floor((B - 1 + W - 1) / P) = S + floor((P - 1 + W - 1) / P) = S + ceil((W - 1) / P) such
    steps. With S = 0 a step trains P = B groups, which are all open groups, so g is among them. QED
    Tight: for all S > 0, P and f, some order of completion reaches the bound (tests/unit/trainer/curriculum).
    A token may be older than its group's dispatch, by the number of versions that its engine then lags behind the
    announcement. That number comes on top of the bound.

Progress: a window of W < P does not block a step, because taken groups leave the window. The oldest group that is not
taken completes, or expires at its deadline.

Dispatch order is `seq`, which is contiguous over all purposes. A reader of several partitions may read about seq 7
before seq 5. A seq that is still missing counts as an open train group, so the learner takes nothing that the complete
order would forbid.

Example: S = 2, P = 4, f = 0.4 give B = 12, W = 4 and a bound of 3 steps. Groups 0 to 11 are open; group 1 is slow, all
others are complete. The learner takes 0, and the window then begins at 1; it takes 2, 3 and 4, which fills the batch.
The window still has the positions 1 to 4, so 5 must wait until group 1 is taken or closed. After that the window has
the positions 5 to 8.
"""

from enum import Enum, auto

from infra.settings.admission_limits import AdmissionLimits


class _State(Enum):
    OPEN = auto()
    TAKEN = auto()
    CLOSED = auto()
    OTHER = auto()
    """An assess or eval group, which has neither a slot nor a position."""


class Admission:
    """The state of the window. Calling `dispatched` or `closed` again with the same arguments has no effect.

    Every group before `first_seq` is closed. A learner that resumes calls `closed` for the closed groups above it.

    Cursors: `_low` <= `_anchor` <= `_end`. Everything below `_low` is final and forgotten. `_anchor` is the oldest seq
    that is neither taken nor closed nor of another purpose. The W positions of the window are in [`_anchor`, `_end`).
    No cursor ever moves back, so the cost of a call is the distance that it moves them, whatever the number of slots.
    """

    def __init__(self, limits: AdmissionLimits, first_seq: int = 0) -> None:
        self.limits = limits
        self._low = first_seq
        self._anchor = first_seq
        self._end = first_seq + limits.window
        self._frontier = first_seq
        """One above the highest seq that is known."""
        self._states: dict[int, _State] = {}
        self._open_count = 0

    def dispatched(self, seq: int, *, train: bool) -> None:
        """Call it when a ticket is dispatched or read. A group that is known already keeps its state."""
        if seq < self._low or seq in self._states:
            return
        self._open_count += train
        self._settle(seq, _State.OPEN if train else _State.OTHER)

    def take(self, seq: int) -> None:
        """Call it when the learner puts the group into a batch: the group leaves the window and keeps its slot.

        Raises ValueError if the window forbids it.
        """
        if not self.takeable(seq):
            raise ValueError(f"group {seq} is not in the window {self.window}")
        self._settle(seq, _State.TAKEN)

    def closed(self, seq: int) -> None:
        """Call it when the group ends, with any outcome: its slot is free."""
        if seq < self._low or self._states.get(seq) is _State.OTHER:
            return
        self._open_count -= self._states.get(seq) in (_State.OPEN, _State.TAKEN)
        self._settle(seq, _State.CLOSED)

    @property
    def open_groups(self) -> int:
        """Number of train groups that occupy a slot."""
        return self._open_count

    @property
    def free_slots(self) -> int:
        """Number of train groups that may be dispatched now; 0 if a resumed learner reopened more than B."""
        return max(0, self.limits.slots - self._open_count)

    @property
    def missing(self) -> tuple[int, ...]:
        """Seqs below the highest known one of which nothing was read."""
        return tuple(seq for seq in range(self._low, self._frontier) if seq not in self._states)

    @property
    def window(self) -> tuple[int, ...]:
        """Open groups that the learner may take, oldest first."""
        return tuple(seq for seq in range(self._anchor, min(self._end, self._frontier)) if self.takeable(seq))

    def takeable(self, seq: int) -> bool:
        return seq < self._end and self._states.get(seq) is _State.OPEN

    def _settle(self, seq: int, state: _State) -> None:
        """Stores the state, and moves the cursors as far as it allows."""
        if state is _State.OTHER and self._anchor <= seq < self._end:
            self._end = self._skip_positions(self._end, 1)
        self._states[seq] = state
        self._frontier = max(self._frontier, seq + 1)
        while (passed := self._states.get(self._anchor, _State.OPEN)) is not _State.OPEN:
            self._anchor += 1
            if passed is not _State.OTHER:
                self._end = self._skip_positions(self._end, 1)
        while self._states.get(self._low) in (_State.CLOSED, _State.OTHER):
            del self._states[self._low]
            self._low += 1

    def _skip_positions(self, seq: int, positions: int) -> int:
        """The seq after `positions` more positions; groups of another purpose are not positions."""
        while positions:
            positions -= self._states.get(seq) is not _State.OTHER
            seq += 1
        return seq
