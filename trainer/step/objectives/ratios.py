"""Probability ratios from log-probs, per token or per response.

Invariant: every ratio is finite and its logarithm within LOG_RATIO_BOUND, whatever an engine returned.
"""

import torch
from torch import Tensor

LOG_RATIO_BOUND = 20.0
"""exp(20) is 5e8. A log-ratio beyond it means a broken engine, and must not become infinite."""


def log_ratio(logprobs_N: Tensor, base_N: Tensor) -> Tensor:
    """log(p / p_base), clamped. A value that is not finite counts as 0, as if the two policies agreed on that token."""
    difference_N = torch.nan_to_num(logprobs_N - base_N, nan=0.0, posinf=0.0, neginf=0.0)
    return difference_N.clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)


def sequence_mean(values_N: Tensor, trajectory_N: Tensor) -> Tensor:
    """For each token the mean over its trajectory, [N]. All tokens of a trajectory must be among the N.

    Applied to log-ratios, it gives log s_i of GSPO (2507.18071, equation 7), whose gradient reaches every token of the
    response.
    """
    tokens_B = torch.bincount(trajectory_N)
    sums_B = values_N.new_zeros(len(tokens_B)).index_add(0, trajectory_N, values_N)
    return (sums_B / tokens_B.clamp(min=1))[trajectory_N]
