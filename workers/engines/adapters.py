"""Loads a LoRA adapter, as peft writes it, into a running model: all of its tensors, or none.

Invariant: the model's own weights are never changed; the adapter is kept apart from them, so that loading a newer one
leaves no rounding errors of the older behind.
"""

from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, get_peft_model_state_dict, inject_adapter_in_model
from safetensors import SafetensorError
from safetensors.torch import load_file

from workers.models.model_files import ADAPTER_CONFIG, ADAPTER_FILE

ADAPTER = "policy"
"""The name of the one adapter within a model."""
NAME_PREFIX = "base_model.model."
"""Prefix of the model's own names in peft's files."""


def is_adapter(folder: Path) -> bool:
    return (folder / ADAPTER_CONFIG).is_file()


def holds_adapter(model: Any) -> bool:
    return ADAPTER in (getattr(model, "peft_config", None) or {})


def load_adapter_in_place(model: Any, folder: Path) -> None:
    """The first adapter adds its layers to the model, as the identity; later ones must have the same shapes.

    Raises OSError if a file cannot be read, ValueError if a tensor is missing or has another shape.
    """
    tensors = read_adapter(folder)
    if not holds_adapter(model):
        inject_adapter_in_model(PeftConfig.from_pretrained(str(folder)), model, ADAPTER)
        model.eval()
    own = {
        NAME_PREFIX + name: tensor for name, tensor in get_peft_model_state_dict(model, adapter_name=ADAPTER).items()
    }
    require_same(folder, shapes(tensors), shapes(own))
    with torch.inference_mode():
        for name, target in own.items():
            target.copy_(tensors[name])


def read_adapter(folder: Path) -> dict[str, torch.Tensor]:
    """Returns the tensors by peft's names. Raises OSError or ValueError."""
    try:
        return load_file(folder / ADAPTER_FILE)
    except SafetensorError as error:
        raise ValueError(f"{folder / ADAPTER_FILE} is not a safetensors file: {error}") from error


def shapes(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def require_same(folder: Path, found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> None:
    """Raises ValueError if the shapes differ."""
    odd = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if odd:
        raise ValueError(
            f"{folder} is not a version of this adapter: {odd[0]} is {found.get(odd[0])}, not {expected.get(odd[0])}"
        )
