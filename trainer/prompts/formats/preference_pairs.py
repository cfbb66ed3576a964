"""Preference pairs, which are no prompts.

Invariant: every row with two responses to choose from is refused with the command that takes it.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules


class PreferencePairs:
    name: ClassVar[str] = "preference pairs"
    reads: ClassVar[Columns] = frozenset({"prompt", "messages", "chosen", "rejected"})

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return {"chosen", "rejected"} <= columns

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:  # noqa: ARG002  it never converts
        raise RowError(
            "this is a preference pair (chosen, rejected), which trains a reward model: `rewardstream rm train-bt FILE "
            "--out FOLDER`"
        )
