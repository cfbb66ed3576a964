"""AdamW over one model's weights, in float32 masters where the weights are bfloat16.

Invariant: weights and optimizer state change only in `apply`; a gradient that is not finite reaches neither.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from infra.settings.learner import LearnerSettings
from trainer.distributed.gather import full_tensor

_SMALL = 1e-6
"""Added to a norm, as torch's own clipping does."""


class Optimizer:
    """Collect gradients by `backward`, ask `gradient_norm`, then `apply` or `discard`."""

    def __init__(self, parameters: Iterable[nn.Parameter], rate: float, settings: LearnerSettings) -> None:
        self._weights = [parameter for parameter in parameters if parameter.requires_grad]
        self._masters: list[Any] = [_master(weight, settings) for weight in self._weights]
        self._clip = settings.gradient_clip
        self._adamw = torch.optim.AdamW(
            self._masters, lr=rate, betas=settings.betas, weight_decay=settings.weight_decay, fused=True
        )

    def set_rate(self, rate: float) -> None:
        for group in self._adamw.param_groups:
            group["lr"] = rate

    def gradient_norm(self) -> Tensor:
        """Over all weights, before clipping, a scalar; NaN or infinity where any gradient is so."""
        for weight, master in self._pairs():
            master.grad = None if weight.grad is None else weight.grad.float()
        return full_tensor(torch.nn.utils.get_total_norm([m.grad for m in self._masters if m.grad is not None]))

    def apply(self, norm: Tensor) -> None:
        """Clip, step, clear. Raises ValueError where `norm`, that of `gradient_norm`, is not finite."""
        if not math.isfinite(float(norm)):
            raise ValueError(f"gradient norm {float(norm)}: discard the update")
        self._adamw.grad_scale = clip_divisor(norm, self._clip)  # type: ignore[attr-defined]  # GradScaler's protocol
        self._adamw.step()
        with torch.no_grad():
            for weight, master in self._pairs():
                weight.copy_(master)
        self.discard()

    def discard(self) -> None:
        for weight in (*self._weights, *self._masters):
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        masters = [master.detach() for _, master in self._pairs()]
        return {"adamw": self._adamw.state_dict(), "masters": masters}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError where the state is of other weights."""
        self._adamw.load_state_dict(state["adamw"])
        with torch.no_grad():
            for (weight, master), saved in zip(self._pairs(), state["masters"], strict=True):
                master.copy_(saved)
                weight.copy_(saved)

    def _pairs(self) -> list[tuple[Any, Any]]:
        """Weights with a master of their own."""
        return [(w, m) for w, m in zip(self._weights, self._masters, strict=True) if w is not m]


def clip_divisor(norm: Tensor, clip: float) -> Tensor:
    """What gradients of this norm are divided by to have `clip` at most; 1 where they do already. Fused AdamW divides
    as it reads them, which saves the pass over all gradients that clipping them beforehand makes. It asks for float32.
    """
    return ((norm.float() + _SMALL) / clip).clamp(min=1.0)


def _master(weight: nn.Parameter, settings: LearnerSettings) -> nn.Parameter:
    if weight.dtype is torch.float32 or not settings.fp32_masters:
        return weight
    return nn.Parameter(weight.detach().float())
