"""Loads new weights into a running model: all of a folder's safetensors, or none.

Invariant: nothing is written before every tensor was found with the right shape, so that a folder that does not fit
leaves the old weights complete.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from workers.engines.adapters import holds_adapter, is_adapter, load_adapter_in_place
from workers.models.model_files import WEIGHTS_FILE, WEIGHTS_INDEX


def load_in_place(model: torch.nn.Module, folder: Path) -> None:
    """Copy the folder's tensors into the model's own, casting to their type; an adapter's tensors are kept apart.

    Raises OSError if a file cannot be read, ValueError if a tensor is missing or has another shape.
    """
    if is_adapter(folder):
        load_adapter_in_place(model, folder)
        return
    if holds_adapter(model):
        raise ValueError(f"{folder} holds a whole model, the engine an adapter: a run's learner.lora must not change")
    renamed = getattr(model, "_weight_conversions", None)  # set if transformers loads other names than the files have
    tensors = _read_converted(model, folder) if renamed else _read_tensors(folder)
    with torch.inference_mode():
        for target, source in _match_tensors(model, tensors, folder):
            target.copy_(source)


def shapes_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every tensor by name, from the files' headers alone. Raises OSError or ValueError."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, "pt") as tensors:
                names = list(tensors.keys())
                shapes |= {name: tuple(tensors.get_slice(name).get_shape()) for name in names}
        except SafetensorError as error:
            raise ValueError(f"{file} is not a safetensors file: {error}") from error
    return shapes


def require_shapes(folder: Path, expected: dict[str, tuple[int, ...]]) -> None:
    """Raises OSError if a file cannot be read, ValueError if its tensors are not the expected ones."""
    found = shapes_of(folder)
    odd = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if odd:
        name = odd[0]
        raise ValueError(
            f"{folder} is not a version of this model: {name} is {found.get(name)}, not {expected.get(name)}"
        )


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for file in weight_files(folder):
        try:
            tensors |= load_file(file)
        except SafetensorError as error:
            raise ValueError(f"{file} is not a safetensors file: {error}") from error
    return tensors


def _read_converted(model: Any, folder: Path) -> dict[str, torch.Tensor]:
    """The tensors under the model's own names, as transformers loads them: it takes the model's memory once more."""
    loaded, notes = type(model).from_pretrained(folder, dtype=next(model.parameters()).dtype, output_loading_info=True)
    missing = sorted(notes["missing_keys"])
    if missing:
        raise ValueError(f"{folder} holds no tensor {missing[0]}; it is not a version of this model")
    tensors: dict[str, torch.Tensor] = loaded.state_dict()
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """Returns the one weight file, or the shards that the index names."""
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        return [folder / WEIGHTS_FILE]
    shards: dict[str, str] = json.loads(index.read_text())["weight_map"]
    return [folder / name for name in sorted(set(shards.values()))]


def _match_tensors(
    model: torch.nn.Module, tensors: dict[str, torch.Tensor], folder: Path
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pairs each tensor of the model with the folder's, once; tied tensors are found under any of their names."""
    names: dict[int, list[str]] = {}
    own = model.state_dict(keep_vars=True)
    for name, tensor in own.items():
        names.setdefault(tensor.data_ptr(), []).append(name)
    pairs = []
    for tied in names.values():
        found = [name for name in tied if name in tensors]
        if not found:
            raise ValueError(f"{folder} holds no tensor {tied[0]}; it is not a version of this model")
        name = found[0]
        if tensors[name].shape != own[name].shape:
            raise ValueError(f"{folder}: {name} is {tuple(tensors[name].shape)}, not {tuple(own[name].shape)}")
        pairs.append((own[name], tensors[name]))
    return pairs
