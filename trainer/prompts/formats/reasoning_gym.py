"""reasoning-gym's entries: question, answer, metadata with the name of the set (`source_dataset`).

Invariant: a set that has one right answer is judged by it, and the others by their rules, for which the whole entry
goes along (workers/verifiers/puzzle).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules
from trainer.prompts.formats.truths import literal
from workers.verifiers.puzzle.catalogue import ONE_ANSWER

_ASK = "Give the final answer in <answer></answer> tags."


class ReasoningGymEntries:
    name: ClassVar[str] = "reasoning-gym"
    reads: ClassVar[Columns] = frozenset({"question", "answer", "metadata"})

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:
        return {"question", "answer", "metadata"} <= columns and any(
            isinstance(row["metadata"], str | Mapping) and "source_dataset" in row["metadata"] for row in first
        )

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:  # noqa: ARG002  the set is its scorer
        metadata = row["metadata"]
        if isinstance(metadata, str):
            metadata = literal(metadata, "metadata")
        if not isinstance(metadata, Mapping) or not isinstance(metadata.get("source_dataset"), str):
            raise RowError(f"metadata names no source_dataset: {metadata!r:.80}")
        name, question = metadata["source_dataset"], row["question"]
        if not isinstance(question, str):
            raise RowError(f"question must be a text, got {question!r:.80}")
        judged: dict[str, Any] = {"ground_truth": str(row["answer"]), "options": {"dataset": name}}
        if name not in ONE_ANSWER:
            entry = {"question": question, "answer": row["answer"], "metadata": metadata}
            judged = {"options": {"dataset": name, "entry": entry}}
        index = metadata.get("source_index")
        return judged | {
            "domain": name,
            "prompt": f"{question.strip()}\n\n{_ASK}",
            "verifier": "puzzle",
            "source": f"reasoning-gym {name}" if index is None else f"reasoning-gym {name} {index}",
        }
