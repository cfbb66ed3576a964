"""Importance weights of tokens that another policy sampled: functions of w = p_proximal / p_behaviour (AReaL
2505.24298).

Each function takes log w [N] (`ratios.log_ratio`) and returns a weight [N] without gradient. The number of tokens that
a loss is divided by is counted before any token is rejected, so rejecting tokens does not raise the weight of the
others.
"""

from torch import Tensor


def full(log_weight_N: Tensor) -> Tensor:
    """The ratio w itself: unbiased, with a variance that grows with the distance between the two policies."""
    return log_weight_N.exp()


def truncated(log_weight_N: Tensor, cap: float) -> Tensor:
    """min(w, cap): truncated importance sampling (Ionides 2008, J. Comput. Graph. Stat. 17)."""
    return log_weight_N.exp().clamp(max=cap)


def within(log_weight_N: Tensor, low: float, high: float) -> Tensor:
    """The ratio w if low <= w <= high, else 0 (IcePop, Ring-1T 2510.18855)."""
    weight_N = log_weight_N.exp()
    return weight_N * ((weight_N >= low) & (weight_N <= high))
