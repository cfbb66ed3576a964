"""Bytes of one learner process by part, as FSDP2 shards it over `learner.processes` (ZeRO's third stage, 1910.02054,
section 5: weights, gradients and optimizer states are divided by the number of processes).

Invariant: the parts add up to the peak of a step, which is at the start of a backward pass: weights, gradients and
optimizer states exist, and the activations and logits of the fullest row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from infra.capacity.activations import (
    NumberTypes,
    inputs_per_token,
    kept_per_token,
    logit_bytes,
    outer_per_token,
)
from infra.capacity.model_shape import ModelShape, adapter_parameters, value_trunk_parameters
from infra.capacity.rows import FullRow, RowSizes
from infra.settings.learner import LearnerSettings

_MOMENTS = 2
"""AdamW's first and second moment (1711.05101)."""
_GATHERED_LAYERS = 3
"""Layers that FSDP2 holds whole in a backward pass: the weights of this one and the next, and the gradients of this."""
_RUNTIME_BYTES = 2**30
"""CUDA's context, and the buffers of its libraries."""
_FRAGMENTATION = 0.05
"""Share of the other parts that the allocator holds between blocks in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerMemory:
    """Bytes of one process, by part."""

    weights: int
    gradients: int
    optimizer: int
    """AdamW's moments, and the float32 copies of bfloat16 weights."""
    value_model: int
    """Weights, gradients and optimizer states of the value model."""
    reference: int
    """The frozen reference model, if there is a KL term."""
    gathered: int
    """What FSDP2 holds whole: weights and gradients outside of the layers, and of the layers that it is at."""
    product_copies: int
    """The weights in bfloat16 that autocast makes for matrix products, whole in every process."""
    activations: int
    """Those of policy and value model, for the fullest row."""
    logits: int
    runtime: int
    """Context, library buffers and fragmentation of a GPU; 0 on a CPU."""

    @property
    def total(self) -> int:
        return sum(getattr(self, part.name) for part in fields(self))


@dataclass(frozen=True, slots=True)
class _States:
    """Bytes of a trained model's states, over all processes."""

    weights: int
    gradients: int
    optimizer: int


def number_types(settings: LearnerSettings, *, on_gpu: bool) -> NumberTypes:
    """The types that learner.param_dtype and learner.autocast give."""
    weight = 4 if settings.param_dtype == "float32" else 2
    product = 2 if settings.autocast or weight == 2 else 4
    return NumberTypes(weight=weight, product=product, attention=product if on_gpu else 4)


def trained_parameters(shape: ModelShape, settings: LearnerSettings) -> int:
    lora = settings.lora
    return adapter_parameters(shape, lora.rank, lora.target_modules) if lora.rank else shape.parameters


def value_parameters(shape: ModelShape, value_shape: ModelShape, settings: LearnerSettings) -> int:
    match settings.value.kind:
        case "none":
            return 0
        case "head":
            return shape.hidden + 1
        case _:
            return value_trunk_parameters(value_shape)


def learner_memory(
    shape: ModelShape, value_shape: ModelShape, settings: LearnerSettings, rows: RowSizes, *, on_gpu: bool = True
) -> LearnerMemory:
    """`value_shape` is that of learner.value.path, which is `shape` if there is no path."""
    processes, types = settings.processes, number_types(settings, on_gpu=on_gpu)
    models = [shape, value_shape] if settings.value.kind == "model" else [shape]
    trained = trained_parameters(shape, settings)
    policy, value = _states(trained, settings), _states(value_parameters(shape, value_shape, settings), settings)
    frozen = shape.parameters * types.weight if settings.lora.rank else 0
    parts = {
        "weights": (frozen + policy.weights) // processes,
        "gradients": policy.gradients // processes,
        "optimizer": policy.optimizer // processes,
        "value_model": (value.weights + value.gradients + value.optimizer) // processes,
        "reference": 4 * shape.parameters // processes if settings.kl.apply_to != "none" else 0,
        "gathered": _gathered(models, types) if processes > 1 else 0,
        "product_copies": _product_copies(models, settings),
        "activations": max(activation_bytes(models, settings, types, row) for row in rows.fullest),
        "logits": max(logit_bytes(shape, types, row.targets, settings.logits_chunk_tokens) for row in rows.fullest),
    }
    runtime = round(_RUNTIME_BYTES + _FRAGMENTATION * sum(parts.values())) if on_gpu else 0
    return LearnerMemory(**parts, runtime=runtime)


def activation_bytes(models: Sequence[ModelShape], settings: LearnerSettings, types: NumberTypes, row: FullRow) -> int:
    """Bytes that the forward passes of `models` (the policy, and a value model with a trunk of its own) keep. With
    gradient checkpointing, one layer at a time is whole.
    """
    share = row.targets / row.tokens
    kept = [kept_per_token(shape, types, row.group) for shape in models]
    outer = sum(outer_per_token(shape, types, share) for shape in models)
    if settings.gradient_checkpointing:
        inputs = sum(shape.layers * inputs_per_token(shape, types) for shape in models)
        return round(row.tokens * (inputs + outer + max(kept)))
    layers = sum(shape.layers * each for shape, each in zip(models, kept, strict=True))
    return round(row.tokens * (layers + outer))


def _states(trained: int, settings: LearnerSettings) -> _States:
    """The states of a model with `trained` parameters, as trainer.step.optimizer keeps them."""
    if settings.param_dtype == "float32":
        return _States(4 * trained, 4 * trained, 4 * _MOMENTS * trained)
    if settings.fp32_masters:  # gradients are converted to float32 before the update
        return _States(2 * trained, 6 * trained, 4 * (_MOMENTS + 1) * trained)
    return _States(2 * trained, 2 * trained, 2 * _MOMENTS * trained)


def _gathered(models: Sequence[ModelShape], types: NumberTypes) -> int:
    outer = sum(2 * shape.outer_parameters for shape in models)
    return types.weight * (outer + _GATHERED_LAYERS * max(shape.layer_parameters for shape in models))


def _product_copies(models: Sequence[ModelShape], settings: LearnerSettings) -> int:
    """Autocast copies each weight once and keeps it to the end of the pass; without recomputation, the backward pass
    needs it again. Weights that are not trained are copied at each use.
    """
    if not settings.autocast or settings.param_dtype != "float32":
        return 0
    policy, *value = models
    sizes = [
        policy.matrix_parameters + policy.hidden * policy.vocabulary,
        *(shape.matrix_parameters for shape in value),
    ]
    if not settings.gradient_checkpointing:
        return 2 * sum(sizes)
    if settings.lora.rank:
        sizes[0] = policy.layer_parameters
    return 2 * max(sizes)
