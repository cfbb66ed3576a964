"""Turns a task into the question for its verifier, and scores a model's samples with it.

Invariant: held-out scores come from verifiers, never from the judge that sets the training rewards. A response that was
cut off scores 0.
"""

from collections.abc import Sequence

from infra.demo.generate import Sample
from infra.demo.tasks import INSTRUCTIONS, MATHEMATICS, READING, WRITING, DemoTask
from streams.messages import Question
from workers.verifiers.registry import load_verifier

VERIFIERS = {MATHEMATICS: "math", INSTRUCTIONS: "instructions", READING: "exact", WRITING: "sentence"}


class MeasureError(RuntimeError):
    """A verifier failed on one of the demo's own tasks; the message names the prompt."""


def question(task: DemoTask) -> Question:
    """Returns the question that the task's verifier is asked."""
    return Question(
        prompt=task.prompt, verifier=VERIFIERS[task.domain], ground_truth=task.ground_truth, options=task.options
    )


def rate(task: DemoTask, text: str) -> float:
    """Returns the verifier's score of `text`, in [0, 1]. Raises MeasureError if the verifier has no verdict."""
    asked = question(task)
    verdict = load_verifier(VERIFIERS[task.domain]).verify(asked, text)
    if verdict.score is None:
        raise MeasureError(f"{verdict.scorer} has no verdict on {task.prompt!r}: {verdict.why}")
    return verdict.score


def scores(tasks: Sequence[DemoTask], samples: Sequence[Sequence[Sample]]) -> list[list[float]]:
    """Returns the scores as [task][sample]."""
    return [
        [rate(task, sample.text) if sample.finished else 0.0 for sample in row]
        for task, row in zip(tasks, samples, strict=True)
    ]


def domain_means(tasks: Sequence[DemoTask], found: Sequence[Sequence[float]]) -> dict[str, float]:
    """Returns, per domain, the mean over its prompts of the prompt's mean score (avg@k)."""
    by_domain: dict[str, list[float]] = {}
    for task, row in zip(tasks, found, strict=True):
        by_domain.setdefault(task.domain, []).append(sum(row) / len(row))
    return {domain: sum(means) / len(means) for domain, means in by_domain.items()}
