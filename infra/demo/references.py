"""Best-of-N references for writing: the best of the SFT model's own samples, by a Bradley-Terry model (arXiv
2503.22230), and picked by the code of `rewardstream prompts references`.

The rubric stands in for people: the model is fitted on its comparisons of samples. Without a model, samples are ordered
by the rubric's score, then by the policy's own mean log-probability.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from infra.demo.generate import Sample
from infra.demo.measure import rate
from infra.demo.tasks import DemoTask
from trainer.reward_models.pick_references import ScoredResponse, pick_references
from trainer.reward_models.preferences import RankedResponses
from workers.judges.reward_model import Responses, RewardModel

SAMPLES = 8
"""N of best-of-N: enough for one good sentence among noisy ones. The paper does not state its N."""
KEPT = 3
"""References kept per prompt, best first; the judge reads the first."""


def ranked(task: DemoTask, samples: Sequence[Sample], rewards: Sequence[float] | None = None) -> list[str]:
    """Returns the distinct texts of the samples, best first by `rewards`, one per sample; those that were cut off come
    last. Raises ValueError if none has text.
    """
    texts = [_printable(one.text) for one in samples]
    order = rewards if rewards is not None else _places(task, texts, samples)
    responses = [
        ScoredResponse(f"{number:03d}", text, score, cut_off=not one.finished)
        for number, (text, score, one) in enumerate(zip(texts, order, samples, strict=True))
    ]
    picked = pick_references(task.prompt, responses, KEPT)
    if not picked:
        raise ValueError(f"none of the {len(samples)} samples for {task.prompt!r} has text: check the model after SFT")
    return [one.text for one in picked]


def comparisons(tasks: Sequence[DemoTask], samples: Sequence[Sequence[Sample]]) -> list[RankedResponses]:
    """What a Bradley-Terry model is fitted on: of two finished samples, the rubric prefers the one with the higher
    score. A prompt whose samples all score the same has no comparison.
    """
    found = []
    for task, row in zip(tasks, samples, strict=True):
        texts = list(dict.fromkeys(text for one in row if one.finished and (text := _printable(one.text))))
        scores = [rate(task, text) for text in texts]
        places = range(len(texts))
        better = tuple((one, other) for one in places for other in places if scores[one] > scores[other])
        if better:
            found.append(RankedResponses(_messages(task), tuple(texts), better, task.kind))
    return found


def rewards_of(folder: Path, tasks: Sequence[DemoTask], samples: Sequence[Sequence[Sample]]) -> list[list[float]]:
    """Rewards as [task][sample]. Raises RewardModelError, OSError or ValueError if the model does not load."""
    groups = [
        Responses(_messages(task), tuple(_printable(one.text) for one in row))
        for task, row in zip(tasks, samples, strict=True)
    ]
    return RewardModel.load(folder).rewards(groups)


def compare_with_rubric(
    tasks: Sequence[DemoTask], samples: Sequence[Sequence[Sample]], references: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Mean rubric scores of all finished samples (`any`), of the first references (`first`), and of each prompt's best
    sample (`best`).
    """
    rated = [
        [rate(task, one.text) for one in row if one.finished] or [0.0] for task, row in zip(tasks, samples, strict=True)
    ]
    first = [rate(task, references[task.prompt][0]) for task in tasks]
    means = [sum(row) / len(row) for row in rated]
    return {"any": fmean(means), "first": fmean(first), "best": fmean(map(max, rated))}


def _messages(task: DemoTask) -> tuple[dict[str, str]]:
    return ({"role": "user", "content": task.prompt},)


def _places(task: DemoTask, texts: Sequence[str], samples: Sequence[Sample]) -> list[float]:
    """Each sample's place by rubric and log-probability, counted from the worst."""
    keys = [(rate(task, text) if text else 0.0, one.mean_logprob) for text, one in zip(texts, samples, strict=True)]
    order = sorted(keys)
    return [float(order.index(key)) for key in keys]


def _printable(text: str) -> str:
    """Removes control characters, which Postgres does not store."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())
