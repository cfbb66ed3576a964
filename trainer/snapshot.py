"""What the models say of a batch before the step's first update.

Invariant: nothing here has a gradient, and each is computed once a step. Shapes: B trajectories, T policy tokens of the
longest one; positions without a token are 0.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.batch import TrainingBatch, TrainingRow
from trainer.models import ValueModel, autocast, policy_forward


@dataclass(frozen=True, slots=True)
class Snapshot:
    mask_BT: Tensor
    """float32: 1 where a token exists."""
    behaviour_BT: Tensor
    proximal_BT: Tensor | None
    """Log-probabilities of the policy that the step begins with, at the rows that were asked for."""
    reference_BT: Tensor | None
    values_BT: Tensor | None


@dataclass(frozen=True, slots=True)
class Models:
    policy: Any
    value: ValueModel | None
    reference: Any | None


@torch.no_grad()
def take_snapshot(
    batch: TrainingBatch, models: Models, proximal_rows: Collection[TrainingRow], *, autocast_on: bool
) -> Snapshot:
    """`proximal_rows`: those whose proximal log-probabilities are needed before the step."""
    lengths = torch.tensor([len(trajectory.logprobs) for trajectory in batch.trajectories])
    mask_BT = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).float()
    behaviour_BT, proximal_BT, reference_BT, values_BT = (torch.zeros_like(mask_BT) for _ in range(4))
    wanted = {id(row) for row in proximal_rows}
    for row in batch.rows:
        where = (row.trajectory_N, row.step_N)
        behaviour_BT[where] = row.behaviour_N
        with autocast(enabled=autocast_on):
            shares_policy = models.value is not None and models.value.trunk is None
            output = policy_forward(models.policy, row) if id(row) in wanted or shares_policy else None
            if output is not None:
                proximal_BT[where] = output.logprobs_N
            if models.value is not None:
                values_BT[where] = models.value(row, None if output is None else output.hidden_ND)
            if models.reference is not None:
                reference_BT[where] = policy_forward(models.reference, row).logprobs_N
    return Snapshot(
        mask_BT,
        behaviour_BT,
        proximal_BT if wanted else None,
        None if models.reference is None else reference_BT,
        None if models.value is None else values_BT,
    )
