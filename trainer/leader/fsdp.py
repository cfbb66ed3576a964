"""A learner's models and optimizers over several processes: FSDP2, each layer gathered where it computes.

Invariants:
- Sharding comes after loading: every process builds and restores the whole learner as a single process does, then keeps
  its part. What is gathered from the parts is what a single process would hold, so a checkpoint knows no world size.
- Whatever reads a sharded policy's weights does so inside its call (`trainer.step.models.policy_forward`).
"""

import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from infra.settings.learner import LearnerSettings
from trainer.step.layers import layers_of
from trainer.step.models import SHARDED_FORWARD, policy_tensors
from trainer.step.ppo import PPO
from trainer.step.row_partition import RowPartition


class ShardingError(ValueError):
    """Settings that a sharded learner cannot follow."""


def shard_ppo(ppo: PPO, settings: LearnerSettings, mesh: DeviceMesh, partition: RowPartition) -> PPO:
    """The learner whose part this process holds. `ppo` is the whole one, the same in every process, and is used up.

    Raises ShardingError where the weights are of two types, which one gradient reduction cannot hold.
    """
    if settings.param_dtype != "float32":
        raise ShardingError("learner.param_dtype = 'bfloat16' is for one process: sharded models are held in float32")
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")  # nobody writes into it
    state = ppo.state_dict()
    for policy in (ppo.policy, ppo.reference):
        if policy is not None:
            _shard_model(policy, policy, mesh)
            setattr(policy, SHARDED_FORWARD, partial(policy_tensors, policy))
            register_fsdp_forward_method(policy, SHARDED_FORWARD)
    if ppo.value is not None:
        _shard_model(ppo.value, ppo.value.trunk, mesh)
    sharded = PPO(ppo.policy, ppo.value, settings, ppo.reference, partition)
    sharded.load_state_dict(_placed(state, sharded))
    return sharded


def _shard_model(model: nn.Module, trunk: Any | None, mesh: DeviceMesh) -> None:
    """Layer by layer, then what is left (embeddings, last norm, heads) as one."""
    for layer in layers_of(model, described_by=trunk) if trunk is not None else ():
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def _placed(state: dict[str, Any], sharded: PPO) -> dict[str, Any]:
    """The whole learner's state, for the sharded one to load."""
    placed = dict(state)
    placed["policy_optimizer"] = _placed_optimizer(state["policy_optimizer"], sharded.policy)
    if sharded.value is not None:
        placed["value"] = sharded.value.state_dict()  # its parameters are placed already
        placed["value_optimizer"] = _placed_optimizer(state["value_optimizer"], sharded.value)
    return placed


def _placed_optimizer(state: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """Moments get the placement of their parameters; AdamW numbers these in the model's order."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    moments = {
        number: {name: _like(value, trained[number]) for name, value in entry.items()}
        for number, entry in state["adamw"]["state"].items()
    }
    return {**state, "adamw": {**state["adamw"], "state": moments}}


def _like(value: Any, parameter: Tensor) -> Any:
    if not isinstance(value, Tensor) or value.shape != parameter.shape or not isinstance(parameter, DTensor):
        return value
    return distribute_tensor(
        value.to(torch.device(parameter.device)), parameter.device_mesh, parameter.placements, src_data_rank=None
    )
