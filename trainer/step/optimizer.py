"""AdamW over one model's weights, with float32 master copies if the weights are bfloat16.

Invariant: weights and optimizer state change only in `apply`, and never by a gradient that is not finite.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from infra.settings.learner import LearnerSettings
from trainer.distributed.gather import full_tensor

_SMALL = 1e-6
"""Added to a norm before the division, as in torch's own clipping."""


class Optimizer:
    """Usage: run `backward`, call `gradient_norm`, then `apply` or `discard`."""

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
        """Scalar norm over all weights before clipping; NaN or infinite if any gradient is."""
        for weight, master in self._pairs():
            master.grad = None if weight.grad is None else weight.grad.float()
        return full_tensor(torch.nn.utils.get_total_norm([m.grad for m in self._masters if m.grad is not None]))

    def apply(self, norm: Tensor) -> None:
        """Clips the gradients, takes a step and clears them. `norm` is the result of `gradient_norm`; raises ValueError
        if it is not finite.
        """
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
        """Raises ValueError if the state belongs to other weights."""
        self._adamw.load_state_dict(state["adamw"])
        with torch.no_grad():
            for (weight, master), saved in zip(self._pairs(), state["masters"], strict=True):
                master.copy_(saved)
                weight.copy_(saved)

    def _pairs(self) -> list[tuple[Any, Any]]:
        """(weight, master) of each weight that has a separate master copy."""
        return [(w, m) for w, m in zip(self._weights, self._masters, strict=True) if w is not m]


def clip_divisor(norm: Tensor, clip: float) -> Tensor:
    """The divisor that brings gradients of this norm to at most `clip`; 1 if they are below it already.

    Fused AdamW divides gradients as it reads them, which saves a separate clipping pass over all of them. It requires
    float32.
    """
    return ((norm.float() + _SMALL) / clip).clamp(min=1.0)


def _master(weight: nn.Parameter, settings: LearnerSettings) -> nn.Parameter:
    if weight.dtype is torch.float32 or not settings.fp32_masters:
        return weight
    return nn.Parameter(weight.detach().float())
