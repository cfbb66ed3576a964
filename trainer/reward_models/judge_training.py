"""Trains a generative judge on triples from files: both orders, hard negatives, varied forms, held-out questions.

Invariant: held-out questions are drawn by a hash of their text. They get no made-up negative and no other form, so that
what is measured is what was in the file, and the probes that measure the judge are not those that it was fitted on.
"""

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from infra.settings.genrm import GenRMSettings
from trainer.reward_models.evaluate_judge import JudgeEvaluation, evaluate_judge
from trainer.reward_models.hard_negatives import NegativeKind, in_varied_form, with_negatives
from trainer.reward_models.judge_answers import AskedGenRM
from trainer.reward_models.triples import LabelledCandidate, by_question, swapped
from trainer.supervised.fit import FitProgress
from trainer.supervised.genrm import JudgeFitReport, JudgeFitSettings, TripleGroup, fit_judge
from workers.judges.factory import build_judge


class NoTriplesError(ValueError):
    """Nothing is left to train on; the text says why."""


@dataclass(frozen=True, slots=True)
class JudgeTrainingSettings:
    fit: JudgeFitSettings = field(default_factory=JudgeFitSettings)
    """With fit.fit.steps = 0, each group is seen once per round."""
    both_orders: bool = True
    """Whether a candidate that is compared with a reference is also shown as the reference, with the other label."""
    negatives: tuple[NegativeKind, ...] = tuple(NegativeKind)
    per_group: int = 1
    """Negatives that are added to each group of candidates."""
    vary_form: bool = True
    """Whether candidates against a ground truth are written in forms that say nothing about their label."""
    rounds: int = 2
    """Times that each group is in the training set, each time with other negatives and forms."""
    heldout_share: float = 0.05
    """Fraction of the questions that are measured and not trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTrainingReport(JudgeFitReport):
    heldout: JudgeEvaluation | None
    """None if no question was held out."""


def train_judge(
    model_folder: Path,
    candidates: Sequence[LabelledCandidate],
    out_folder: Path,
    settings: JudgeTrainingSettings | None = None,
    progress: FitProgress | None = None,
) -> JudgeTrainingReport:
    """Fine-tunes `model_folder` as a judge of the short prompt form, and saves it in `out_folder`.

    Raises NoTriplesError, and what `trainer.supervised.genrm.fit_judge` raises.
    """
    settings = settings or JudgeTrainingSettings()
    heldout = [one for one in candidates if is_held_out(one, settings)]
    groups = training_groups([one for one in candidates if not is_held_out(one, settings)], settings)
    if not groups:
        raise NoTriplesError(
            f"no triple to train on: {len(heldout)} of {len(candidates)} are held out; lower heldout_share"
        )
    steps = settings.fit.fit.steps or math.ceil(len(groups) / settings.fit.groups)
    fit = replace(settings.fit, fit=replace(settings.fit.fit, steps=steps))
    report = fit_judge(model_folder, groups, out_folder, fit, progress)
    return JudgeTrainingReport(**asdict(report), heldout=_measure(out_folder, heldout))


def training_groups(candidates: Sequence[LabelledCandidate], settings: JudgeTrainingSettings) -> list[TripleGroup]:
    """The groups that the judge is fitted on, all rounds of them. The same candidates and seed give the same groups."""
    rng = random.Random(settings.fit.seed)
    groups = by_question(in_both_orders(candidates) if settings.both_orders else candidates)
    found: list[TripleGroup] = []
    for _ in range(settings.rounds):
        own = in_varied_form(groups, rng) if settings.vary_form else groups
        found += with_negatives(own, settings.negatives, settings.per_group, rng) if settings.negatives else own
    return found


def in_both_orders(candidates: Sequence[LabelledCandidate]) -> list[LabelledCandidate]:
    """The candidates, and for each that is compared with a reference the reference compared with it; no triple
    twice.
    """
    found: dict[tuple[str, str | None, tuple[str, ...], str], LabelledCandidate] = {}
    for one in [*candidates, *(other for one in candidates if (other := swapped(one)) is not None)]:
        question = one.question
        found.setdefault((question.prompt, question.ground_truth, question.references[:1], one.response), one)
    return list(found.values())


def is_held_out(one: LabelledCandidate, settings: JudgeTrainingSettings) -> bool:
    """The whole question, with all its references and candidates, is held out or not."""
    digest = hashlib.sha256(f"{settings.fit.seed}/{one.question.prompt}".encode()).digest()
    return int.from_bytes(digest[:8]) < settings.heldout_share * 2**64


def _measure(folder: Path, heldout: Sequence[LabelledCandidate]) -> JudgeEvaluation | None:
    """The judge as the genrm stage would ask it."""
    if not any(one.label != 0.5 for one in heldout):
        return None
    settings = GenRMSettings(model=str(folder), threads=0)
    judge = build_judge(settings)
    try:
        return evaluate_judge(AskedGenRM(judge, settings.batch), heldout)
    finally:
        judge.close()
