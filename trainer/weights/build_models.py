"""Builds a learner's models from their folders, as the settings say.

Invariant: without a checkpoint, the same settings and folders build the same weights, bit for bit.
"""

from pathlib import Path
from typing import Any

import torch
from torch.distributed.device_mesh import DeviceMesh

from infra.settings.learner import LearnerSettings
from infra.settings.tree import Settings
from trainer.distributed.device import chosen_device
from trainer.distributed.process_group import ProcessGroup
from trainer.step.language_models import ValueModel, load_causal_lm
from trainer.step.layers import recompute_activations
from trainer.step.ppo import PPO
from trainer.step.row_partition import RankRows
from trainer.step.sharded_models import shard
from trainer.weights import checkpoint, lora
from trainer.weights.policy_io import load_policy, own_tensors
from trainer.weights.value_init import value_model_from
from trainer.weights.weight_files import require_template_shapes
from workers.models.model_files import resolve_model


class ReferenceModelError(ValueError):
    """The reference model cannot score the policy's tokens; the text says why."""


class ShardingError(ValueError):
    """A learner of several processes does not support these settings."""


def build_ppo(settings: Settings, template: Path, processes: ProcessGroup | None = None) -> PPO:
    """Builds policy, value model and reference in their initial state. `template` is the run's initial policy.

    With `processes`, all of them must call this, and each has its part of the models. Raises ShardingError if their
    weights would have two types, which one gradient reduction cannot hold,
    OSError or ValueError if a model does not load, ModelMismatchError (a ValueError) if it would be trained on
    another distribution than its own, WeightNamesError (a ValueError) if engines could not load what would be
    published, ValueInitError or ReferenceModelError (ValueErrors) if the
    value model's or the reference's folder does not fit the policy, and DeviceError if the host lacks the device that
    learner.device asks for.
    """
    learner = settings.learner
    mesh = None if processes is None else processes.mesh
    if mesh is not None and learner.param_dtype != "float32":
        raise ShardingError("learner.param_dtype = 'bfloat16' is for one process: sharded models are held in float32")
    if learner.threads:
        torch.set_num_threads(learner.threads)
    torch.manual_seed(settings.run.seed)
    policy = load_policy(template, learner.lora, mesh)
    if not lora.is_adapted(policy):
        require_template_shapes(policy, own_tensors(policy), template)
    value = _value_model(settings, policy, template, mesh)
    for model in (policy, value and value.trunk):
        if model is not None:
            _prepare(model, learner)
    reference = _reference(settings, policy, template, mesh)
    if processes is not None:
        rows = RankRows(processes.rank, processes.size, processes.cpu_group)
        return PPO(policy, value, learner, reference, rows)
    device = chosen_device(learner.device)
    for model in (policy, value, reference):
        if model is not None:
            model.to(device)
    return PPO(policy, value, learner, reference)


def restored_ppo(settings: Settings, saved: Path | None, template: Path, processes: ProcessGroup | None = None) -> PPO:
    """The learner from a checkpoint, or in its initial state. Raises what `build_ppo` raises, and CheckpointError."""
    ppo = build_ppo(settings, template, processes)
    if saved is not None:
        checkpoint.restore(saved, ppo, None if processes is None else processes.checkpoint_group)
    return ppo


def _prepare(model: torch.nn.Module, settings: LearnerSettings) -> None:
    """Prepares a model that is trained."""
    if settings.param_dtype == "bfloat16":
        hold_in_bfloat16(model)
    if settings.gradient_checkpointing:
        recompute_activations(model)


def hold_in_bfloat16(model: torch.nn.Module) -> None:
    """Converts the weights to bfloat16. Buffers keep their type, since positions are computed from one."""
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16()


def _value_model(settings: Settings, policy: Any, template: Path, mesh: DeviceMesh | None) -> ValueModel | None:
    value = settings.learner.value
    match value.kind:
        case "none":
            return None
        case "head":
            model = ValueModel(policy.config.hidden_size, None)
            if mesh is not None:
                shard(model, None, mesh)
            return model
        case _:
            folder = resolve_model(value.path, settings.run.prepared) if value.path else template
            return value_model_from(folder, policy.config.vocab_size, mesh)


def _reference(settings: Settings, policy: Any, template: Path, mesh: DeviceMesh | None) -> Any | None:
    """The frozen reference in float32, at first identical to the policy bit for bit. Raises ReferenceModelError."""
    kl = settings.learner.kl
    if kl.apply_to == "none":
        return None
    folder = resolve_model(kl.reference, settings.run.prepared) if kl.reference else template
    reference = load_causal_lm(folder, mesh)
    if reference.config.vocab_size < policy.config.vocab_size:
        raise ReferenceModelError(
            f"learner.kl.reference = {folder}: {reference.config.vocab_size} tokens, but the policy has "
            f"{policy.config.vocab_size}; a reference needs the policy's tokenizer"
        )
    reference.requires_grad_(requires_grad=False)
    return reference
