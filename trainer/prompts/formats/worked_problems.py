"""Mathematical problems with a solution or an answer: open-r1's datasets, NuminaMath, MATH, DeepMath, AIME.

Invariant: a final answer is preferred to a worked solution; of the latter, the last boxed answer counts.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules
from trainer.prompts.formats.truths import scored_by, text_of

_PROBLEMS = ("problem", "question")
_ANSWERS = ("answer", "expected_answer", "final_answer", "solution")
_ANY_QUESTION = frozenset({"expected_answer", "final_answer", "solution"})
"""Columns that make a `question` a mathematical one; `question` and `answer` alone may be about anything."""
_NONE = frozenset({"", "proof", "notfound", "not found"})
"""What NuminaMath writes for a problem without a final answer."""


class WorkedProblems:
    name: ClassVar[str] = "open-r1"
    reads: ClassVar[Columns] = frozenset({*_PROBLEMS, *_ANSWERS, "source", "uuid", "unique_id", "id"})

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        if columns.intersection({"prompt", "choices", "input_output", "verification_info"}):
            return False
        return ("problem" in columns and not columns.isdisjoint(_ANSWERS)) or (
            "question" in columns and not columns.isdisjoint(_ANY_QUESTION)
        )

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:
        given = [row[name] for name in _ANSWERS if row.get(name) is not None]
        found = next((value for value in given if str(value).strip().lower() not in _NONE), None)
        if found is None:
            raise RowError(f"the problem has no final answer: {', '.join(map(str, given)) or 'none is given'}")
        problem = next((row[name] for name in _PROBLEMS if row.get(name)), None)
        return scored_by(rules.choose(None, "math"), text_of(found)) | {
            "domain": "mathematics",
            "prompt": problem,
            "source": next((str(row[name]) for name in ("uuid", "unique_id", "id", "source") if row.get(name)), None),
        }
