"""Samples tokens, and computes the log-prob of each under exactly the distribution that it was drawn from.

Invariant: token t of sample i of a request is a pure function of its logits and of (seed, key, i, t). Neither the other
rows of the batch nor their order change a random number. Computations on logits are in float32.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 256
_BITS = 23
"""One bit less than float32 has, so that u * total stays below total after rounding and no token beyond it is drawn."""


def stream_of(seed: int, key: str, index: int) -> int:
    """Returns the 64-bit random stream of one sample of one request."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{key}/{index}".encode(), digest_size=8).digest(), "little")


def uniforms(streams: Sequence[int], positions: Sequence[int]) -> npt.NDArray[np.float32]:
    """Returns a number in [0, 1) per (stream, position): the high bits of splitmix64 (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        x = np.array(streams, dtype=np.uint64) + (np.array(positions, dtype=np.uint64) + np.uint64(1)) * _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return np.asarray((x >> np.uint64(64 - _BITS)) * 2.0**-_BITS, dtype=np.float32)


def draw(
    logits: torch.Tensor, temperatures: Sequence[float], top_ps: Sequence[float], numbers: npt.NDArray[np.float32]
) -> tuple[list[int], list[float]]:
    """Returns tokens and their log-probs. `logits` is [rows, vocabulary], the other arguments are [rows].

    Temperature 0 takes the likeliest token and reports its log-prob at temperature 1. Other tokens are drawn by
    inverting the cumulative distribution at the row's number.
    """
    device = logits.device
    if any(t not in {0, 1} for t in temperatures):
        logits = logits.float() / torch.tensor([t or 1.0 for t in temperatures], device=device)[:, None]
    weights = _split_blocks(logits.softmax(-1, dtype=torch.float32))
    if any(p < 1 for p in top_ps):
        weights = _keep_nucleus(weights, torch.tensor(top_ps, device=device))
    sums = weights.sum(-1)
    greedy = [t == 0 for t in temperatures]
    if all(greedy):
        tokens = _argmax_token(weights)
    else:
        tokens = _invert_cdf(weights, sums, torch.from_numpy(numbers).to(device)[:, None])
        if any(greedy):
            tokens = torch.where(torch.tensor(greedy, device=device)[:, None], _argmax_token(weights), tokens)
    logprobs = weights.flatten(1).gather(-1, tokens).log_() - sums.sum(-1, keepdim=True).log_()
    return tokens[:, 0].tolist(), logprobs[:, 0].tolist()


def _split_blocks(weights: torch.Tensor) -> torch.Tensor:
    """Reshapes [rows, vocabulary] to [rows, blocks, 256]: choosing a block first, then within it, reads the vocabulary
    once.
    """
    missing = -weights.shape[-1] % _BLOCK
    if missing:
        weights = torch.nn.functional.pad(weights, (0, missing))
    return weights.view(len(weights), -1, _BLOCK)


def _select_block(weights: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Returns the chosen block of each row, [rows, 256]."""
    return weights[torch.arange(len(weights), device=weights.device), chosen[:, 0]]


def _argmax_token(weights: torch.Tensor) -> torch.Tensor:
    chosen = weights.amax(-1).argmax(-1, keepdim=True)
    return chosen * _BLOCK + _select_block(weights, chosen).argmax(-1, keepdim=True)


def _invert_cdf(weights: torch.Tensor, sums: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Returns tokens [rows, 1]. A token of weight 0 is never drawn, whatever the rounding."""
    ends = sums.cumsum(-1)
    target = numbers * ends[:, -1:]
    chosen = torch.searchsorted(ends, target, right=True)
    within = _select_block(weights, chosen).cumsum(-1)
    before = torch.where(chosen > 0, ends.gather(-1, (chosen - 1).clamp_(min=0)), 0.0)
    highest = torch.nextafter(within[:, -1:], torch.zeros_like(target))
    rest = torch.minimum((target - before).clamp_(min=0.0), highest)
    return chosen * _BLOCK + torch.searchsorted(within, rest, right=True)


def _keep_nucleus(weights: torch.Tensor, top_ps: torch.Tensor) -> torch.Tensor:
    """Zeroes all weights except those of the smallest set of likeliest tokens that reaches top_p of the mass (arXiv
    1904.09751).
    """
    flat = weights.flatten(1)
    ordered, order = flat.sort(dim=-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    ordered[before >= top_ps[:, None] * ordered.sum(-1, keepdim=True)] = 0.0
    return torch.zeros_like(flat).scatter_(-1, order, ordered).view_as(weights)
