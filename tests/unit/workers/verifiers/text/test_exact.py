"""Exact answers: what is form and what is content, and final answers where they are asked for."""

import pytest

from streams.messages import Question, Status
from workers.verifiers.text.exact import ExactVerifier


def judge(gold, response, **options):
    return ExactVerifier().verify(Question(prompt="?", ground_truth=gold, options=options), response)


@pytest.mark.parametrize(
    ("gold", "response", "score"),
    [
        ("Paris", "PARIS", 1.0),
        ("Paris", "Pa\u200bris\ufeff", 1.0),
        ("Paris", "\uff30aris", 1.0),
        ("don't", "don’t", 1.0),
        ("x-ray", "x\u2011ray", 1.0),
        ("H2O", "H₂O", 1.0),
        ("café", "cafe\u0301", 1.0),
        ("Paris", "«Paris»", 1.0),
        ("Paris", "Р\u0430ris", 0.0),
        ("café", "cafe", 0.0),
        ("Paris", "Paris!", 0.0),
        ("Paris", "Paris, France", 0.0),
        ("Paris", "The answer is Paris", 0.0),
        ("Paris", "\\boxed{Paris}", 0.0),
        ("Paris", "not Paris", 0.0),
        ("Paris", "Paris or London", 0.0),
        ("Paris", "Paris\nLondon", 0.0),
        ("Paris", "\u200b", 0.0),
    ],
)
def test_form_is_forgiven_and_content_is_not(gold, response, score):
    assert judge(gold, response).score == score


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("Paris", 1.0),
        ("**Paris**", 1.0),
        ("\\boxed{Paris}", 1.0),
        ("$\\boxed{\\text{Paris}}$", 1.0),
        ("<answer>Paris</answer>", 1.0),
        ("<answer>\\boxed{Paris}</answer>", 1.0),
        ("The answer is Paris.", 1.0),
        ("The answer is **Paris**. It lies on the Seine.", 1.0),
        ("Answer: Paris", 1.0),
        ("It lies on the Seine.\n\nFinal answer:\nParis", 1.0),
        ("The answer is Paris. \\boxed{Paris}", 1.0),
        ("The answer is London. No, wait, the answer is Paris.", 1.0),
        ("The answer is London. \\boxed{Paris}", 0.0),
        ("\\boxed{Paris} \\boxed{London}", 0.0),
        ("The answer is Paris. The answer is London.", 0.0),
        ("The answer is Paris or London.", 0.0),
        ("The answer is not Paris.", 0.0),
        ("Maybe the answer is Paris.", 0.0),
        ("The answer is probably Paris.", 0.0),
        ("\\boxed{Paris", 0.0),
        ("\\boxed{}", 0.0),
        ("<answer>Paris", 1.0),
        ("<think>\\boxed{Paris}</think>", 0.0),
        ("It is Paris", 1.0),
        ("It is not Paris", 0.0),
        ("", 0.0),
    ],
)
def test_final_answers_where_the_prompt_asks_for_them(response, score):
    found = judge("Paris", response, extract="final")
    assert found.score == score, found.why


def test_case_counts_where_the_prompt_says_so():
    assert judge("CO", "Co").score == 1.0
    assert judge("CO", "Co", case_sensitive=True).score == 0.0
    assert judge("CO", "CO.", case_sensitive=True).score == 1.0
    assert judge("vitamin A", "vitamin", ignore_articles=True).score == 0.0


@pytest.mark.parametrize(("gold", "options"), [(None, {}), ("", {}), (".", {}), ("x", {"extract": "first"})])
def test_a_wrong_prompt_is_no_reward(gold, options):
    assert judge(gold, "x", **options).status is Status.INFRA_ERROR
