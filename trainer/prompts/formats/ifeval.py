"""IFEval and IFBench: prompt, instruction_id_list, kwargs.

Invariant: the instructions' names and arguments reach the verifier as the row has them.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules
from trainer.prompts.formats.truths import literal


class InstructionBenchmarks:
    name: ClassVar[str] = "IFEval, IFBench"
    reads: ClassVar[Columns] = frozenset({"key", "prompt", "messages", "instruction_id_list", "kwargs"})

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:  # noqa: ARG002  the columns say it all
        return "instruction_id_list" in columns and not columns.isdisjoint({"prompt", "messages"})

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:  # noqa: ARG002  the benchmark is its scorer
        given = row.get("kwargs") or [{}] * len(row["instruction_id_list"] or ())
        if not isinstance(given, list):
            raise RowError(f"kwargs must be a list with one object per instruction, got {given!r:.80}")
        arguments = [literal(own, "kwargs") if isinstance(own, str) else own or {} for own in given]
        return {
            "domain": "instructions",
            "messages": row.get("messages") or row.get("prompt"),
            "verifier": "instructions",
            "options": {"instruction_id_list": row["instruction_id_list"], "kwargs": arguments},
            "source": None if row.get("key") is None else str(row["key"]),
        }
