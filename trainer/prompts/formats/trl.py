"""TRL's columns for GRPO: prompt (a text or a conversation) with solution or answer.

Invariant: the prompt is used as it is; a `solution` is mathematics, as in TRL's own examples, unless the row's domain
or the user says otherwise; an `answer` is only if it looks like it.

Source: TRL's dataset formats (`prompt-only`, standard and conversational) and its `accuracy_reward`.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules
from trainer.prompts.formats.truths import scored_by

_REFERENCES = ("solution", "answer")
_OWN = ("ground_truth", "references", "options", "veto")
_MATH = ("math", "mathematics")


class TrlPrompts:
    name: ClassVar[str] = "TRL"
    reads: ClassVar[Columns] = frozenset({"prompt", "domain", "source", "verifier", *_REFERENCES})

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return "prompt" in columns and not columns.isdisjoint(_REFERENCES) and columns.isdisjoint(_OWN)

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:
        reference = next((row[name] for name in _REFERENCES if row.get(name) is not None), None)
        domain = row.get("domain") or "mathematics"
        certain = row.get("solution") is not None or _looks_like_mathematics(reference)
        known = "math" if str(domain).lower() in _MATH and certain else None
        scorer = row.get("verifier") or rules.choose(str(domain), known)
        return scored_by(str(scorer), reference) | {
            "domain": domain,
            "prompt": row["prompt"],
            "source": row.get("source"),
        }


def _looks_like_mathematics(answer: Any) -> bool:
    return any(character.isdigit() or character in "\\$" for character in str(answer))
