"""Multiple choice: exactly one committed label counts. The right one is B unless a test says otherwise."""

from itertools import chain

import pytest
from support.verifiers.choices_committed import COMMITTED
from support.verifiers.choices_uncommitted import UNCOMMITTED

from streams.messages import Question, Status
from workers.verifiers.choice.verifier import ChoiceVerifier

CAPITALS = {"A": "London", "B": "Paris", "C": "Rome", "D": "It might be none of these"}


def choose(response, gold="B", **options):
    return ChoiceVerifier().verify(Question(prompt="?", ground_truth=gold, options=options), response)


@pytest.mark.parametrize("response", chain(*COMMITTED.values()))
def test_a_committed_b_is_right(response):
    found = choose(response)
    assert (found.score, found.status) == (1.0, Status.CORRECT), found.why
    assert choose(response, "A").score == 0.0, response
    assert choose(response, "C").score == 0.0


@pytest.mark.parametrize("response", chain(*UNCOMMITTED.values()))
def test_any_other_response_does_not_commit_to_b(response):
    found = choose(response)
    assert found.score == 0.0, (response[:80], found.why)
    assert found.status in {Status.WRONG, Status.UNPARSEABLE}


@pytest.mark.parametrize(
    ("gold", "response", "score"),
    [
        ("A", "A", 1.0),
        ("A", "a", 1.0),
        ("A", "The answer is A.", 1.0),
        ("A", "The answer is a dog.", 0.0),
        ("A", "The answer is A dog.", 0.0),
        ("A", "A dog is a mammal.", 0.0),
        ("A", "I think a dog.", 0.0),
        ("A", "It's a trap", 0.0),
        ("A", "It is a.", 0.0),
        ("A", "A. A dog is a mammal.", 1.0),
        ("A", "Option A is correct.", 1.0),
        ("A", "A is the correct answer.", 1.0),
        ("A", "A because dogs are mammals", 1.0),
        ("A", "A major chord", 0.0),
        ("A", "So a dog it is.", 0.0),
        ("(A)", "A", 1.0),
        ("a.", "A", 1.0),
        ("A) London", "A", 1.0),
    ],
)
def test_the_article_is_no_answer(gold, response, score):
    assert choose(response, gold).score == score


@pytest.mark.parametrize(
    ("gold", "response", "score"),
    [
        ("I", "I", 1.0),
        ("I", "(I)", 1.0),
        ("I", "The answer is I.", 1.0),
        ("I", "The answer is I think unclear.", 0.0),
        ("I", "I think so", 0.0),
        ("I", "I am sure.", 0.0),
        ("I", "I, for one, agree", 0.0),
        ("I", "I. Copper", 1.0),
        ("B", "I think B.", 1.0),
        ("B", "I choose B", 1.0),
        ("B", "I am sure: the answer is B", 1.0),
        ("B", "I'd say B", 1.0),
        ("J", "\\boxed{J}", 1.0),
    ],
)
def test_the_pronoun_is_no_answer(gold, response, score):
    assert choose(response, gold, choices="ABCDEFGHIJ").score == score


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("Paris", 1.0),
        ("paris.", 1.0),
        ("The answer is Paris.", 1.0),
        ("The answer is Paris, of course.", 1.0),
        ("\\boxed{Paris}", 1.0),
        ("\\boxed{\\text{Paris}}", 1.0),
        ("B) Paris", 1.0),
        ("The answer is B) Paris", 1.0),
        ("B", 1.0),
        ("A) London\nB) Paris\nC) Rome\nAnswer: Paris", 1.0),
        ("B) London", 0.0),
        ("The answer is (A) Paris", 0.0),
        ("\\boxed{London}", 0.0),
        ("Paris or London", 0.0),
        ("Paris\nLondon", 0.0),
        ("The answer is Paris. \\boxed{A}", 0.0),
        ("not Paris", 0.0),
        ("maybe Paris", 0.0),
        ("Rome", 0.0),
    ],
)
def test_a_choices_text_answers_as_its_label_does(response, score):
    found = choose(response, texts=CAPITALS)
    assert found.score == score, found.why
    assert choose(response, choices=CAPITALS).score == score
    assert choose(response, texts=list(CAPITALS.values())).score == score


def test_doubt_within_a_choice_is_no_doubt():
    assert choose("D) It might be none of these", "D", texts=CAPITALS).score == 1.0
    assert choose("The answer is D) It might be none of these", "D").score == 1.0
    assert choose("(B) Paris or its suburbs").score == 1.0
    assert choose("The answer is (B) C").score == 1.0


@pytest.mark.parametrize(
    ("choices", "gold", "response", "score"),
    [
        ("1234", "2", "2", 1.0),
        ("1234", "2", "(2)", 1.0),
        ("1234", "2", "The answer is 2.", 1.0),
        ("1234", "2", "2) Paris", 1.0),
        ("1234", "2", "2.5", 0.0),
        ("1234", "2", "0.2", 0.0),
        ("1234", "2", "12", 0.0),
        ("1234", "2", "The answer is 2 or 3", 0.0),
        ("1234", "2", "The answer is 5.", 0.0),
        (["A", "B"], "B", "B", 1.0),
        (["1", "2", "10"], "10", "The answer is 10.", 1.0),
        (["1", "2", "10"], "1", "The answer is 10.", 0.0),
        (["true", "false"], "true", "True", 1.0),
        (["true", "false"], "true", "The answer is true.", 1.0),
        (["true", "false"], "true", "true or false", 0.0),
        (["true", "false"], "true", "untrue", 0.0),
        (["yes", "no"], "no", "No, because it is heavy.", 1.0),
        (["yes", "no"], "no", "No", 1.0),
        (["yes", "no"], "no", "Yes", 0.0),
        (["yes", "no"], "yes", "Yes.", 1.0),
        ("АБВГ", "Б", "Б", 1.0),
        ("АБВГ", "Б", "Ответ: Б", 1.0),
        ("αβγδ", "β", "β", 1.0),
        ("甲乙丙丁", "乙", "答案是乙。", 1.0),
        ("abcd", "b", "B", 1.0),
        ("AB", "B", "C", 0.0),
    ],
)
def test_choices_may_have_other_labels(choices, gold, response, score):
    found = choose(response, gold, choices=choices)
    assert found.score == score, found.why


@pytest.mark.parametrize(
    ("gold", "options"),
    [
        (None, {}),
        ("", {}),
        ("E", {}),
        ("A or B", {}),
        ("B", {"choices": ""}),
        ("B", {"choices": "B"}),
        ("B", {"choices": "BB"}),
        ("B", {"choices": 5}),
        ("B", {"choices": ["A", ""]}),
        ("B", {"texts": {"Z": "Paris"}}),
        ("B", {"texts": ["Paris"]}),
        ("B", {"texts": 7}),
        ("B", {"choices": [str(number) for number in range(1000)]}),
    ],
)
def test_a_wrong_prompt_is_no_reward(gold, options):
    found = choose("B", gold, **options)
    assert (found.score, found.status) == (None, Status.INFRA_ERROR)
    assert "correct the prompt" in found.why
