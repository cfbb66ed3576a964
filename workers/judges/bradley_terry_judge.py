"""A Bradley-Terry reward model as a judge: it compares a response with a reference, or judges it alone.

Score: the probability that the response is preferred, sigmoid(r(response) - r(reference)), where the ground truth or
the best reference is the reference; sigmoid(r(response)) if the question has neither. Both order the responses to one
question as the rewards do, which is what picking the best of N needs.

Invariant: a response without content scores 0, as with every judge (`workers.judges.has_content`).
"""

import math
from collections.abc import Sequence
from pathlib import Path

from workers.judges.base import JudgeFailure, Judgement, JudgeRequest
from workers.judges.has_content import answered, no_answer
from workers.judges.reward_model import Responses, RewardModel

_LARGEST = 700.0
"""A larger exponent overflows float64."""


class BradleyTerryJudge:
    """Implements workers.judges.base.Judge."""

    name = "bt"
    needs_reference = False

    def __init__(self, folder: Path, dtype: str = "bfloat16", device: str | None = None) -> None:
        """Raises RewardModelError, and OSError or ValueError if the folder does not load."""
        self._model: RewardModel | None = RewardModel.load(folder, dtype=dtype, device=device)
        self.version = f"{self._model.version}-{dtype}"

    def judge(self, requests: Sequence[JudgeRequest]) -> list[Judgement | JudgeFailure]:
        assert self._model is not None, "the judge is closed"
        requests = [answered(request) for request in requests]
        found: dict[int, Judgement | JudgeFailure] = {
            place: Judgement(0.0, 0.0, f"no content: {why}")
            for place, request in enumerate(requests)
            if (why := no_answer(request)) is not None
        }
        places = _by_question(requests, [place for place in range(len(requests)) if place not in found])
        groups = [Responses(_messages(shown[0]), _texts(requests, own, shown)) for shown, own in places.items()]
        try:
            rewards = self._model.rewards(groups)
        except (RuntimeError, MemoryError) as error:  # torch raises RuntimeError if memory runs out
            failure = JudgeFailure(f"judge {self.version}: {type(error).__name__}: {error}", outage=True)
            return [found.get(place, failure) for place in range(len(requests))]
        for own, values in zip(places.values(), rewards, strict=True):
            reference = values[len(own)] if len(values) > len(own) else None
            found |= {place: to_judgement(value, reference) for place, value in zip(own, values, strict=False)}
        return [found[place] for place in range(len(requests))]

    def prefix_hit_rate(self) -> float | None:
        return None

    def close(self) -> None:
        self._model = None


def to_judgement(reward: float, reference: float | None = None) -> Judgement:
    margin = reward - (reference or 0.0)
    score = 1 / (1 + math.exp(min(_LARGEST, -margin)))
    against = "" if reference is None else f", of the reference {reference:.4f}"
    return Judgement(score, 0.0, f"reward {reward:.4f}{against}")


_Shown = tuple[str, str | None]
"""A question's prompt, and the text that its responses are compared with, if there is one."""


def _by_question(requests: Sequence[JudgeRequest], places: Sequence[int]) -> dict[_Shown, list[int]]:
    """The places of the requests that share prompt and reference, which are computed once for all of them."""
    found: dict[_Shown, list[int]] = {}
    for place in places:
        question = requests[place].question
        reference = (
            question.ground_truth if question.ground_truth is not None else next(iter(question.references), None)
        )
        found.setdefault((question.prompt, reference), []).append(place)
    return found


def _messages(prompt: str) -> tuple[dict[str, str]]:
    return ({"role": "user", "content": prompt},)


def _texts(requests: Sequence[JudgeRequest], places: Sequence[int], shown: _Shown) -> tuple[str, ...]:
    """The responses, and the reference after them."""
    responses = tuple(requests[place].response for place in places)
    return responses if shown[1] is None else (*responses, shown[1])
