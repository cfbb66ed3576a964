"""Log-probabilities and entropies of tokens from logits, without a float32 copy of the logits.

Invariants:
- Results are float32, of softmax(logits / temperature) computed in float32, whatever type the logits have.
- Beside the logits themselves nothing of their size is held, but for their gradient, which has their type.

Shapes: N tokens, V vocabulary; C tokens of a slice, R tokens worked on at a time.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

_CPU_ELEMENTS = 1 << 20
"""Logits worked on at a time: 4 MiB in float32, which stay in a core's cache over the passes that softmax makes."""
_ELEMENTS = 1 << 26
"""On an accelerator, where a launch costs more than what a cache saves: 256 MiB."""


def sliced_logprobs(
    head: Callable[[Tensor], Tensor], states_ND: Tensor, targets_N: Tensor, temperature_N: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """`token_logprobs` of head(states). Where there are more than `size` tokens, their logits exist for so many at a
    time, and are computed again for the backward pass; `size` 0 has no such limit.
    """
    if size == 0 or len(states_ND) <= size:
        return token_logprobs(head(states_ND), targets_N, temperature_N)

    def of_slice(states_CD: Tensor, targets_C: Tensor, temperature_C: Tensor) -> tuple[Tensor, Tensor]:
        return token_logprobs(head(states_CD), targets_C, temperature_C)

    slices = zip(*(torch.split(tensor, size) for tensor in (states_ND, targets_N, temperature_N)), strict=True)
    found = [checkpoint(of_slice, *each, use_reentrant=False, preserve_rng_state=False) for each in slices]
    logprobs, entropies = zip(*found, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)


def token_logprobs(logits_NV: Tensor, targets_N: Tensor, temperature_N: Tensor) -> tuple[Tensor, Tensor]:
    """Log softmax(logits / temperature) at the targets, and that distribution's entropy in nats: float32 [N] each, both
    with a gradient to the logits, once.
    """
    logprobs_N, entropy_N = _TokenLogprobs.apply(logits_NV, targets_N, temperature_N)  # type: ignore[no-untyped-call]  # torch's
    return logprobs_N, entropy_N


class _TokenLogprobs(torch.autograd.Function):
    """With z = logits / T, p = softmax(z) and H the entropy:
    d log p_t / d z_j = [j = t] - p_j, and d H / d z_j = -p_j (log p_j + H).
    """

    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, targets_N: Tensor, temperature_N: Tensor) -> tuple[Tensor, Tensor]:
        normaliser_N = torch.empty(len(logits_NV), dtype=torch.float32, device=logits_NV.device)
        entropy_N, logprobs_N = torch.empty_like(normaliser_N), torch.empty_like(normaliser_N)
        for at in _blocks(logits_NV):
            z_RV = _scaled(logits_NV[at], temperature_N[at])
            normaliser_N[at] = torch.logsumexp(z_RV, dim=-1)
            z_RV -= normaliser_N[at, None]
            logprobs_N[at] = z_RV.gather(1, targets_N[at, None])[:, 0]
            entropy_N[at] = -torch.linalg.vecdot(z_RV.exp(), z_RV)
        ctx.save_for_backward(logits_NV, targets_N, temperature_N, normaliser_N, entropy_N)
        ctx.set_materialize_grads(False)
        return logprobs_N, entropy_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_logprob_N: Tensor | None, by_entropy_N: Tensor | None) -> tuple[Tensor, None, None]:
        logits_NV, targets_N, temperature_N, normaliser_N, entropy_N = ctx.saved_tensors
        gradient_NV = torch.empty_like(logits_NV)
        for at in _blocks(logits_NV):
            z_RV = _scaled(logits_NV[at], temperature_N[at]).sub_(normaliser_N[at, None])
            p_RV = z_RV.exp()
            scale_R = torch.zeros_like(normaliser_N[at]) if by_logprob_N is None else -by_logprob_N[at]
            if by_entropy_N is None:
                g_RV = p_RV.mul_((scale_R / temperature_N[at])[:, None])
            else:
                by_R = by_entropy_N[at]
                z_RV.add_(entropy_N[at, None]).mul_(-by_R[:, None]).add_(scale_R[:, None])
                g_RV = p_RV.mul_(z_RV).div_(temperature_N[at, None])
            g_RV.scatter_add_(1, targets_N[at, None], -(scale_R / temperature_N[at])[:, None])
            gradient_NV[at] = g_RV
        return gradient_NV, None, None


def _scaled(logits_RV: Tensor, temperature_R: Tensor) -> Tensor:
    """A float32 copy, divided."""
    return logits_RV.to(torch.float32, copy=True).div_(temperature_R[:, None])


def _blocks(logits_NV: Tensor) -> Iterator[slice]:
    elements = _CPU_ELEMENTS if logits_NV.device.type == "cpu" else _ELEMENTS
    rows = max(1, elements // logits_NV.shape[1])
    return (slice(start, start + rows) for start in range(0, len(logits_NV), rows))
