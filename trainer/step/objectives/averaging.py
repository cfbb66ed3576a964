"""How much each token's loss counts: coefficients whose weighted sum over a mini-batch is its loss.

Invariant: counts are of the whole mini-batch, so that a token weighs the same in whichever packed row it lies, and are
taken before any importance weight rejects a token. What is masked (`loss_mask_B` False) is not counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trainer.step.batch import TrainingRow

Average = Literal["token", "sequence", "constant"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one mini-batch, kept only."""

    tokens: int
    sequences: int

    @classmethod
    def of(cls, rows: Sequence[TrainingRow], loss_mask_B: Tensor) -> "Counts":
        kept = [row.trajectory_N[loss_mask_B[row.trajectory_N]] for row in rows]
        return cls(sum(len(found) for found in kept), sum(len(set(found.tolist())) for found in kept))


def coefficients(row: TrainingRow, loss_mask_B: Tensor, counts: Counts, average: Average, constant: int) -> Tensor:
    """float32 [N] for the row's tokens.

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
