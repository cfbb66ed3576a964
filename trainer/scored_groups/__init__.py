"""The scored groups of a run for other learners: `with ScoredGroups.of_run("latest") as groups: ...`.

This is a public interface: what is exported here changes by addition only. Everything else of this project may change.
"""

from trainer.scored_groups.position import LogPosition
from trainer.scored_groups.reader import RunNotReadableError, ScoredGroups
from trainer.scored_groups.scored_group import ScoredGroup, ScoredSample

__all__ = ["LogPosition", "RunNotReadableError", "ScoredGroup", "ScoredGroups", "ScoredSample"]
