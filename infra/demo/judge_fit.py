"""The demo's judge: fitted on triples of the training splits, measured on questions it has not seen.

Invariant: the measurement shares no passage, no topic and no phrase with the fit.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from infra.demo.generate import Sample
from infra.demo.measure import rate
from infra.demo.passages import Passage
from infra.demo.references import ranked
from infra.demo.splits import SEED
from infra.demo.tasks import DemoTask, reading
from infra.demo.triples import reading_groups, writing_groups
from streams.messages import Question
from trainer.reward_models.hard_negatives import UNSEEN_PHRASES
from trainer.supervised.genrm import FittedJudge, Triple, TripleGroup
from trainer.supervised.measures import accuracy, auc, expected_calibration_error, false_positive_rate
from workers.judges.base import JudgeRequest
from workers.judges.canary import canary_requests

Scores = Sequence[Sequence[float]]
MEASURES = 4
"""Version of `measures`, part of its hash: raise it when that function changes."""
_READING_ROUNDS, _WRITING_ROUNDS = 3, 6
"""Each passage is repeated with other candidates, and each writing prompt with another reference, so that three of five
groups are reading. The fit sees each group once."""
_CANARY_QUESTIONS = 16


@dataclass(frozen=True, slots=True)
class Material:
    """Passages and writing tasks of either the training or the held-out splits, with the policy's own samples."""

    passages: Sequence[Passage]
    answers: Mapping[str, Sequence[Sample]]
    """Samples by prompt."""
    writing: Sequence[DemoTask]
    texts: Sequence[Sequence[Sample]]


def training_groups(material: Material) -> list[TripleGroup]:
    return [*reading_triples(material.passages, material.answers), *writing_triples(material.writing, material.texts)]


def reading_triples(passages: Sequence[Passage], answers: Mapping[str, Sequence[Sample]]) -> list[TripleGroup]:
    rng = random.Random(SEED)
    rounds = [reading_groups(passages, answers, rng) for _ in range(_READING_ROUNDS)]
    return list(chain.from_iterable(rounds))


def writing_triples(tasks: Sequence[DemoTask], texts: Sequence[Sequence[Sample]]) -> list[TripleGroup]:
    rng = random.Random(SEED)
    rounds = [writing_groups(tasks, texts, rng) for _ in range(_WRITING_ROUNDS)]
    return list(chain.from_iterable(rounds))


def measures(folder: Path, heldout: Material) -> dict[str, float]:
    """Returns AUC, accuracy and calibration on form-balanced triples and on the policy's own answers (the ground truth
    is added to these), the false-positive rate on canaries, and how often the judge ranks two sentences as the rubric
    does if its reference is the best sample.
    """
    judge = FittedJudge(folder)
    found: dict[str, float] = {}
    rng = random.Random(SEED + 1)
    balanced = reading_groups(heldout.passages, heldout.answers, rng, UNSEEN_PHRASES)
    found |= _grade_triples("reading", balanced, judge.scores(balanced))
    own = [_label_own_answers(task, heldout.answers[task.prompt]) for task in map(reading, heldout.passages)]
    found |= _grade_triples("own_answers", own, judge.scores(own))
    canaries = [_canary_group(passage) for passage in heldout.passages[:_CANARY_QUESTIONS]]
    fooled = [score for row in judge.scores(canaries) for score in row]
    found["canary_false_positive_rate"] = false_positive_rate(fooled)
    writing = [_rate_against_best(task, row) for task, row in zip(heldout.writing, heldout.texts, strict=True)]
    return found | _writing_auc(writing, judge.scores(writing))


def _grade_triples(name: str, groups: Sequence[TripleGroup], scores: Scores) -> dict[str, float]:
    flat = [score for row in scores for score in row]
    labels = [one.right > 0.5 for group in groups for one in group.triples]
    return {
        f"{name}_auc": auc(flat, labels),
        f"{name}_accuracy": accuracy(flat, labels),
        f"{name}_ece": expected_calibration_error(flat, labels),
        f"{name}_false_positive_rate": false_positive_rate(
            [s for s, right in zip(flat, labels, strict=True) if not right]
        ),
    }


def _writing_auc(groups: Sequence[TripleGroup], scores: Scores) -> dict[str, float]:
    """`writing_auc`, within groups: the share of candidate pairs with different rubric scores that the judge ranks in
    the same order; a tie counts half. Empty if no pair differs.
    """
    won: list[float] = []
    for group, row in zip(groups, scores, strict=True):
        for better, high in zip(group.triples, row, strict=True):
            for worse, low in zip(group.triples, row, strict=True):
                if better.right > worse.right:
                    won.append(1.0 if high > low else 0.5 * (high == low))
    return {"writing_auc": sum(won) / len(won)} if won else {}


def _label_own_answers(task: DemoTask, samples: Sequence[Sample]) -> TripleGroup:
    triples = tuple(Triple(one.text, 1.0 if rate(task, one.text) > 0 else 0.0) for one in samples)
    truth = Triple(task.ground_truth or "", 1.0)
    return TripleGroup(Question(prompt=task.prompt, ground_truth=task.ground_truth), (truth, *triples))


def _rate_against_best(task: DemoTask, samples: Sequence[Sample]) -> TripleGroup:
    """Here `right` is the rubric's score, of which only the order is used."""
    triples = tuple(Triple(one.text, rate(task, one.text) if one.finished else 0.0) for one in samples)
    return TripleGroup(Question(prompt=task.prompt, references=tuple(ranked(task, samples))), triples)


def _canary_group(passage: Passage) -> TripleGroup:
    asked = Question(prompt=reading(passage).prompt, ground_truth=passage.answer)
    responses = [request.response for request in canary_requests(JudgeRequest(asked, ""))]
    return TripleGroup(asked, tuple(Triple(text, 0.0) for text in (*responses, *UNSEEN_PHRASES)))
