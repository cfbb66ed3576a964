"""Rewardstream's own columns.

Invariant: a column that is almost one of ours is refused, because a misspelt `verifier` would send a prompt to another
scorer.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules

PROMPT = ("prompt", "messages")
JUDGED_BY = ("verifier", "veto", "ground_truth", "references", "options")
PLACED_BY = ("split", "origin", "skill")
"""Columns that say where a prompt belongs. Rows of every format may have them."""
OTHERS = ("domain", "source", "id")
_CLOSE = 0.75
"""Similarity (difflib) of a misspelt name: `verifer` has 0.93, `groundtruth` 0.96, `difficulty` 0.4 to any of ours."""


class OwnColumns:
    name: ClassVar[str] = "rewardstream"
    reads: ClassVar[Columns] = frozenset((*PROMPT, *JUDGED_BY, *PLACED_BY, *OTHERS))

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return not columns.isdisjoint(PROMPT) and not columns.isdisjoint((*JUDGED_BY, "domain"))

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:  # noqa: ARG002  the row names its scorer
        return dict(row)


def require_no_misspelling(columns: Columns) -> None:
    """Raises RowError if a column that is not ours is close to one that is, and that one is missing."""
    for column in sorted(columns - OwnColumns.reads):
        close = get_close_matches(column.lower(), sorted(OwnColumns.reads - columns), 1, _CLOSE)
        if close:
            raise RowError(f"unknown column {column!r}: did you mean {close[0]!r}? Rename it, or leave it out")
