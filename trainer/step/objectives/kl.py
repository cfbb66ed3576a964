"""Estimates of KL(policy || reference) from the sampled token alone: N policy tokens, float32, nats.

Source: Schulman 2020, "Approximating KL divergence", joschu.net/blog/kl-approx.html; d = log p - log p_ref, clamped as
ratios are.
"""

from typing import Literal

import torch
from torch import Tensor

from trainer.step.objectives.ratios import log_ratio

Estimator = Literal["k1", "k2", "k3"]


def kl_estimate(logprobs_N: Tensor, reference_N: Tensor, estimator: Estimator) -> Tensor:
    """k1 = d, unbiased, of either sign; k2 = d^2 / 2, biased, of low variance; k3 = exp(-d) - 1 + d, unbiased and
    never negative, GRPO's (2402.03300, equation 4). All [N].
    """
    d_N = log_ratio(logprobs_N, reference_N)
    if estimator == "k1":
        return d_N
    if estimator == "k2":
        return 0.5 * d_N**2
    return torch.exp(-d_N) - 1 + d_N


def importance_weighted(estimate_N: Tensor, logprobs_N: Tensor, behaviour_N: Tensor) -> Tensor:
    """(p / p_behaviour) * estimate, the ratio with its gradient (DeepSeek-V3.2, 2512.02556): of k1 and k3 the mean over
    the behaviour policy's samples is the divergence, and so is the gradient.
    """
    return log_ratio(logprobs_N, behaviour_N).exp() * estimate_N
