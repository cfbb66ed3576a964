"""Low-rank adapters through peft: W + (alpha / rank) B A on chosen layers; only A and B are trained (LoRA, 2106.09685).

Invariants:
- The model keeps its class and its parameter names, because peft's layers are put into it instead of a wrapper around
  it. Code that runs a policy therefore runs an adapted policy too.
- A new adapter does not change the model's outputs (B = 0). There is no dropout, which would make the learner's
  log-probs differ from the engine's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor

from infra.settings.learner import LoraSettings
from workers.engines.adapters import ADAPTER, NAME_PREFIX, holds_adapter, load_adapter_in_place


class LoraError(ValueError):
    """The settings match no layer of the policy."""


def adapt(policy: Any, settings: LoraSettings, template: Path) -> Any:
    """The policy with a new adapter, everything else frozen. Raises LoraError if no layer has the name of a target."""
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=list(settings.target_modules) or "all-linear",
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(template),
    )
    try:
        adapted = inject_adapter_in_model(config, policy, ADAPTER).eval()
    except ValueError as error:
        raise LoraError(f"learner.lora.target_modules: {error}") from error
    written = adapter_config(adapted)
    written.target_modules = sorted({name.rpartition(".")[2] for name in written.target_modules})
    return adapted


def merge(model: Any) -> None:
    """Adds W + (alpha / rank) B A up, and takes the adapter out: the model is a plain one again."""
    for name, layer in [(name, part) for name, part in model.named_modules() if isinstance(part, LoraLayer)]:
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


def load_adapter(policy: Any, folder: Path) -> None:
    """Loads an adapter into a policy that was adapted with the same settings. Raises OSError, ValueError."""
    load_adapter_in_place(policy, folder)
