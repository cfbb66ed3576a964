"""A dataset's ground truth, in whatever form it is written, as the columns that a scorer reads.

Invariant: nothing of a ground truth is dropped. A list for a scorer that takes one answer is refused unless all its
members say the same.
"""

import ast
import json
from collections.abc import Mapping
from typing import Any

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.code_tests import as_tests
from trainer.prompts.formats.scorer_rules import GENRM

_SHOWN = 80


def scored_by(scorer: str, truth: Any, **hints: str | None) -> dict[str, Any]:
    """The columns `verifier`, `ground_truth` and `options` for a scorer. `hints`: see `as_tests`. Raises RowError."""
    if scorer == GENRM:
        return {"verifier": None, "ground_truth": None if truth is None else text_of(truth)}
    if scorer == "code":
        return {"verifier": scorer, "options": {"tests": as_tests(truth, **hints)}}
    if scorer == "instructions":
        return {"verifier": scorer, "options": instructions_of(truth)}
    if scorer == "exact":
        return exact_answers(texts_of(truth))
    return {"verifier": scorer, "ground_truth": None if truth is None else text_of(truth)}


def exact_answers(texts: list[str]) -> dict[str, Any]:
    """The answer that a response commits to must be one of the texts. Raises RowError."""
    first, *others = texts or [""]
    return {
        "verifier": "exact",
        "ground_truth": first,
        "options": {"extract": "final", **({"accept": others} if others else {})},
    }


def text_of(truth: Any) -> str:
    """The one text of a ground truth. Raises RowError if it has none, or several."""
    texts = list(dict.fromkeys(texts_of(truth)))
    if len(texts) != 1:
        raise RowError(f"expected one ground truth, got {len(texts)}: {truth!r:.{_SHOWN}}")
    return texts[0]


def texts_of(truth: Any) -> list[str]:
    """The texts of a ground truth: a text, a number, a list of those, or verl's {"target": ...}. Raises RowError."""
    if isinstance(truth, Mapping) and "target" in truth:
        truth = truth["target"]
    if isinstance(truth, bool) or not isinstance(truth, str | int | float | list | tuple):
        raise RowError(f"expected a text as the ground truth, got {truth!r:.{_SHOWN}}")
    if isinstance(truth, list | tuple):
        return [text for item in truth for text in texts_of(item)]
    return [str(truth)]


def instructions_of(truth: Any) -> dict[str, Any]:
    """IFEval's options from open-instruct's ground truth, `[{"instruction_id": [...], "kwargs": [...]}]`, which may be
    written as text. Raises RowError.
    """
    found = truth
    for _ in range(3):  # a list of a text of a list
        if isinstance(found, list | tuple) and len(found) == 1:
            found = found[0]
        if isinstance(found, str):
            found = literal(found, "the ground truth")
    if isinstance(found, Mapping) and "func_name" in found:
        raise RowError(
            f"the ground truth names open-instruct's own function {found['func_name']!r}, which no verifier here "
            "repeats; the later datasets of IFEval's instructions (instruction_id, kwargs) are read"
        )
    names = found.get("instruction_id") or found.get("instruction_id_list") if isinstance(found, Mapping) else None
    if not names:
        raise RowError(f"expected instruction_id and kwargs in the ground truth, got {truth!r:.{_SHOWN}}")
    given = found.get("kwargs") or [None] * len(names)
    return {"instruction_id_list": list(names), "kwargs": [own or {} for own in given]}


def literal(text: str, what: str) -> Any:
    """Reads JSON, or what Python writes for the same data. Raises RowError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise RowError(f"{what} is neither JSON nor a Python literal: {text!r:.{_SHOWN}}") from error
