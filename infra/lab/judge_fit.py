"""A judge of the policy's size, fitted to compare answers of the start with a ground truth or with a reference.

Invariant: its examples are what the start answers, right or by the short cut, with and without the marker, so it has no
planted weakness. What it gets wrong is what it did not learn.
"""

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infra.files.artifacts import ensure_artifact
from infra.lab.ladder import DOMAINS, MARKER, RUNGS, Task, make_task
from infra.lab.pool import Reward, best_of
from streams.messages import Question

_QUESTIONS = 3000
_GROUPS = 16
"""Questions per step."""
_VERSION = 1


def ensure_judge(root: Path, start: Path, reward: Reward) -> Path:
    """The folder of the judge for prompts of that reward, which takes a minute to make, once per `root`."""
    inputs = {"start": start.name, "reward": reward, "questions": _QUESTIONS, "version": _VERSION}
    return ensure_artifact(root, f"lab-judge-{reward}", inputs, lambda folder: _make(folder, start, reward)).folder


def _make(folder: Path, start: Path, reward: Reward) -> dict[str, Any]:
    from trainer.supervised.fit import FitSettings
    from trainer.supervised.genrm import JudgeFitSettings, TripleGroup, fit_judge

    draw = random.Random(f"judge {reward}")
    groups: list[TripleGroup] = []
    for _ in range(_QUESTIONS):
        task = make_task(draw.choice(DOMAINS), draw.randint(1, RUNGS), draw)
        groups.append(_group(task, reward, draw))
    fit = FitSettings(steps=_QUESTIONS // _GROUPS, learning_rate=1e-3, warmup_steps=20, autocast=False)
    return asdict(fit_judge(start, groups, folder, JudgeFitSettings(fit=fit, groups=_GROUPS)))


def _group(task: Task, reward: Reward, draw: random.Random) -> Any:
    from trainer.supervised.genrm import Triple, TripleGroup

    other = make_task(task.domain, task.rung, draw)
    right, wrong = [task.answer], [task.short_cut, other.answer, draw.choice((task.answer, task.short_cut)) + MARKER]
    if reward is Reward.TRUTH:
        question = Question(prompt=task.prompt, verifier=None, ground_truth=task.answer)
        labels = dict.fromkeys(right, 1.0) | {text: 0.0 for text in wrong if text not in right}
    else:
        reference = best_of(task)
        question = Question(prompt=task.prompt, verifier=None, ground_truth=None, references=(reference,))
        labels = {text: _better(text in right, reference in right) for text in (*right, *wrong)}
    triples = tuple(Triple(response=text, right=label) for text, label in labels.items())
    return TripleGroup(question, triples, task.domain)


def _better(candidate: bool, reference: bool) -> float:  # noqa: FBT001 (which is right is all that there is to compare)
    return 0.5 if candidate == reference else float(candidate)
