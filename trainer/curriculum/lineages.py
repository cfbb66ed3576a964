"""Decides which part of a learner's history survives: lineages, and the closings that they abandon.

A learner that resumes starts a new lineage at its checkpoint's ordinal. Closings of earlier lineages with that ordinal
or a higher one are not in the surviving model (`streams.messages.LineageStarted`).

Invariant: the answer depends on the set of messages, not on the order in which partitions deliver them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.messages import GroupClosed, LineageStarted


@dataclass(slots=True)
class Lineages:
    """Lineage starts by number. A learner that dies before its first announcement starts the same number again."""

    starts: dict[int, LineageStarted] = field(default_factory=dict)

    @classmethod
    def of(cls, messages: Iterable[LineageStarted]) -> "Lineages":
        lineages = cls()
        for message in messages:
            lineages.add(message)
        return lineages

    def add(self, message: LineageStarted) -> bool:
        """Returns whether the message was new."""
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
        """Whether a later lineage started below the version that `lineage` announced, and so abandoned it."""
        return any(later > lineage and start.version < version for later, start in self.starts.items())
