"""What the models say of a batch before the step's first update.

Invariant: nothing here has a gradient, and each is computed once a step. Shapes: B trajectories, T policy tokens of the
longest one; positions without a token are 0.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from infra.settings.learner import LearnerSettings
from trainer.step.batch import TrainingBatch, TrainingRow
from trainer.step.models import ValueModel, autocast, device_of, policy_forward, value_forward
from trainer.step.row_partition import RowPartition


@dataclass(frozen=True, slots=True)
class NoGradOutputs:
    mask_BT: Tensor
    """float32: 1 where a token exists."""
    behaviour_BT: Tensor
    proximal_BT: Tensor | None
    """Log-probabilities of the policy that the step begins with, at the rows that were asked for."""
    reference_BT: Tensor | None
    values_BT: Tensor | None


@dataclass(frozen=True, slots=True)
class StepModels:
    policy: Any
    value: ValueModel | None
    reference: Any | None


@torch.no_grad()
def compute_no_grad(
    batch: TrainingBatch,
    models: StepModels,
    proximal_rows: Collection[TrainingRow],
    partition: RowPartition,
    settings: LearnerSettings,
) -> NoGradOutputs:
    """`proximal_rows`: those whose proximal log-probabilities are needed before the step."""
    lengths = torch.tensor([len(trajectory.logprobs) for trajectory in batch.trajectories])
    mask_BT = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).float()
    behaviour_BT = torch.zeros_like(mask_BT)
    for row in batch.rows:
        behaviour_BT[_token_index(row)] = row.behaviour_N
    wanted = {id(row) for row in proximal_rows}
    shares_policy = models.value is not None and models.value.trunk is None
    passes: list[tuple[Sequence[TrainingRow], Callable[[TrainingRow], dict[str, Tensor]]]] = []
    if wanted or shares_policy:
        asked = batch.rows if shares_policy else [row for row in batch.rows if id(row) in wanted]
        passes.append((asked, partial(_policy_pass, models, settings.logits_chunk_tokens)))
    if models.value is not None and not shares_policy:
        passes.append((batch.rows, partial(_value_pass, models.value)))
    if models.reference is not None:
        passes.append((batch.rows, partial(_reference_pass, models.reference, settings.logits_chunk_tokens)))
    computed: dict[str, Tensor] = {}
    with autocast(enabled=settings.autocast, device=device_of(models.policy)):
        for rows, compute in passes:
            computed |= _scatter_over_rows(rows, compute, partition, torch.zeros_like(mask_BT))
    return NoGradOutputs(
        mask_BT,
        behaviour_BT,
        computed.get("proximal") if wanted else None,
        computed.get("reference"),
        computed.get("values"),
    )


def _scatter_over_rows(
    rows: Sequence[TrainingRow],
    compute: Callable[[TrainingRow], dict[str, Tensor]],
    partition: RowPartition,
    zeros_BT: Tensor,
) -> dict[str, Tensor]:
    """What `compute` gives a row's N targets, by name, as [B, T] over the rows of all processes."""
    found: dict[str, Tensor] = {}
    for row, counted in partition.assign(rows):
        for name, values_N in compute(row).items():
            values_BT = found.setdefault(name, zeros_BT.clone())
            if counted:
                values_BT[_token_index(row)] = values_N
    return partition.all_reduce_sum(found)


def _policy_pass(models: StepModels, logits_chunk_tokens: int, row: TrainingRow) -> dict[str, Tensor]:
    """With the values of a head that stands on the policy."""
    output = policy_forward(models.policy, row, logits_chunk_tokens=logits_chunk_tokens)
    if models.value is None or models.value.trunk is not None:
        return {"proximal": output.logprobs_N}
    return {"proximal": output.logprobs_N, "values": value_forward(models.value, row, output.hidden_ND)}


def _value_pass(value: ValueModel, row: TrainingRow) -> dict[str, Tensor]:
    return {"values": value_forward(value, row, None)}


def _reference_pass(reference: Any, logits_chunk_tokens: int, row: TrainingRow) -> dict[str, Tensor]:
    return {"reference": policy_forward(reference, row, logits_chunk_tokens=logits_chunk_tokens).logprobs_N}


def _token_index(row: TrainingRow) -> tuple[Tensor, Tensor]:
    return row.trajectory_N, row.step_N
