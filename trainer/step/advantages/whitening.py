"""Normalises advantages to zero mean and unit variance over a batch."""

from torch import Tensor


def whiten(advantages_N: Tensor) -> Tensor:
    """(A - mean) / (population std + 1e-8) over the batch's tokens (REINFORCE++ 2501.03262, equation 7)."""
    return (advantages_N - advantages_N.mean()) / (advantages_N.std(unbiased=False) + 1e-8)
