"""Advantages from the scores of one group's responses, without a value model: one number per response, used for each of
its tokens.

The arithmetic is float64; the learner converts the results to float32.
"""

from collections.abc import Callable, Mapping, Sequence

import torch


def group_normalised(scores: Sequence[float], std_floor: float) -> list[float]:
    """(r - mean) / (std + floor), with the population standard deviation (GRPO 2402.03300).

    The floor keeps advantages small in groups whose scores are nearly equal.
    """
    values = torch.tensor(scores, dtype=torch.float64)
    spread = values.std(unbiased=False) + std_floor
    return [float(a) for a in (values - values.mean()) / spread]


def group_centred(scores: Sequence[float]) -> list[float]:
    """Score - mean (Dr. GRPO 2503.20783): without the division, very easy and very hard prompts get no extra weight."""
    values = torch.tensor(scores, dtype=torch.float64)
    return [float(a) for a in values - values.mean()]


def leave_one_out(scores: Sequence[float]) -> list[float]:
    """The score minus the mean of the group's other scores (RLOO 2402.14740): n / (n - 1) times the centred score.

    It is 0 for a group of one, which has no other scores.
    """
    n = len(scores)
    return [0.0] if n == 1 else [n / (n - 1) * centred for centred in group_centred(scores)]


GROUP_ADVANTAGES: Mapping[str, Callable[[Sequence[float], float], list[float]]] = {
    "group": group_normalised,
    "centred": lambda scores, _std_floor: group_centred(scores),
    "rloo": lambda scores, _std_floor: leave_one_out(scores),
}
"""Estimators by their value of `learner.advantage`; each takes a group's scores and `learner.group_std_floor`."""
