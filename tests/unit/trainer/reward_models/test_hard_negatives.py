"""Hard negatives are wrong, of the kinds that were asked for, and form says nothing about the label."""

import random
import re

import pytest

from streams.messages import Question
from trainer.reward_models.hard_negatives import (
    PHRASES,
    TRAINED_PHRASES,
    UNSEEN_PHRASES,
    NegativeKind,
    contains_truth,
    echo_of,
    in_varied_form,
    vary_answer,
    with_negatives,
)
from trainer.supervised.genrm import Triple, TripleGroup
from workers.judges.canary import FORGERIES, MASTER_KEYS, OPENINGS

TRUTHS = ("Paris", "Rome", "Oslo", "Bern", "Lima", "Cairo")
LONG = "Let us recall the map first. The city is {}."


def fact(truth: str, domain: str = "cities") -> TripleGroup:
    wrong = TRUTHS[(TRUTHS.index(truth) + 1) % len(TRUTHS)]
    triples = (Triple(truth, 1.0), Triple(LONG.format(truth), 1.0), Triple(wrong, 0.0))
    return TripleGroup(Question(prompt=f"Which city has {truth}'s mayor?", ground_truth=truth), triples, domain)


FACTS = [fact(truth) for truth in TRUTHS]
WRITING = TripleGroup(
    Question(prompt="Write a line about cats.", references=("Cats sleep.",)),
    (Triple("Cats sleep a lot. They do.", 0.9),),
)


def added(groups: list[TripleGroup], *kinds: NegativeKind, seed: int = 0, count: int = 1) -> list[list[str]]:
    found = with_negatives(groups, kinds, count, random.Random(seed))
    assert [group.triples[: len(old.triples)] for group, old in zip(found, groups, strict=True)] == [
        group.triples for group in groups
    ]
    new = [group.triples[len(old.triples) :] for group, old in zip(found, groups, strict=True)]
    assert all(one.right == 0.0 for own in new for one in own)
    return [[one.response for one in own] for own in new]


@pytest.mark.parametrize("seed", range(5))
def test_negatives_are_wrong_and_not_repeated(seed: int) -> None:
    for group, texts in zip(FACTS, added(FACTS, *NegativeKind, seed=seed, count=4), strict=True):
        assert len(texts) == 4
        assert len(set(texts)) == len(texts)
        right = {one.response for one in group.triples if one.right}
        assert not right & set(texts)
        assert all(text == group.question.prompt or not contains_truth(group.question, text) for text in texts)


def test_each_kind_makes_what_its_name_says() -> None:
    prompts = [group.question.prompt for group in FACTS]
    assert all(text in prompt for prompt, (text,) in zip(prompts, added(FACTS, NegativeKind.ECHO), strict=True))
    assert added(FACTS, NegativeKind.FIRST_SENTENCE) == [["Let us recall the map first."]] * len(FACTS)
    assert {text for own in added(FACTS, NegativeKind.PHRASE) for text in own} <= set(TRAINED_PHRASES)
    others = [text for own in added(FACTS, NegativeKind.OTHER, count=3) for text in own]
    assert others
    assert all(any(truth in text for truth in TRUTHS) for text in others)


def test_answers_of_other_domains_are_no_negatives() -> None:
    assert added([fact("Paris", "cities"), fact("Rome", "towns")], NegativeKind.OTHER, count=5) == [[], []]


def test_a_kind_that_a_question_does_not_allow_is_left_out() -> None:
    assert added([WRITING], NegativeKind.OTHER) == [[]]
    assert added([WRITING], NegativeKind.FIRST_SENTENCE) == [["Cats sleep a lot."]]
    for seed in range(8):
        assert len(added([WRITING], NegativeKind.OTHER, NegativeKind.PHRASE, seed=seed)[0]) == 1


def test_the_same_draw_gives_the_same_negatives() -> None:
    assert added(FACTS, *NegativeKind, seed=3, count=2) == added(FACTS, *NegativeKind, seed=3, count=2)
    assert added(FACTS, *NegativeKind, seed=3, count=2) != added(FACTS, *NegativeKind, seed=4, count=2)


def test_what_measures_a_judge_is_not_what_it_was_fitted_on() -> None:
    assert set(TRAINED_PHRASES) | set(UNSEEN_PHRASES) == set(PHRASES)
    assert not set(TRAINED_PHRASES) & {*UNSEEN_PHRASES, *MASTER_KEYS, *FORGERIES, *OPENINGS}


def test_an_echo_is_part_of_the_prompt() -> None:
    rng = random.Random(1)
    echoes = {echo_of("one two three four five six", rng) for _ in range(200)}
    assert "one two three four five six" in echoes
    assert all(text in "one two three four five six" for text in echoes)
    assert len(echoes) > 10
    assert echo_of("Why?", rng) == "Why?"


FORMS = {
    "full stop": lambda text: text.endswith("."),
    "quotes": lambda text: '"' in text,
    "upper case": str.isupper,
    "lower case": str.islower,
    "article": lambda text: re.match(r"(?i)\W*(the|a) ", text) is not None,
    "lead-in": lambda text: re.match(r"(?i)\W*(the answer is|it is|i think|answer:)", text) is not None,
}


@pytest.mark.parametrize("form", FORMS)
def test_form_does_not_tell_right_from_wrong(form: str) -> None:
    """It does in the file: right answers are in lower case there, and wrong ones end with a full stop."""
    group = TripleGroup(Question(prompt="Which?", ground_truth="red"), (Triple("red", 1.0), Triple("The blue.", 0.0)))
    rng = random.Random(2)
    varied = [one for _ in range(600) for one in in_varied_form([group], rng)[0].triples]
    shares = []
    for label in (1.0, 0.0):
        texts = [one.response for one in varied if one.right == label]
        shares.append(sum(map(FORMS[form], texts)) / len(texts))
    assert abs(shares[0] - shares[1]) < 0.08, shares


def test_an_answer_keeps_its_words() -> None:
    rng = random.Random(5)
    assert {re.sub(r'(?i)^"?((the|a) )?|[."]', "", vary_answer("New York.", rng, ())) for _ in range(99)} == {
        *("New York", "new york", "New york", "NEW YORK"),
    }
    assert {vary_answer('"5 mW"', rng, ()) for _ in range(99)} == {"5 mW", "5 mW.", '"5 mW"'}


def test_a_longer_answer_keeps_its_words_and_a_compared_one_all() -> None:
    rng = random.Random(3)
    text = "the quick brown fox jumps over it."
    assert all(text.rstrip(".") in vary_answer(text, rng) for _ in range(50))
    assert in_varied_form([WRITING], rng) == [WRITING]
