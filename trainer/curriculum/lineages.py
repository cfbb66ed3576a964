"""Decides which learner owns the run, and which part of the history survives. Pure.

A learner that starts claims a lineage with a `LineageStarted` that names the newest lineage that it found in the log
(`follows`). A claim is a compare-and-swap on the log: it counts only if the lineage that it follows is still the newest
where the claim stands. So one of two learners that start at once loses, and so does one that wakes up and claims late.

Invariants:
- Lineages that count rise in the order of the log, and no number counts twice.
- All readers decide alike, because a run's claims have one key and therefore one partition. Closings may come in any
  order.
- A claim from nowhere, whose number or predecessor does not fit, changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.messages import GroupClosed, LineageStarted

NONE = -1
"""The newest lineage of a run without any."""
_MOST_EARLY = 10_000
"""A claim is acknowledged before the first closing under it, so a reader has early closings for one poll of a partition
at most, which returns 500. More are from nowhere."""
HIGHEST = 2**30
"""A number from here on is not a lineage: a run would have to restart every second for 34 years."""


@dataclass(slots=True)
class Lineages:
    starts: dict[int, LineageStarted] = field(default_factory=dict)
    """Claims that count, by lineage, in rising order."""
    refused: int = 0
    """Number of claims that do not count, with copies of those that do."""
    early: list[GroupClosed] = field(default_factory=list)
    """Closings whose lineage has not been claimed as far as the log was read; the newest `_MOST_EARLY` of them."""

    @classmethod
    def of(cls, messages: Iterable[LineageStarted]) -> "Lineages":
        lineages = cls()
        for message in messages:
            lineages.add(message)
        return lineages

    @property
    def newest(self) -> int:
        return next(reversed(self.starts), NONE)

    def add(self, claim: LineageStarted) -> bool:
        """Returns whether the claim counts and was not known. Claims come in the order of their partition.

        Retention may have removed the run's first claims, so the first one that is read counts whatever it follows,
        until one is read that follows an earlier lineage.
        """
        follows = followed(claim)
        fits = NONE <= follows < claim.lineage < HIGHEST and claim.ordinal >= 0 and claim.version >= 0
        if fits and self.starts and follows < followed(next(iter(self.starts.values()))):
            self.starts.clear()
        if not fits or (self.starts and follows != self.newest):
            self.refused += 1
            return False
        self.starts[claim.lineage] = claim
        return True

    def abandoned(self, closing: GroupClosed) -> bool:
        """Whether a later lineage took this closing back."""
        return not self.survives(closing.lineage, closing.ordinal + 1)

    def survives(self, lineage: int, closings: int) -> bool:
        """Whether the first `closings` closings of the history that `lineage` continued are in the surviving one.

        If not, weights and offsets of that moment belong to an abandoned history, and no learner may resume from them.
        """
        return all(start.ordinal >= closings for later, start in self.starts.items() if later > lineage)

    def is_early(self, closing: GroupClosed) -> bool:
        """Whether the closing's lineage has not been claimed, as far as the log was read: the claim may lie in another
        partition.
        """
        return bool(self.starts) and closing.lineage > self.newest

    def admit(self, closings: Iterable[GroupClosed]) -> list[GroupClosed]:
        """The closings of the surviving history among these and the early ones; new early ones wait for their claim."""
        waiting = [*self.early, *closings]
        self.early = [closing for closing in waiting if self.is_early(closing)][-_MOST_EARLY:]
        return [closing for closing in waiting if self.admits(closing)]

    def admits(self, closing: GroupClosed) -> bool:
        """Whether the closing is in the surviving history, as far as the log was read."""
        return not self.is_early(closing) and self.is_plausible(closing) and not self.abandoned(closing)

    def is_plausible(self, closing: GroupClosed) -> bool:
        """Whether the closing's version can be right: each version above that of the claim took a closing or more."""
        start = self.starts.get(closing.lineage)
        if start is None:  # retention removed it
            return True
        return start.version <= closing.version <= start.version + closing.ordinal - start.ordinal + 1

    def rewound(self, lineage: int, version: int) -> bool:
        """Whether a later lineage started below the version that `lineage` announced, and so abandoned it."""
        return any(later > lineage and start.version < version for later, start in self.starts.items())


def followed(claim: LineageStarted) -> int:
    """The lineage that was the newest in the log when the claim was made, or NONE."""
    return claim.lineage - 1 if claim.follows is None else claim.follows
