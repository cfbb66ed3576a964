"""Multiple choice: compares the one label that a response commits to with the reference's.

Invariant: a response is right if it commits to exactly one label, without doubt, and that label is the reference. A
letter that merely occurs is not a commitment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from streams.messages import Question
from workers.verifiers.answers.final_answer import final_answers
from workers.verifiers.answers.grammar import Answer, Grammar
from workers.verifiers.answers.verifier import POLICY, AnswerVerifier
from workers.verifiers.base import OptionsError
from workers.verifiers.choice.commitments import remarks
from workers.verifiers.choice.labels import Label, Labels

_FORMAT = re.compile(r"</?(?:b|strong|em|i|u|p)>|\\[()]|\$", re.IGNORECASE)
"""Tags and delimiters that only format a label."""


@dataclass(frozen=True, slots=True)
class ChoiceReference:
    name: str
    labels: Labels


class ChoiceVerifier(AnswerVerifier[ChoiceReference, Label]):
    name = "choice"
    version = "6"
    policy = (
        f"{POLICY} Exactly one choice must be committed to; `I choose B`, `B is correct`, and a line that is B or "
        "begins with `B)` commit to B, in lower case only if nothing else is there; if texts are given, so does a "
        "choice's text. Several choices (`A or B`) and letters in prose are not an answer. Boxes and statements of the "
        "answer take precedence over remarks and lists of the choices, and a box that holds no label is passed over."
    )
    options: ClassVar[Mapping[str, str]] = {
        "choices": 'the labels: a string ("ABCD", the default), a list, or a mapping of label to text',
        "texts": "the choices' texts, as a mapping by label or a list in the labels' order; a text then answers too",
    }

    def gold(self, question: Question) -> ChoiceReference:
        try:
            labels = _labels(question.options)
        except ValueError as error:
            raise OptionsError(f"options: {error}") from error
        name = labels.gold(question.ground_truth or "")
        if name is None:
            raise OptionsError(f"the ground truth {question.ground_truth!r} is none of {', '.join(labels.names)}")
        return ChoiceReference(name, labels)

    def grammar(self, gold: ChoiceReference) -> Grammar[Label]:
        labels = gold.labels

        def accepts(text: str) -> Label | None:
            return None if "\n" in text else labels.read(text)

        return Grammar(
            accepts,
            lambda text, _: labels.read(text),
            remarks=lambda text: remarks(text, labels),
            literal=lambda text: labels.by_text(text) is not None,
            concludes=False,
            extent=lambda _, label: label.end,
        )

    def answers(self, gold: ChoiceReference, text: str) -> list[Answer[Label]]:
        return final_answers(_FORMAT.sub("", text), self.grammar(gold))

    def fault(self, gold: ChoiceReference, value: Label) -> str | None:
        if gold.labels.name_of(value.name) is None:
            return f"{value.name} is none of {', '.join(gold.labels.names)}"
        return None if value.name == gold.name else f"{value.name} is not the ground truth"

    def shown(self, value: Label) -> str:
        return value.name


def _labels(options: Mapping[str, Any]) -> Labels:
    """Reads the labels from a question's options. Raises ValueError."""
    return Labels(options.get("choices", "ABCD"), options.get("texts"))
