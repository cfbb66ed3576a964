"""Advantages in plain tensors: group-normalised, and generalised advantage estimation.

Shapes: B trajectories, T policy tokens of the longest one; `mask_BT` is 1 where a token exists. All float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def group_advantages(scores: Sequence[float], std_floor: float) -> list[float]:
    """(r - mean) / (std + floor) within a group (GRPO, 2402.03300; the floor keeps near-equal groups quiet).

    One advantage a trajectory, the same for each of its tokens; the population standard deviation.
    """
    values = torch.tensor(scores, dtype=torch.float64)
    spread = values.std(unbiased=False) + std_floor
    return [float(a) for a in (values - values.mean()) / spread]


def gae(rewards_BT: Tensor, values_BT: Tensor, mask_BT: Tensor, gamma: float, lam: float) -> Tensor:
    """Generalised advantage estimation (1506.02438), left-aligned rows, value 0 after the last token.

    delta_t = r_t + gamma V_{t+1} - V_t;  A_t = delta_t + gamma lam A_{t+1}.
    Returns advantages [B, T], 0 outside the mask.
    """
    advantages_BT = torch.zeros_like(values_BT)
    running_B = torch.zeros_like(values_BT[:, 0])
    next_value_B = torch.zeros_like(running_B)
    for t in range(values_BT.shape[1] - 1, -1, -1):
        mask_B = mask_BT[:, t]
        delta_B = rewards_BT[:, t] + gamma * next_value_B - values_BT[:, t]
        running_B = (delta_B + gamma * lam * running_B) * mask_B
        next_value_B = values_BT[:, t] * mask_B
        advantages_BT[:, t] = running_B
    return advantages_BT


def whiten(advantages_N: Tensor) -> Tensor:
    """Zero mean and unit population variance over the batch's tokens."""
    return (advantages_N - advantages_N.mean()) / (advantages_N.std(unbiased=False) + 1e-8)
