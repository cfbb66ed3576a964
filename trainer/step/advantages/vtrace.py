"""V-trace: value targets and advantages for the learner's policy from samples of another policy.

Shapes: B trajectories, T policy tokens of the longest one; `mask_BT` is 1 where a token exists. All float32.
"""

import torch
from torch import Tensor


def vtrace_errors(
    rewards_BT: Tensor, values_BT: Tensor, ratios_BT: Tensor, mask_BT: Tensor, *, gamma: float, lam_B: Tensor | float
) -> Tensor:
    """Corrections v_t - V_t of IMPALA (1802.01561, equation 1 and remark 2), rho = c = 1, value 0 after the last token.

    delta_t = min(1, w_t) (r_t + gamma V_{t+1} - V_t);  e_t = delta_t + gamma lam min(1, w_t) e_{t+1}.
    If every w is at least 1, these are GAE's advantages. `lam_B` is one number, or one per trajectory. Returns [B, T],
    0 outside the mask.
    """
    errors_BT = torch.zeros_like(values_BT)
    running_B = torch.zeros_like(values_BT[:, 0])
    next_value_B = torch.zeros_like(running_B)
    trace_BT = ratios_BT.clamp(max=1.0)
    for t in range(values_BT.shape[1] - 1, -1, -1):
        mask_B = mask_BT[:, t]
        delta_B = trace_BT[:, t] * (rewards_BT[:, t] + gamma * next_value_B - values_BT[:, t])
        running_B = (delta_B + gamma * lam_B * trace_BT[:, t] * running_B) * mask_B
        next_value_B = values_BT[:, t] * mask_B
        errors_BT[:, t] = running_B
    return errors_BT


def vtrace_advantages(
    rewards_BT: Tensor, values_BT: Tensor, errors_BT: Tensor, mask_BT: Tensor, *, gamma: float, lam_B: Tensor | float
) -> Tensor:
    """Advantages r_t + gamma (V_{t+1} + lam e_{t+1}) - V_t, [B, T], 0 outside the mask.

    They are IMPALA's (1802.01561, section 4.2) without the factor rho, which the loss applies as its importance weight,
    and mixed by lambda as in rlax.vtrace_td_error_and_advantage. On-policy they equal GAE's advantages.
    """
    ahead_BT = torch.zeros_like(values_BT)
    lam_B1 = torch.as_tensor(lam_B).reshape(-1, 1)
    ahead_BT[:, :-1] = ((values_BT + lam_B1 * errors_BT) * mask_BT)[:, 1:]
    return (rewards_BT + gamma * ahead_BT - values_BT) * mask_BT
