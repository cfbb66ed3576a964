"""What people and models write for one value, and for a value that only looks like it: (gold, response)."""

import pytest
from _pytest.mark import ParameterSet
from support.verifiers.mathematics_right import RIGHT
from support.verifiers.mathematics_wrong import WRONG

from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.math.verifier import MathVerifier


def rows(table: dict[str, list[tuple[str, str]]]) -> list[ParameterSet]:
    return [pytest.param(*case, id=f"{theme}-{n}") for theme, cases in table.items() for n, case in enumerate(cases)]


def verdict(gold: str, response: str) -> Verdict:
    return MathVerifier().verify(Question(prompt="?", ground_truth=gold), response)


@pytest.mark.parametrize(("gold", "response"), rows(RIGHT))
def test_the_same_value_in_another_notation_is_right(gold: str, response: str) -> None:
    found = verdict(gold, response)
    assert (found.score, found.status) == (1.0, Status.CORRECT), found.why


@pytest.mark.parametrize(("gold", "response"), rows(WRONG))
def test_what_only_looks_like_the_gold_is_wrong(gold: str, response: str) -> None:
    found = verdict(gold, response)
    assert found.score == 0.0, found.why
    assert found.status in {Status.WRONG, Status.UNPARSEABLE}


@pytest.mark.parametrize(
    ("prompt", "response", "score"),
    [
        ("What is $x^2+1$?", r"\boxed{x^2+1 = 10}", 1.0),
        ("What is 2x?", r"\boxed{2x = 10}", 1.0),
        ("Solve x^2+1 = 10.", r"\boxed{x^2+1 = 10}", 0.0),
        ("Solve it.", r"\boxed{x^2+1 = 10}", 0.0),
    ],
)
def test_an_equation_answers_where_the_prompt_asks_for_its_left_side(prompt: str, response: str, score: float) -> None:
    assert MathVerifier().verify(Question(prompt=prompt, ground_truth="10"), response).score == score
