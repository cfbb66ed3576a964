"""Low-rank adapters through peft: W + (alpha / rank) B A on chosen layers; only A and B are trained (LoRA, 2106.09685).

Invariants:
- The model keeps its class and its parameter names, because peft's layers are put into it instead of a wrapper around
  it. Code that runs a policy therefore runs an adapted policy too.
- A new adapter does not change the model's outputs (B = 0). There is no dropout, which would make the learner's
  log-probs differ from the engine's.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from infra.settings.learner import LoraSettings
from trainer.step.sharded_models import fill
from workers.engines.adapters import ADAPTER, NAME_PREFIX, holds_adapter


class LoraError(ValueError):
    """The settings match no layer of the policy."""


def adapt(policy: Any, settings: LoraSettings, template: Path) -> Any:
    """The policy with a new adapter, everything else frozen. Raises LoraError if no layer has the name of a target."""
    _insert(policy, settings, template)
    _initialise(policy)
    return policy


class LateAdapter:
    """The adapter of a policy that is sharded before it is read (`trainer.step.sharded_models.Adapter`)."""

    def __init__(self, settings: LoraSettings, template: Path) -> None:
        self._settings = settings
        self._template = template
        self._layers: dict[str, LoraLayer] = {}

    def insert(self, model: Any) -> None:
        """Raises LoraError."""
        _insert(model, self._settings, self._template)
        self._layers = _adapted_layers(model)

    def take_out(self, model: Any) -> None:
        for name, layer in self._layers.items():
            model.set_submodule(name, layer.get_base_layer())

    def put_back(self, model: Any) -> None:
        for name, layer in self._layers.items():
            model.set_submodule(name, layer)
        _initialise(model)


def _insert(policy: Any, settings: LoraSettings, template: Path) -> None:
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=list(settings.target_modules) or "all-linear",
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(template),
    )
    empty = next(policy.parameters()).is_meta
    try:
        inject_adapter_in_model(config, policy, ADAPTER, low_cpu_mem_usage=empty).eval()
    except ValueError as error:
        raise LoraError(f"learner.lora.target_modules: {error}") from error
    written = adapter_config(policy)
    written.target_modules = sorted({name.rpartition(".")[2] for name in written.target_modules})


def _initialise(policy: Any) -> None:
    """Sets A as peft does (Kaiming, 1502.01852) and B to 0, from torch's seed: the same in any number of processes."""
    draw = torch.Generator().manual_seed(torch.initial_seed())
    for layer in _adapted_layers(policy).values():
        lora_a: Any = layer.lora_A[ADAPTER]
        lora_b: Any = layer.lora_B[ADAPTER]
        whole = torch.empty(lora_a.out_features, lora_a.in_features)
        fill(lora_a, "weight", nn.init.kaiming_uniform_(whole, a=math.sqrt(5), generator=draw))
        fill(lora_b, "weight", torch.zeros(lora_b.out_features, lora_b.in_features))


def _adapted_layers(model: Any) -> dict[str, LoraLayer]:
    return {name: part for name, part in model.named_modules() if isinstance(part, LoraLayer)}


def merge(model: Any) -> None:
    """Adds W + (alpha / rank) B A up, and takes the adapter out: the model is a plain one again."""
    for name, layer in _adapted_layers(model).items():
        layer.merge()
        model.set_submodule(name, layer.get_base_layer())
    del model.peft_config


def is_adapted(policy: Any) -> bool:
    return holds_adapter(policy)


def adapter_config(policy: Any) -> Any:
    return policy.peft_config[ADAPTER]


def adapter_tensors(policy: Any, state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """A and B of every adapted layer, named as in peft's files; taken from `state` (a state dict) if it is given."""
    found = get_peft_model_state_dict(policy, state_dict=state, adapter_name=ADAPTER)
    return {NAME_PREFIX + name: tensor for name, tensor in found.items()}
