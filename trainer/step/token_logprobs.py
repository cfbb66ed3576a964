"""Log-probs and entropies of tokens from logits, without a float32 copy of the logits.

Invariants:
- Results are float32: softmax(logits / temperature) is computed in float32, whatever type the logits have.
- Apart from the logits, the only tensor of their size is their gradient, which has the same type.

Shapes: N tokens, V vocabulary; C tokens of a slice, R tokens processed at a time.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

_CPU_ELEMENTS = 1 << 20
"""Logits processed at a time on a CPU: 4 MiB in float32, which stay in a core's cache over the passes of a softmax."""
_GPU_ELEMENTS = 1 << 26
"""Logits processed at a time on a GPU: 256 MiB, since a kernel launch costs more than a cache saves."""


def sliced_logprobs(
    head: Callable[[Tensor], Tensor], states_ND: Tensor, targets_N: Tensor, temperature_N: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """`token_logprobs` of head(states), with the logits of at most `size` tokens in memory at a time.

    If there are more than `size` tokens, their logits are computed again in the backward pass. `size` 0 means no limit.
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
    """Log softmax(logits / temperature) at the targets, and that distribution's entropy in nats.

    Both are float32 [N], with a gradient to the logits that can be taken once (not twice differentiable).
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
    """A float32 copy of the logits, divided by the temperature."""
    return logits_RV.to(torch.float32, copy=True).div_(temperature_R[:, None])


def _blocks(logits_NV: Tensor) -> Iterator[slice]:
    elements = _CPU_ELEMENTS if logits_NV.device.type == "cpu" else _GPU_ELEMENTS
    rows = max(1, elements // logits_NV.shape[1])
    return (slice(start, start + rows) for start in range(0, len(logits_NV), rows))
