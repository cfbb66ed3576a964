"""Multiple choice: ARC, CommonsenseQA, OpenBookQA (choices {label, text}, answerKey), MMLU (choices, answer as a
number), MMLU-Pro (options as a list, answer as a letter).

Invariant: the prompt shows every choice under the label by which the scorer knows it.
"""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, ClassVar

from trainer.prompts.dataset_errors import RowError
from trainer.prompts.formats.row_format import Columns, Row
from trainer.prompts.formats.scorer_rules import ScorerRules

_QUESTIONS = ("question", "question_stem")
_ANSWERS = ("answerKey", "answer", "label", "answer_index")
_ASK = "Answer with the label of the right choice."


class MultipleChoice:
    name: ClassVar[str] = "multiple choice"
    reads: ClassVar[Columns] = frozenset({*_QUESTIONS, *_ANSWERS, "choices", "options", "id", "question_id", "domain"})

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:
        if columns.isdisjoint(_QUESTIONS) or columns.isdisjoint(_ANSWERS):
            return False
        return "choices" in columns or any(isinstance(row.get("options"), list) for row in first)

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:  # noqa: ARG002  a choice has one scorer
        labels, texts = _choices(row.get("choices") or row.get("options"))
        answer = _label(next((row[name] for name in _ANSWERS if row.get(name) not in (None, "")), None), labels)
        question = next((row[name] for name in _QUESTIONS if row.get(name)), None)
        if not isinstance(question, str):
            raise RowError(f"no question: expected a text in {' or '.join(_QUESTIONS)}")
        shown = "\n".join(f"{label}) {text}" for label, text in zip(labels, texts, strict=True))
        return {
            "domain": row.get("domain") or "multiple-choice",
            "prompt": f"{question.strip()}\n\n{shown}\n\n{_ASK}",
            "verifier": "choice",
            "ground_truth": answer,
            "options": {"choices": dict(zip(labels, texts, strict=True))},
            "source": next((str(row[name]) for name in ("id", "question_id") if row.get(name) is not None), None),
        }


def _choices(value: Any) -> tuple[list[str], list[str]]:
    """Labels and texts. Raises RowError."""
    labels: Any = None
    if isinstance(value, Mapping):
        labels, value = value.get("label"), value.get("text")
    if not isinstance(value, list) or not 2 <= len(value) <= len(ascii_uppercase):
        raise RowError(f"choices must be a list of 2 to {len(ascii_uppercase)} texts, or {{label, text}}")
    texts = [str(text).strip() for text in value]
    labels = list(ascii_uppercase[: len(texts)]) if labels is None else [str(label) for label in labels]
    if len(labels) != len(texts) or len(set(labels)) != len(labels):
        raise RowError(f"{len(texts)} choices have the labels {', '.join(labels)}")
    return labels, texts


def _label(answer: Any, labels: list[str]) -> str:
    """A label as it is, or the choice's number from 0. Raises RowError."""
    if isinstance(answer, str) and answer.strip() in labels:
        return answer.strip()
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(labels):
        return labels[answer]
    raise RowError(f"the answer {answer!r:.60} is none of {', '.join(labels)}, nor a number from 0")
