"""GSM8K: question, and an answer that ends in `#### 42`.

Invariant: only rows whose answers have the mark are GSM8K; other questions and answers need a rule of the user's.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules
from trainer.prompts.formats.truths import scored_by

_MARK = "####"


class Gsm8k:
    name: ClassVar[str] = "GSM8K"
    reads: ClassVar[Columns] = frozenset({"question", "answer"})

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:
        return {"question", "answer"} <= columns and any(_MARK in str(row["answer"]) for row in first)

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:
        _, mark, answer = str(row["answer"]).rpartition(_MARK)
        if not mark:
            raise RowError(f"the answer has no {_MARK} before its result")
        return scored_by(rules.choose(None, "math"), answer.strip()) | {
            "domain": "mathematics",
            "prompt": row["question"],
        }
