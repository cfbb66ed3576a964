"""Ratios of probabilities from log-probabilities, of tokens or of whole responses.

Invariant: a ratio is finite and its logarithm within LOG_RATIO_BOUND, whatever an engine returned.
"""

import torch
from torch import Tensor

LOG_RATIO_BOUND = 20.0
"""exp(20) is 5e8: a log-ratio beyond it is a broken engine, and must not become infinity."""


def log_ratio(logprobs_N: Tensor, base_N: Tensor) -> Tensor:
    """Of p to p_base, clamped; one that is not finite counts as 0, so that its token is trained on as if fresh."""
    difference_N = torch.nan_to_num(logprobs_N - base_N, nan=0.0, posinf=0.0, neginf=0.0)
    return difference_N.clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)


def sequence_mean(values_N: Tensor, trajectory_N: Tensor) -> Tensor:
    """Each token's trajectory's mean, [N]. With log-ratios: log s_i of GSPO (2507.18071, equation 7), whose gradient
    reaches every token of the response. A trajectory's tokens must all be among the N.
    """
    tokens_B = torch.bincount(trajectory_N)
    sums_B = values_N.new_zeros(len(tokens_B)).index_add(0, trajectory_N, values_N)
    return (sums_B / tokens_B.clamp(min=1))[trajectory_N]
