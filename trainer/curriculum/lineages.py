"""What survives of a learner's history: lineages, and the closings that they abandon.

A learner that resumes starts a lineage at its checkpoint's ordinal. Closings of earlier lineages with that ordinal
or a higher one are not in the surviving model (`streams.messages.LineageStarted`).

Invariant: the answer depends on the set of messages, not on the order in which partitions deliver them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.messages import GroupClosed, LineageStarted


@dataclass(slots=True)
class Lineages:
    """Lineage starts by number. A learner that dies before its first announcement starts the same one again."""

    starts: dict[int, LineageStarted] = field(default_factory=dict)

    @classmethod
    def of(cls, messages: Iterable[LineageStarted]) -> "Lineages":
        lineages = cls()
        for message in messages:
            lineages.add(message)
        return lineages

    def add(self, message: LineageStarted) -> bool:
        """Returns whether it was news."""
        known = self.starts.get(message.lineage)
        if known is not None and known.ordinal <= message.ordinal:
            return False
        self.starts[message.lineage] = message
        return True

    def abandoned(self, closing: GroupClosed) -> bool:
        """Whether a later lineage took this closing back."""
        return any(
            lineage > closing.lineage and start.ordinal <= closing.ordinal for lineage, start in self.starts.items()
        )

    def rewound(self, lineage: int, version: int) -> bool:
        """Whether the version that `lineage` announced was left behind by a later lineage that started below it."""
        return any(later > lineage and start.version < version for later, start in self.starts.items())
