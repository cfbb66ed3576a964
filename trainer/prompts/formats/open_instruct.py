"""open-instruct's columns for RLVR: messages, ground_truth (a text or a list), dataset (the name of its verifier).

Invariant: `dataset` names the scorer; a name that has none here is refused, and so is a row with several.

Source: open-instruct's `ground_truth_utils` and the RLVR datasets of Tulu 3.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules
from trainer.prompts.formats.truths import scored_by

_DOMAINS = {"math": "mathematics", "code": "coding", "instructions": "instructions"}


class OpenInstruct:
    name: ClassVar[str] = "open-instruct"
    reads: ClassVar[Columns] = frozenset({"messages", "prompt", "ground_truth", "dataset", "key", "id", "domain"})

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return {"ground_truth", "dataset"} <= columns and not columns.isdisjoint({"messages", "prompt"})

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:
        dataset = _one_name(row["dataset"])
        scorer = rules.choose(dataset)
        turns = row.get("messages") or row.get("prompt")
        if isinstance(turns, list) and len(turns) > 1 and turns[-1].get("role") == "assistant":
            turns = turns[:-1]  # the answer of the supervised dataset that the prompts were taken from
        return scored_by(scorer, row["ground_truth"]) | {
            "domain": row.get("domain") or _DOMAINS.get(scorer, dataset),
            "messages": turns,
            "source": ":".join(str(part) for part in (dataset, row.get("key") or row.get("id")) if part is not None),
        }


def _one_name(dataset: Any) -> str:
    """Raises RowError."""
    names = list(dict.fromkeys(dataset)) if isinstance(dataset, list) else [dataset]
    if len(names) != 1 or not isinstance(names[0], str):
        raise RowError(f"dataset must be the name of one verifier, got {dataset!r:.100}")
    return names[0]
