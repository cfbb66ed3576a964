"""Remembers which versions the learner announced, so that an evaluation can name the weights it is of.

Invariant: a version that the selector has heard of through closings is found, unless compaction removed its
announcement while no selector ran: the learner announces a version before it closes a group at it.
"""

from dataclasses import dataclass, field

from streams.announcements import read_announcement
from streams.clients import Reader
from streams.codec import DecodeError
from streams.messages import PolicyVersion
from trainer.curriculum.lineages import Lineages

_REMEMBERED = 256
"""Announcements kept: an evaluation begins within few versions of the one that it is of."""


@dataclass(slots=True)
class AnnouncedVersions:
    run_id: str
    reader: Reader
    key: bytes | None = None
    """The key of the announcements' signatures; None if they need none."""
    _versions: list[PolicyVersion] = field(default_factory=list)
    """In the order of the log."""

    def find(self, version: int, lineages: Lineages) -> PolicyVersion | None:
        """The announcement of this version in the surviving history; None if it is not in the log."""
        while any(self.reader.lag().values()):
            for record in self.reader.poll(timeout=0.1):
                try:
                    announced = read_announcement(record, self.key)
                except DecodeError:  # the workers set it aside, as what is not signed
                    continue
                if announced.run_id == self.run_id:
                    self._versions.append(announced)
        del self._versions[:-_REMEMBERED]
        found = [a for a in self._versions if a.version == version and not lineages.rewound(a.lineage, version)]
        return max(found, key=lambda announced: announced.lineage, default=None)
