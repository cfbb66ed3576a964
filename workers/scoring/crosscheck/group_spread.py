"""Collects the responses of groups as they come, and measures each group once.

Invariant: memory is bounded by `_OPEN_GROUPS` groups of a few cut responses. A group that is pushed out before it is
complete is not measured.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from streams.messages import Rollout
from workers.scoring.crosscheck.edit_distance import largest_edit_distance

_OPEN_GROUPS = 1024
"""Groups whose responses are awaited: many times those in work at one time, and a few MiB."""


@dataclass(slots=True)
class GroupSpread:
    responses: int
    """Number of responses per group that are compared."""
    characters: int
    """Length to which each is cut."""
    _open: OrderedDict[str, dict[int, str]] = field(default_factory=OrderedDict)
    """Group id -> responses by index; empty once the group is measured."""

    def add(self, rollout: Rollout) -> float | None:
        """Returns the largest edit distance of the rollout's group if this response completes it."""
        texts = self._open.setdefault(rollout.group_id, {})
        needed = min(self.responses, rollout.group_size)
        if rollout.index >= needed or (rollout.index in texts) or len(texts) >= needed:
            return None
        texts[rollout.index] = rollout.text[: self.characters]
        while len(self._open) > _OPEN_GROUPS:
            self._open.popitem(last=False)
        return largest_edit_distance(list(texts.values()), self.characters) if len(texts) == needed else None
