"""Estimates of KL(policy || reference) from the sampled tokens only: N policy tokens, float32, nats.

Source: Schulman 2020, "Approximating KL divergence", joschu.net/blog/kl-approx.html, with d = log p - log p_ref clamped
like the ratios.
"""

from typing import Literal

import torch
from torch import Tensor

from trainer.step.objectives.ratios import log_ratio

Estimator = Literal["k1", "k2", "k3"]


def kl_estimate(logprobs_N: Tensor, reference_N: Tensor, estimator: Estimator) -> Tensor:
    """The estimate per token, [N].

    k1 = d is unbiased and of either sign. k2 = d^2 / 2 is biased, with a low variance. k3 = exp(-d) - 1 + d is unbiased
    and never negative; GRPO uses it (2402.03300, equation 4).
    """
    d_N = log_ratio(logprobs_N, reference_N)
    if estimator == "k1":
        return d_N
    if estimator == "k2":
        return 0.5 * d_N**2
    return torch.exp(-d_N) - 1 + d_N


def importance_weighted(estimate_N: Tensor, logprobs_N: Tensor, behaviour_N: Tensor) -> Tensor:
    """(p / p_behaviour) * estimate, with the gradient of the ratio (DeepSeek-V3.2, 2512.02556).

    For k1 and k3, the mean over the behaviour policy's samples is then the divergence, and its gradient is the
    divergence's gradient.
    """
    return log_ratio(logprobs_N, behaviour_N).exp() * estimate_N
