"""The digest of what was asked changes with whatever changes a score, and with nothing else."""

from dataclasses import replace

import pytest

from streams.messages import Question
from trainer.evaluation.asked import Conditions, asked_digest

CONDITIONS = Conditions(weights="w", dtype="bfloat16", engine="hf", temperature=1.0, top_p=1.0, seed=0)
QUESTION = Question(prompt="2 + 2?", verifier="math", ground_truth="4", options={"a": 1, "b": [1, 2]})
MESSAGES = ({"role": "user", "content": "2 + 2?"},)


def digest(
    conditions: Conditions = CONDITIONS, question: Question = QUESTION, tokens: int = 32, scorer: str = "math@1"
) -> str:
    return asked_digest(conditions, MESSAGES, question, tokens, scorer)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "other"},
        {"dtype": "float32"},
        {"engine": "vllm"},
        {"temperature": 0.0},
        {"top_p": 0.9},
        {"seed": 1},
    ],
)
def test_every_condition_enters_it(change: dict[str, object]) -> None:
    assert digest(replace(CONDITIONS, **change)) != digest()


def test_so_do_question_length_and_scorer() -> None:
    questions = [
        Question(prompt="2 + 2?", verifier="math", ground_truth="5", options=QUESTION.options),
        Question(prompt="2 + 2?", verifier="math", ground_truth="4"),
        Question(prompt="2 + 2?", verifier="math", ground_truth="4", options=QUESTION.options, references=("four",)),
    ]
    others = [digest(question=question) for question in questions] + [digest(tokens=64), digest(scorer="math@2")]
    assert len({digest(), *others}) == 6


def test_the_order_of_options_does_not() -> None:
    turned = Question(prompt="2 + 2?", verifier="math", ground_truth="4", options={"b": [1, 2], "a": 1})
    assert digest(question=turned) == digest()
    assert len(digest()) == 64
