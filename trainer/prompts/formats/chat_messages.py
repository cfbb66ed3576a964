"""Conversations in OpenAI's form: {"messages": [{"role", "content"}, ...]}, as for supervised fine-tuning.

Invariant: an answer at the end of a conversation is not part of the prompt. It becomes the reference that the judge
compares with.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules
from trainer.prompts.formats.truths import scored_by


class ChatMessages:
    name: ClassVar[str] = "chat messages"
    reads: ClassVar[Columns] = frozenset({"messages", "id", "source", "domain"})

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return "messages" in columns

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:
        turns, answer = row["messages"], None
        if (
            isinstance(turns, list)
            and turns
            and isinstance(turns[-1], Mapping)
            and turns[-1].get("role") == "assistant"
        ):
            turns, answer = turns[:-1], turns[-1].get("content")
        judged: dict[str, Any] = {"references": [answer] if answer else []}
        if rules.default is not None:
            judged = scored_by(rules.default, answer)
        return judged | {
            "domain": row.get("domain") or "chat",
            "messages": turns,
            "source": row.get("source") or row.get("id"),
        }
