"""A task as the question that its verifier is asked, and the verifier's scores for a model's samples.

Invariant: held-out measures come from verifiers, never from the judge that training pays by. An answer that was cut
off scores 0.
"""

from collections.abc import Sequence

from infra.demo.generate import Sample
from infra.demo.tasks import INSTRUCTIONS, KNOWLEDGE, MATHEMATICS, WRITING, DemoTask
from streams.messages import Question
from workers.verifiers.registry import load_verifier

VERIFIERS = {MATHEMATICS: "math", INSTRUCTIONS: "instructions", KNOWLEDGE: "exact", WRITING: "sentence"}


class MeasureError(RuntimeError):
    """A verifier failed on one of the demo's own tasks; the text names the prompt."""


def question(task: DemoTask) -> Question:
    """As the task's verifier is asked."""
    return Question(
        prompt=task.prompt, verifier=VERIFIERS[task.domain], ground_truth=task.ground_truth, options=task.options
    )


def rate(task: DemoTask, text: str) -> float:
    """In [0, 1]. Raises MeasureError where the verifier has no verdict."""
    asked = question(task)
    verdict = load_verifier(VERIFIERS[task.domain]).verify(asked, text)
    if verdict.score is None:
        raise MeasureError(f"{verdict.scorer} has no verdict on {task.prompt!r}: {verdict.why}")
    return verdict.score


def scores(tasks: Sequence[DemoTask], samples: Sequence[Sequence[Sample]]) -> list[list[float]]:
    """[task][sample]."""
    return [
        [rate(task, sample.text) if sample.finished else 0.0 for sample in row]
        for task, row in zip(tasks, samples, strict=True)
    ]


def domain_means(tasks: Sequence[DemoTask], found: Sequence[Sequence[float]]) -> dict[str, float]:
    """Mean over a domain's prompts of their mean score (avg@k)."""
    by_domain: dict[str, list[float]] = {}
    for task, row in zip(tasks, found, strict=True):
        by_domain.setdefault(task.domain, []).append(sum(row) / len(row))
    return {domain: sum(means) / len(means) for domain, means in by_domain.items()}
