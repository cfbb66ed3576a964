"""A set of integers that fills from below: every integer under `low` is a member, `above` holds the other members.

Invariant: `low` is the smallest integer that is not in the set, so memory grows with the gaps, not with the run.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class SeqSet:
    low: int = 0
    above: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, low: int, above: Iterable[int]) -> "SeqSet":
        """Rebuilds a stored set."""
        result = cls(low)
        for seq in above:
            result.add(seq)
        return result

    def copy(self) -> "SeqSet":
        return SeqSet(self.low, set(self.above))

    def __contains__(self, seq: int) -> bool:
        return seq < self.low or seq in self.above

    def add(self, seq: int) -> None:
        if seq in self:
            return
        self.above.add(seq)
        while self.low in self.above:
            self.above.remove(self.low)
            self.low += 1
