"""A verdict's details hold the answer that decided it, so that equal answers of different texts can be counted."""

import pytest

from streams.messages import ANSWER_DETAIL, Question
from workers.verifiers.registry import load_verifier


@pytest.mark.parametrize(
    ("verifier", "truth", "response", "answer"),
    [
        ("math", "42", "First this, then that: \\boxed{7}", "7"),
        ("math", "42", "So the answer is \\boxed{42}", "42"),
        ("exact", "Paris", "Lyon", "lyon"),
        ("choice", "A", "The answer is (B).", "B"),
        ("math", "42", "I do not know.", None),
    ],
)
def test_the_answer_is_in_the_details(verifier, truth, response, answer):
    options = {"choices": {"A": "one", "B": "two"}} if verifier == "choice" else {}
    question = Question(prompt="?", verifier=verifier, ground_truth=truth, options=options)
    verdict = load_verifier(verifier).verify(question, response)
    assert verdict.details.get(ANSWER_DETAIL) == answer, verdict.why


def test_a_long_answer_is_cut():
    question = Question(prompt="?", verifier="exact", ground_truth="Paris")
    verdict = load_verifier("exact").verify(question, f"<answer>{'word ' * 200}</answer>")
    assert len(verdict.details[ANSWER_DETAIL]) == 400
