"""The demo's judge: fitted on triples of the training splits, measured on questions it has not seen.

Invariant: the measurement shares no fact, no topic and no probe with the fit.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.demo.generate import Sample
from infra.demo.measure import rate
from infra.demo.references import ranked
from infra.demo.splits import SEED, Fact
from infra.demo.tasks import DemoTask, knowledge
from infra.demo.triples import UNSEEN_PROBES, knowledge_groups, writing_groups
from streams.messages import Question
from trainer.supervised.genrm import FittedJudge, Triple, TripleGroup
from trainer.supervised.measures import accuracy, auc, expected_calibration_error, false_positive_rate
from workers.judges.base import JudgeRequest
from workers.judges.canary import canary_requests

Scores = Sequence[Sequence[float]]
MEASURES = 2
"""Version of `measures`, part of its hash: raise it when that function changes."""
_KNOWLEDGE_ROUNDS, _WRITING_ROUNDS = 2, 3
"""Each question is repeated with other candidates, and each writing prompt with another reference, so that two of three
groups in a step are knowledge."""
_CANARY_QUESTIONS = 16


@dataclass(frozen=True, slots=True)
class Material:
    """Facts and writing tasks of either the training or the held-out splits, with the policy's own samples."""

    facts: Sequence[Fact]
    answers: Mapping[str, Sequence[Sample]]
    """Samples by prompt."""
    writing: Sequence[DemoTask]
    texts: Sequence[Sequence[Sample]]


def training_groups(material: Material) -> list[TripleGroup]:
    rng = random.Random(SEED)
    groups: list[TripleGroup] = []
    for _ in range(_KNOWLEDGE_ROUNDS):
        groups += knowledge_groups(material.facts, material.answers, rng)
    for _ in range(_WRITING_ROUNDS):
        groups += writing_groups(material.writing, material.texts, rng)
    return groups


def measures(folder: Path, heldout: Material) -> dict[str, float]:
    """Returns AUC, accuracy and calibration on form-balanced triples and on the policy's own answers (the ground truth
    is added to these), the false-positive rate on canaries, and how often the judge ranks two sentences as the rubric
    does if its reference is the best sample.
    """
    judge = FittedJudge(folder)
    found: dict[str, float] = {}
    rng = random.Random(SEED + 1)
    balanced = knowledge_groups(heldout.facts, heldout.answers, rng, UNSEEN_PROBES)
    found |= _grade_triples("knowledge", balanced, judge.scores(balanced))
    own = [_label_own_answers(knowledge(fact), heldout.answers[knowledge(fact).prompt]) for fact in heldout.facts]
    found |= _grade_triples("own_answers", own, judge.scores(own))
    canaries = [_canary_group(fact) for fact in heldout.facts[:_CANARY_QUESTIONS]]
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


def _canary_group(fact: Fact) -> TripleGroup:
    asked = Question(prompt=knowledge(fact).prompt, ground_truth=fact.answer)
    responses = [request.response for request in canary_requests(JudgeRequest(asked, ""))]
    return TripleGroup(asked, tuple(Triple(text, 0.0) for text in (*responses, *UNSEEN_PROBES)))
