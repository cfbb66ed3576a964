"""Triples: labels that agree with the verifiers, and no form that tells right from wrong."""

import random
import re

import pytest

from infra.demo.generate import Sample
from infra.demo.measure import rate
from infra.demo.passages import READING_KINDS, passages
from infra.demo.prompts import build_prompts, heldout_tasks, new_tasks, original_tasks
from infra.demo.references import ranked
from infra.demo.splits import Split, topics
from infra.demo.tasks import READING, WRITING, reading, writing
from infra.demo.triples import reading_groups, writing_groups
from trainer.prompts.dataset import Defaults, parse_row
from trainer.reward_models.hard_negatives import TRAINED_PHRASES, UNSEEN_PHRASES
from trainer.supervised.genrm import Triple
from workers.judges.canary import FORGERIES, MASTER_KEYS, OPENINGS
from workers.verifiers.registry import verifier_names

PASSAGES = [own for kind in READING_KINDS for own in passages(Split.TRAIN, kind, 16)]
FORMS = {
    "full stop": lambda text: text.endswith("."),
    "quotes": lambda text: '"' in text,
    "upper case": lambda text: text.isupper(),
    "lower case": lambda text: text.islower(),
    "article": lambda text: re.match(r"(?i)\s*(the|a) ", text) is not None,
}


def candidates(seeds: int) -> list[Triple]:
    groups = [group for seed in range(seeds) for group in reading_groups(PASSAGES, {}, random.Random(seed))]
    return [one for group in groups for one in group.triples]


def good(topic: str) -> str:
    return f"The {topic} shone brightly while tired children slept beside a quiet fire."


def said(text: str, *, finished: bool = True, logprob: float = -1.0) -> Sample:
    return Sample(text, finished, logprob)


def test_labels_agree_with_the_verifier() -> None:
    for passage, group in zip(PASSAGES, reading_groups(PASSAGES, {}, random.Random(1)), strict=True):
        assert {one.right for one in group.triples} == {0.0, 1.0}
        assert all((rate(reading(passage), one.response) > 0) == (one.right == 1.0) for one in group.triples)


@pytest.mark.parametrize("form", FORMS)
def test_form_does_not_tell_right_from_wrong(form: str) -> None:
    """Each form is about as frequent among right answers as among wrong ones of one or two words."""
    triples = [
        one for seed in range(4) for group in reading_groups(PASSAGES, {}, random.Random(seed)) for one in group.triples
    ]
    shares = []
    for label in (1.0, 0.0):
        texts = [one.response for one in triples if one.right == label and len(one.response.split()) < 3]
        shares.append(sum(map(FORMS[form], texts)) / len(texts))
    assert abs(shares[0] - shares[1]) < 0.1, shares


def test_the_policys_own_wrong_answers_are_among_the_candidates() -> None:
    passage = PASSAGES[0]
    own = {reading(passage).prompt: [said("Wrongly"), said(passage.answer), said("Wrongly")]}
    (group,) = reading_groups([passage, *PASSAGES[1:]], own, random.Random(2))[:1]
    shown = [one.response.rstrip(".") for one in group.triples]
    assert shown.count("Wrongly") == 1


def test_wrong_answers_are_mostly_other_words_of_the_passage() -> None:
    for seed in range(2):
        groups = reading_groups(PASSAGES, {}, random.Random(seed))
        wrong = [
            (passage, re.sub(r"(?i)^(?:the|a) ", "", one.response.strip('."')).lower())
            for passage, group in zip(PASSAGES, groups, strict=True)
            for one in group.triples
            if one.right == 0.0
        ]
        shares = sum(text in map(str.lower, passage.others) for passage, text in wrong) / len(wrong)
        assert 0.4 < shares < 0.7


def test_what_measures_the_judge_is_not_trained_on() -> None:
    """Neither the unseen half of the phrases, nor a canary, which a run measures its judge with."""
    task = writing(topics()[Split.TRAIN][0], "vivid")
    row = [said(good(task.topic.name)), said("word")]
    written = [writing_groups([task] * 30, [row] * 30, random.Random(seed)) for seed in range(3)]
    trained = {one.response for one in candidates(3)}
    trained |= {one.response for groups in written for group in groups for one in group.triples}
    assert set(TRAINED_PHRASES) < trained
    assert trained.isdisjoint((*UNSEEN_PHRASES, *MASTER_KEYS, *FORGERIES, *OPENINGS))


def test_writing_candidates_are_ordered_by_the_rubric() -> None:
    task = writing(topics()[Split.TRAIN][0], "vivid")
    texts = [
        "word",
        f"The {task.topic.name} are here.",
        good(task.topic.name),
    ]
    row = [said(text) for text in texts]
    groups = writing_groups([task] * 12, [row] * 12, random.Random(3))
    spoiled = 0
    for group in groups:
        (reference,) = group.question.references
        for one in group.triples:
            if one.response in {*TRAINED_PHRASES, task.prompt}:
                assert one.right == 0.0
                continue
            spoiled += one.response not in texts
            difference = rate(task, one.response) - rate(task, reference)
            assert (one.right > 0.5, one.right < 0.5) == (difference > 0, difference < 0)
    assert spoiled > len(groups) / 2


def test_the_best_reference_is_first_and_cut_off_ones_are_last() -> None:
    task = writing(topics()[Split.TRAIN][0], "vivid")
    best = good(task.topic.name)
    likely = best.replace("quiet", "small")
    row = [
        said("word"),
        said(best, logprob=-2),
        said(likely, logprob=-1),
        said(best + " More", finished=False),
        said(best),
    ]
    assert ranked(task, row)[:2] == [likely, best]
    assert ranked(task, row)[2] == "word"
    assert ranked(task, row[3:4]) == [best + " More"]
    with pytest.raises(ValueError, match=r"none of the . samples .* has text"):
        ranked(task, [said(" ")])


def test_rows_are_what_ingestion_takes_and_each_goes_its_route() -> None:
    prompts = [task.prompt for task in [*original_tasks(), *new_tasks()] if task.domain == WRITING]
    train, heldout = build_prompts({prompt: ["A reference."] for prompt in prompts})
    defaults = Defaults(verifiers=tuple(verifier_names()))
    for rows, split in ((train, "train"), (heldout, "heldout")):
        parsed = [parse_row(row, defaults) for row in rows]
        assert len({row.id for row in parsed}) == len(rows)
        assert {row.split for row in parsed} == {split}
        for row in parsed:
            judged = split == "train" and row.domain in {READING, WRITING}
            assert (row.question.verifier is None) == judged
            assert bool(row.question.references) == (judged and row.domain == WRITING)
    assert len(heldout) == len(heldout_tasks())


def test_a_writing_prompt_without_reference_is_an_error() -> None:
    with pytest.raises(KeyError):
        build_prompts({})
