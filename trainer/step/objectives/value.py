"""The value model's squared error per token: N policy tokens, float32."""

import torch
from torch import Tensor


def value_error(values_N: Tensor, old_values_N: Tensor, returns_N: Tensor, clip: float) -> Tensor:
    """1/2 max((V - R)^2, (V_clipped - R)^2), [N]; V_clipped is V clamped to within `clip` of the value before the step.

    Source: PPO's own code (openai/baselines ppo2). `clip` 0 turns the clipping off.
    """
    error_N = (values_N - returns_N) ** 2
    if clip > 0:
        near_N = old_values_N + (values_N - old_values_N).clamp(-clip, clip)
        error_N = torch.maximum(error_N, (near_N - returns_N) ** 2)
    return 0.5 * error_N
