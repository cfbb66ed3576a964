"""Knows which groups the learner has closed, so that no engine works on them.

Invariant: a group counts as closed only by a closing of the highest lineage that was seen. A learner that resumes may
open again what an earlier one had closed, so a new lineage empties the list. A closing that was missed costs generation
for nothing, and nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.codec import DecodeError, decode_by_schema
from streams.messages import GroupClosed, LineageStarted
from streams.records import Record

NEWEST = 2000
"""Closings per partition that a worker reads when it starts: far more groups than are in flight at a time."""
_REMEMBERED = 50_000
"""Closed groups kept, a few MB: their tickets are read again only after a rebalance, within minutes."""


@dataclass(slots=True)
class ClosedGroups:
    run_id: str
    _lineage: int = -1
    _closed: dict[str, None] = field(default_factory=dict)

    def __contains__(self, group_id: str) -> bool:
        return group_id in self._closed

    def add(self, records: Iterable[Record]) -> list[str]:
        """Returns the groups that these records close. Records that do not decode are the selector's to set aside."""
        found = []
        for record in records:
            try:
                message = decode_by_schema(record.value, record.headers)
            except DecodeError:
                continue
            if isinstance(message, GroupClosed | LineageStarted) and message.run_id == self.run_id:
                found += self._add(message)
        while len(self._closed) > _REMEMBERED:
            del self._closed[next(iter(self._closed))]
        return [group_id for group_id in found if group_id in self._closed]

    def _add(self, message: GroupClosed | LineageStarted) -> list[str]:
        if message.lineage > self._lineage:
            self._lineage = message.lineage
            self._closed.clear()
        if isinstance(message, LineageStarted) or message.lineage < self._lineage:
            return []
        self._closed[message.group_id] = None
        return [message.group_id]
