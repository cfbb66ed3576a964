"""Decides which groups may start, so that a group with pinned weights gets all of its tokens from them.

Most groups take whatever weights the engine holds, and newer ones while they run. A ticket of an evaluation pins one
version. Groups with the same pin make a shift: the engine loads their version once nothing else runs, and holds it
until they are done. Then it takes the newest version again, and what waited starts before the next shift.

Invariants:
- No weights are loaded while a pinned group runs.
- A group without a pin never starts on weights that are older than the newest loaded ones because of a shift, so
  shifts do not make tokens staler.
- Neither kind of group waits for ever while the other arrives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.messages import PolicyVersion, PromptTicket
from workers.engines.base import WeightVersion


@dataclass(frozen=True, slots=True)
class Holding:
    """What the engine holds."""

    weights: WeightVersion
    is_followed: bool
    """Whether these are the weights that were loaded last for groups without a pin."""
    is_newest: bool
    """Whether they are followed, and no newer version is announced."""


@dataclass(slots=True)
class Shifts:
    samples: int
    """Samples of a shift, which are as many as the engine runs at a time. One group may have more."""
    pinned: PolicyVersion | None = None
    """The version of the present shift; None while there is none."""
    may_load: bool = True
    """Whether weights may be loaded for the shift: nothing runs."""
    _members: set[str] = field(default_factory=set)
    _owed: set[str] = field(default_factory=set)
    """Groups without a pin that start before the next shift begins."""

    def advance(
        self, waiting: Sequence[PromptTicket], started: Sequence[PromptTicket], holding: Holding
    ) -> list[PromptTicket]:
        """Returns the tickets to start now. `waiting` and `started` are all groups in work, in order of arrival."""
        free = [t for t in waiting if t.weights is None and t.min_version <= holding.weights.version]
        self.may_load = not started
        if self.pinned is not None and self._members.isdisjoint(t.group_id for t in (*waiting, *started)):
            self.pinned = None
            self._owed = {t.group_id for t in free}
            return []  # newer weights that waited are loaded first
        self._owed &= {t.group_id for t in free}
        if self.pinned is None and not self._owed:
            self._begin(waiting)
        if self.pinned is None:
            return free if holding.is_followed else []
        if holding.weights != version_of(self.pinned):
            return []
        if holding.is_newest:
            self._members |= {t.group_id for t in waiting if t.weights == self.pinned}
        members = [t for t in waiting if t.group_id in self._members]
        return members + (free if holding.is_newest else [])

    def _begin(self, waiting: Sequence[PromptTicket]) -> None:
        self.pinned = next((t.weights for t in waiting if t.weights is not None), None)
        self._members, samples = set(), 0
        for ticket in waiting:
            if self.pinned is not None and ticket.weights == self.pinned:
                if self._members and samples + ticket.samples > self.samples:
                    return
                self._members.add(ticket.group_id)
                samples += ticket.samples


def version_of(announced: PolicyVersion) -> WeightVersion:
    return WeightVersion(announced.lineage, announced.version)
