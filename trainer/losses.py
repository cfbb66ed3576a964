"""Losses over flat token vectors: N policy tokens of a mini-batch, float32 throughout.

Each returns a sum; the caller divides by the token count of the whole mini-batch, so that a token weighs the
same in whichever packed row it lies (token-level loss, DAPO 2503.14476).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

LOG_RATIO_BOUND = 20.0
"""exp(20) is 5e8: a log-ratio beyond it is a broken engine, and must not become infinity."""


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    total: Tensor
    """Scalar, a sum over tokens."""
    clipped: Tensor
    """Number of tokens whose gradient the clip removed."""
    ratio_sum: Tensor


def ppo_policy_loss(
    logprobs_N: Tensor, behaviour_N: Tensor, advantages_N: Tensor, clip_low: float, clip_high: float
) -> PolicyLoss:
    """-sum min(r A, clip(r, 1 - low, 1 + high) A), r = exp(logp - logp_behaviour) (PPO, 1707.06347).

    The behaviour log-probabilities are the engine's own. A non-finite log-ratio counts as 0.
    """
    log_ratio_N = torch.nan_to_num(logprobs_N - behaviour_N, nan=0.0, posinf=0.0, neginf=0.0)
    ratio_N = log_ratio_N.clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND).exp()
    free_N = ratio_N * advantages_N
    bounded_N = ratio_N.clamp(1 - clip_low, 1 + clip_high) * advantages_N
    return PolicyLoss(
        total=-torch.minimum(free_N, bounded_N).sum(),
        clipped=(bounded_N < free_N).sum(),
        ratio_sum=ratio_N.detach().sum(),
    )


def value_loss(values_N: Tensor, old_values_N: Tensor, returns_N: Tensor, clip: float) -> Tensor:
    """1/2 sum max((V - R)^2, (V_clipped - R)^2), V_clipped within `clip` of the old value (1707.06347's code).

    `clip` 0 turns the clipping off.
    """
    error_N = (values_N - returns_N) ** 2
    if clip > 0:
        near_N = old_values_N + (values_N - old_values_N).clamp(-clip, clip)
        error_N = torch.maximum(error_N, (near_N - returns_N) ** 2)
    return 0.5 * error_N.sum()
