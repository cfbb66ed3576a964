"""The clipped surrogate of PPO per token: N policy tokens, float32."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Surrogate:
    loss_N: Tensor
    clipped_N: Tensor
    """bool: True for tokens whose gradient the clip removed."""


def clipped_surrogate(ratio_N: Tensor, advantages_N: Tensor, low: float, high: float, dual: float = 0.0) -> Surrogate:
    """-min(r A, clip(r, 1 - low, 1 + high) A) (PPO 1707.06347; low < high is clip-higher, DAPO 2503.14476).

    With `dual` > 1, the minimum is bounded below by dual * A if A < 0 (dual-clip PPO, 1912.09729). This also bounds the
    loss of a bad token that has become much likelier since it was sampled.
    """
    free_N = ratio_N * advantages_N
    bounded_N = ratio_N.clamp(1 - low, 1 + high) * advantages_N
    gain_N = torch.minimum(free_N, bounded_N)
    clipped_N = bounded_N < free_N
    if dual > 0:
        floor_N = dual * advantages_N
        beyond_N = (advantages_N < 0) & (floor_N > gain_N)
        gain_N = torch.where(beyond_N, floor_N, gain_N)
        clipped_N = clipped_N | beyond_N
    return Surrogate(-gain_N, clipped_N)
