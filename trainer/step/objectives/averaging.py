"""Averaging coefficients: the mini-batch's loss is the sum of its tokens' losses times these coefficients.

Invariant: counts cover the whole mini-batch, so a token's weight does not depend on its packed row, and they are taken
before any importance weight rejects a token. Masked trajectories (`loss_mask_B` False) are not counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trainer.step.batch import TrainingRow

Average = Literal["token", "sequence", "constant"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of tokens and of responses in a mini-batch that carry loss."""

    tokens: int
    sequences: int

    @classmethod
    def of(cls, targets: Iterable[int], loss_mask: Iterable[bool]) -> "Counts":
        """`targets` has the number of tokens of each of the mini-batch's responses, `loss_mask` whether it counts."""
        kept = [number for number, counts in zip(targets, loss_mask, strict=True) if counts]
        return cls(sum(kept), len(kept))


def coefficients(row: TrainingRow, loss_mask_B: Tensor, counts: Counts, average: Average, constant: int) -> Tensor:
    """Coefficients of the row's tokens, float32 [N].

    token: 1 / tokens (DAPO 2503.14476, equation 8). sequence: 1 / (sequences * the token's response's length) (GRPO
    2402.03300, equation 3). constant: 1 / (sequences * constant) (Dr. GRPO 2503.20783, its masked_sum / MAX_TOKENS).
    """
    loss_mask_N = loss_mask_B[row.trajectory_N].float()
    if average == "token":
        return loss_mask_N / max(counts.tokens, 1)
    if average == "constant":
        return loss_mask_N / (max(counts.sequences, 1) * constant)
    lengths_N = torch.bincount(row.trajectory_N, minlength=len(loss_mask_B))[row.trajectory_N]
    return loss_mask_N / (max(counts.sequences, 1) * lengths_N)
