"""The guard against wrong references."""

import pytest

from infra.db.statistics import comparable
from trainer.curriculum.quarantine import suspicion


def responses(texts, scores, answers=None):
    answers = answers or [None] * len(texts)
    return [(score, comparable(answer, text)) for text, score, answer in zip(texts, scores, answers, strict=True)]


def test_agreeing_responses_that_contradict_the_reference_are_suspicious():
    why = suspicion(responses(["Paris", "paris.", "Paris!", " PARIS ", "Lyon"], [0, 0, 0, 0, 1]))
    assert why == (
        "suspicious: 4 of 5 responses agree on 'paris' and score 0.00 against the reference; check the reference"
    )


def test_derivations_that_end_in_the_same_wrong_number_agree():
    texts = [f"{'Step by step, ' * n}so the answer is \\boxed{{7}}" for n in range(8, 13)]
    assert suspicion(responses(texts, [0] * 5)) is None
    assert "5 of 5 responses agree on '7'" in suspicion(responses(texts, [0] * 5, ["7"] * 5))


@pytest.mark.parametrize(
    ("texts", "scores"),
    [
        (["a", "b", "c", "d", "e"], [0] * 5),  # wrong in five ways: hard, not broken
        (["a"] * 5, [1] * 5),  # agree and are right
        (["a"] * 3 + ["b"] * 2, [0] * 5),
        (["a", "a"], [0, 0]),
        ([""] * 5, [0] * 5),
        ([], []),
    ],
)
def test_which_responses_are_not_suspicious(texts, scores):
    assert suspicion(responses(texts, scores)) is None
