"""Advantages from the scores of one group's responses: one a response, the same for each of its tokens. No values.

Scores of a group come in as float64 arithmetic and go out as floats; the learner's tensors are float32.
"""

from collections.abc import Sequence

import torch


def group_normalised(scores: Sequence[float], std_floor: float) -> list[float]:
    """(r - mean) / (std + floor) (GRPO 2402.03300; the floor keeps near-equal groups quiet). The population standard
    deviation.
    """
    values = torch.tensor(scores, dtype=torch.float64)
    spread = values.std(unbiased=False) + std_floor
    return [float(a) for a in (values - values.mean()) / spread]


def group_centred(scores: Sequence[float]) -> list[float]:
    """Score less mean (Dr. GRPO 2503.20783): without the division, easy and hard prompts weigh no more."""
    values = torch.tensor(scores, dtype=torch.float64)
    return [float(a) for a in values - values.mean()]


def leave_one_out(scores: Sequence[float]) -> list[float]:
    """Score less the mean of the others (RLOO 2402.14740): n / (n - 1) times the centred score. 0 for a group of one,
    which has no others.
    """
    n = len(scores)
    return [0.0] if n == 1 else [n / (n - 1) * centred for centred in group_centred(scores)]
