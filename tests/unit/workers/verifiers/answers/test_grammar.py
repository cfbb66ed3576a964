"""The reader guards a verifier whose grammar says only what a value is: here Roman numerals."""

import re

import pytest

from streams.messages import Question
from workers.verifiers.answers.grammar import Grammar
from workers.verifiers.answers.verifier import AnswerVerifier


class NumeralVerifier(AnswerVerifier[str, str]):
    name = "numeral"
    version = "1"
    policy = "A Roman numeral."
    options = {}  # noqa: RUF012  read, never changed

    def gold(self, question: Question) -> str:
        return question.ground_truth or ""

    def grammar(self, gold: str) -> Grammar[str]:
        return Grammar(numeral, within=lambda text: re.findall(r"\b[IVXLCDM]+\b", text))

    def fault(self, gold: str, value: str) -> str | None:
        return None if value == gold else f"{value} is not {gold}"


def numeral(text: str) -> str | None:
    text = text.strip(" .")
    return text if re.fullmatch(r"[IVXLCDM]+", text) else None


def score(response: str) -> float | None:
    return NumeralVerifier().verify(Question(prompt="?", ground_truth="XIV"), response).score


@pytest.mark.parametrize(
    "response",
    [
        "XIV",
        "\\boxed{XIV}",
        "The answer is XIV.",
        "So it is XIV.",
        "Caesar carved XIV here",
        "It isn't hard. Caesar carved XIV here",
        "Did he carve a numeral? He carved XIV here",
        "<answer>The answer is XIV</answer>",
        "\\boxed{So the answer is: XIV}",
        "The answer would be XIV if we add them up.",
        "The answer is VI. Actually, I took it for V, so XIV.",
    ],
)
def test_a_value_that_the_writer_stands_by_counts(response: str) -> None:
    assert score(response) == 1.0


@pytest.mark.parametrize(
    "response",
    [
        "The answer isn't XIV",
        "Caesar never carved XIV here",
        "Perhaps he carved XIV here",
        "Did he carve XIV here?",
        "He carved XIV here. I am not sure",
        "The answer is surely not the XIV here",
        "Caesar carved stones. In the end he may not have carved XIV at all",
        "<answer>The answer is not XIV</answer>",
        "<answer>The answer is probably XIV</answer>",
        "<answer>The answer is</answer> XIV",
        "So it carries XIV, but let me count again and",
        "He carved anything but XIV here",
        "Twice XIV",
        "The answer is VI. Actually, an X is missing, so XVI.",
    ],
)
def test_a_value_among_other_words_is_refused_if_it_is_denied_doubted_or_asked(response: str) -> None:
    assert score(response) == 0.0
