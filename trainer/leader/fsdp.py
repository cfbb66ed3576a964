"""Shards a learner's models and optimizers over several processes with FSDP2, layer by layer.

Invariants:
- Sharding comes after loading: every process builds and restores the whole learner as a single process does, then keeps
  its part. Gathering the parts gives what a single process would hold, so a checkpoint does not depend on the world
  size.
- Code that needs a sharded policy's weights runs inside the policy's own call (`policy_forward`).
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
from trainer.step.language_models import SHARDED_FORWARD, policy_tensors
from trainer.step.layers import layers_of
from trainer.step.ppo import PPO
from trainer.step.row_partition import RowPartition


class ShardingError(ValueError):
    """A sharded learner does not support these settings."""


def shard_ppo(ppo: PPO, settings: LearnerSettings, mesh: DeviceMesh, partition: RowPartition) -> PPO:
    """Returns the sharded learner. `ppo` is the whole learner, the same in every process; do not use it afterwards.

    Raises ShardingError if the weights have two types, which one gradient reduction cannot hold.
    """
    if settings.param_dtype != "float32":
        raise ShardingError("learner.param_dtype = 'bfloat16' is for one process: sharded models are held in float32")
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")  # nothing writes into the view
    state = ppo.state_dict()
    for policy in (ppo.policy, ppo.reference):
        if policy is not None:
            _shard_model(policy, policy, mesh)
            setattr(policy, SHARDED_FORWARD, partial(policy_tensors, policy))
            register_fsdp_forward_method(policy, SHARDED_FORWARD)
    if ppo.value is not None:
        _shard_model(ppo.value, ppo.value.trunk, mesh)
    sharded = PPO(ppo.policy, ppo.value, settings, ppo.reference, partition)
    sharded.load_state_dict(_shard_state(state, sharded))
    return sharded


def _shard_model(model: nn.Module, trunk: Any | None, mesh: DeviceMesh) -> None:
    """Shards each layer, then the rest (embeddings, last norm, heads) as one unit."""
    for layer in layers_of(model, described_by=trunk) if trunk is not None else ():
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def _shard_state(state: dict[str, Any], sharded: PPO) -> dict[str, Any]:
    """Converts the state of the whole learner to one that the sharded learner can load."""
    result = dict(state)
    result["policy_optimizer"] = _shard_optimizer_state(state["policy_optimizer"], sharded.policy)
    if sharded.value is not None:
        result["value"] = sharded.value.state_dict()  # its parameters are already sharded
        result["value_optimizer"] = _shard_optimizer_state(state["value_optimizer"], sharded.value)
    return result


def _shard_optimizer_state(state: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """Shards the moments like their parameters, which AdamW numbers in the model's order."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    moments = {
        number: {name: _shard_like(value, trained[number]) for name, value in entry.items()}
        for number, entry in state["adamw"]["state"].items()
    }
    return {**state, "adamw": {**state["adamw"], "state": moments}}


def _shard_like(value: Any, parameter: Tensor) -> Any:
    if not isinstance(value, Tensor) or value.shape != parameter.shape or not isinstance(parameter, DTensor):
        return value
    return distribute_tensor(
        value.to(torch.device(parameter.device)), parameter.device_mesh, parameter.placements, src_data_rank=None
    )
