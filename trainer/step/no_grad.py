"""Log-probs and values of a batch before the step's first update, computed without gradients.

Invariant: nothing here has a gradient, and each tensor is computed once per step. Shapes: B trajectories, T policy
tokens of the longest one; positions without a token are 0.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from infra.settings.learner import LearnerSettings
from trainer.step.batch import TrainingBatch, TrainingRow
from trainer.step.language_models import ValueModel, autocast, device_of, policy_forward, value_forward
from trainer.step.row_partition import RowPartition
from trainer.step.row_plan import RowPlan
from trainer.step.sharded_models import reshard


@dataclass(frozen=True, slots=True)
class NoGradOutputs:
    mask_BT: Tensor
    """float32: 1 at each token, 0 elsewhere."""
    behaviour_BT: Tensor | None
    """The engine's log-probs; None if nothing uses them."""
    proximal_BT: Tensor | None
    """Old log-probs, of the policy at the start of the step; only the rows that were asked for are filled in."""
    reference_BT: Tensor | None
    """Log-probs of the reference model."""
    values_BT: Tensor | None


@dataclass(frozen=True, slots=True)
class StepModels:
    policy: Any
    value: ValueModel | None
    reference: Any | None


@torch.no_grad()
def compute_no_grad(
    batch: TrainingBatch,
    plan: RowPlan,
    models: StepModels,
    proximal_rows: Collection[int],
    *,
    partition: RowPartition,
    settings: LearnerSettings,
) -> NoGradOutputs:
    """Runs each model once over the rows. `proximal_rows` are the numbers of the rows whose old log-probs are needed
    before the step.
    """
    lengths = torch.tensor([response.targets for response in batch.responses])
    mask_BT = (torch.arange(int(lengths.max()))[None] < lengths[:, None]).float()
    every = range(len(plan.owners))
    shares_policy = models.value is not None and models.value.trunk is None
    passes: list[tuple[Sequence[int], Callable[[TrainingRow], dict[str, Tensor]]]] = []
    if uses_behaviour(settings):
        passes.append((every, lambda row: {"behaviour": row.behaviour_N}))
    if proximal_rows or shares_policy:
        policy_rows = every if shares_policy else sorted(proximal_rows)
        passes.append((policy_rows, partial(_policy_pass, models, settings.logits_chunk_tokens)))
    if models.value is not None and not shares_policy:
        passes.append((every, partial(_value_pass, models.value)))
    if models.reference is not None:
        passes.append((every, partial(_reference_pass, models.reference, settings.logits_chunk_tokens)))
    computed: dict[str, Tensor] = {}
    held = dict(zip(batch.numbers, batch.rows, strict=True))
    with autocast(enabled=settings.autocast, device=device_of(models.policy)):
        for numbers, compute in passes:
            assigned = [(held[number], counted) for number, counted in plan.passes(numbers, partition.rank)]
            computed |= _scatter_over_rows(assigned, compute, partition, torch.zeros_like(mask_BT))
    if models.reference is not None:
        reshard(models.reference)
    return NoGradOutputs(
        mask_BT,
        computed.get("behaviour"),
        computed.get("proximal") if proximal_rows else None,
        computed.get("reference"),
        computed.get("values"),
    )


def uses_behaviour(settings: LearnerSettings) -> bool:
    """Whether rewards or advantages depend on the engine's log-probs, so that every process needs those of all rows."""
    return settings.kl.apply_to == "reward" or settings.objective.weight == "vtrace"


def _scatter_over_rows(
    assigned: Sequence[tuple[TrainingRow, bool]],
    compute: Callable[[TrainingRow], dict[str, Tensor]],
    partition: RowPartition,
    zeros_BT: Tensor,
) -> dict[str, Tensor]:
    """Applies `compute`, which returns named [N] tensors, to each row. Returns them as [B, T], over the rows of all
    processes.
    """
    found: dict[str, Tensor] = {}
    for row, counted in assigned:
        for name, values_N in compute(row).items():
            values_BT = found.setdefault(name, zeros_BT.clone())
            if counted:
                values_BT[_token_index(row)] = values_N
    return partition.all_reduce_sum(found)


def _policy_pass(models: StepModels, logits_chunk_tokens: int, row: TrainingRow) -> dict[str, Tensor]:
    """Old log-probs, and the values if the value head sits on the policy."""
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
