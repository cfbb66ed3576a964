"""Generalised advantage estimation over left-aligned rows.

Shapes: B trajectories, T policy tokens of the longest one; `mask_BT` is 1 where a token exists. All float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def gae(rewards_BT: Tensor, values_BT: Tensor, mask_BT: Tensor, gamma: float, lam_B: Tensor | float) -> Tensor:
    """Generalised advantage estimation (1506.02438), value 0 after the last token.

    delta_t = r_t + gamma V_{t+1} - V_t;  A_t = delta_t + gamma lam A_{t+1}.
    `lam_B` is one number, or one per trajectory. Returns advantages [B, T], 0 outside the mask.
    """
    advantages_BT = torch.zeros_like(values_BT)
    running_B = torch.zeros_like(values_BT[:, 0])
    next_value_B = torch.zeros_like(running_B)
    for t in range(values_BT.shape[1] - 1, -1, -1):
        mask_B = mask_BT[:, t]
        delta_B = rewards_BT[:, t] + gamma * next_value_B - values_BT[:, t]
        running_B = (delta_B + gamma * lam_B * running_B) * mask_B
        next_value_B = values_BT[:, t] * mask_B
        advantages_BT[:, t] = running_B
    return advantages_BT


def length_adaptive_lambda(lengths: Sequence[int], alpha: float) -> Tensor:
    """Lambda = 1 - 1 / (alpha l) for responses of length l, float32 [B] (VAPO 2504.05118, equation 9).

    The weights of the deltas then sum to alpha l for every length. It is clamped at 0, since it is negative for
    l < 1 / alpha.
    """
    return (1 - 1 / (alpha * torch.tensor(lengths, dtype=torch.float32))).clamp(min=0.0)


def returns_to_go(rewards_BT: Tensor, mask_BT: Tensor, gamma: float) -> Tensor:
    """G_t = r_t + gamma G_{t+1}, [B, T], 0 outside the mask: the Monte-Carlo returns of REINFORCE (Williams 1992)."""
    return gae(rewards_BT, torch.zeros_like(rewards_BT), mask_BT, gamma, 1.0)
