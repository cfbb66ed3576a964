"""AdamW over one model's weights, with float32 master copies if the weights are bfloat16.

Invariant: weights and optimizer state change only in `apply`, and never by a gradient that is not finite.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from infra.settings.learner import LearnerSettings
from trainer.distributed.gather import full_tensor

_MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's names of its moments."""
_SMALL = 1e-6
"""Added to a norm before the division, as in torch's own clipping."""


class Optimizer:
    """Usage: run `backward`, call `gradient_norm`, then `apply` or `discard`."""

    def __init__(self, parameters: Iterable[tuple[str, nn.Parameter]], rate: float, settings: LearnerSettings) -> None:
        """`parameters` are a model's `named_parameters`, of which those that require a gradient are trained."""
        trained = {name: parameter for name, parameter in parameters if parameter.requires_grad}
        self._names = list(trained)
        self._weights = list(trained.values())
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

    def tensors(self) -> dict[str, Tensor]:
        """The state by name, as it is, not copied: what a resumed optimizer needs in addition to the weights.

        NAME.exp_avg and NAME.exp_avg_sq are AdamW's moments and NAME.master a float32 copy of the weight NAME; `steps`
        [number of weights with moments] counts their updates.
        """
        found: dict[str, Tensor] = {}
        steps: list[Tensor] = []
        for name, weight, master in zip(self._names, self._weights, self._masters, strict=True):
            if master is not weight:
                found[f"{name}.master"] = master.detach()
            if state := self._adamw.state.get(master):
                found |= {f"{name}.{moment}": state[moment] for moment in _MOMENTS}
                steps.append(state["step"].cpu())
        return found | ({"steps": torch.stack(steps)} if steps else {})

    def empty_tensors(self, saved: Collection[str]) -> dict[str, Tensor]:
        """Tensors in which the state that was saved under these names can be read, for `restore`."""
        found: dict[str, Tensor] = {}
        for name, weight, master in zip(self._names, self._weights, self._masters, strict=True):
            if master is not weight:
                found[f"{name}.master"] = master.detach()
            if f"{name}.{_MOMENTS[0]}" in saved:
                found |= {f"{name}.{moment}": torch.zeros_like(master.detach()) for moment in _MOMENTS}
        moments = sum(name.endswith(_MOMENTS[0]) for name in found)
        return found | ({"steps": torch.zeros(moments)} if moments else {})

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes over the tensors of `empty_tensors`, filled."""
        steps = iter(state.get("steps", torch.empty(0)).unbind())
        with torch.no_grad():
            for name, weight, master in zip(self._names, self._weights, self._masters, strict=True):
                if master is not weight:
                    weight.copy_(master)
                if f"{name}.{_MOMENTS[0]}" in state:
                    moments = {moment: state[f"{name}.{moment}"] for moment in _MOMENTS}
                    self._adamw.state[master] = {"step": next(steps).to(weight.device), **moments}

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
