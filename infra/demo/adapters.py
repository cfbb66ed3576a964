"""Adapters of a fit: the difference of two models' weights as low-rank factors, in the files that peft writes.

Invariant: `apply_adapter` is a function of the base model's and the adapter's files alone, so that every machine starts
from the same weights. The factors are bfloat16: rounding changes a weight by less than 1 % of what the fit changed it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from torch import Tensor

from infra.files.folders import copy_description
from workers.engines.adapters import NAME_PREFIX
from workers.models.model_files import ADAPTER_FILE, WEIGHTS_FILE

_NOISE = 1e-6
"""Largest difference, relative to the largest weight of a tensor, that counts as none: float32 rounds at 1e-7."""
_OVERSAMPLING = 8
"""Columns in addition to the rank, with which the randomised SVD finds the factors of a matrix of that rank."""


class AdapterError(ValueError):
    """The fit is not an adapter of its base model; the message names the tensor."""


def extract_adapter(base: Path, fitted: Path, rank: int, folder: Path) -> None:
    """Writes the difference of the two models' weights as an adapter of rank `rank` and scale 1.

    Raises AdapterError if anything but matrices of layers differs, or if a difference has a higher rank, and OSError.
    """
    before, after = load_file(base / WEIGHTS_FILE), load_file(fitted / WEIGHTS_FILE)
    tensors: dict[str, Tensor] = {}
    for name, delta in _differences(before, after):
        module, dot, kind = name.rpartition(".")
        if delta.ndim != 2 or dot + kind != ".weight" or ".layers." not in name:
            raise AdapterError(f"{name} was trained, which is no matrix of a layer: fit with a LoRA rank")
        b, a = _factors(name, delta, rank)
        tensors[f"{NAME_PREFIX}{module}.lora_A.weight"] = a.to(torch.bfloat16).contiguous()
        tensors[f"{NAME_PREFIX}{module}.lora_B.weight"] = b.to(torch.bfloat16).contiguous()
    modules = sorted({name.split(".")[-3] for name in tensors})
    LoraConfig(
        r=rank,
        lora_alpha=rank,
        target_modules=modules,
        layers_to_transform=_layers(tensors),
        task_type="CAUSAL_LM",
    ).save_pretrained(str(folder))
    save_file(tensors, folder / ADAPTER_FILE)


def apply_adapter(base: Path, adapter: Path, folder: Path) -> None:
    """Writes the base model with the adapter's factors added to its weights. Raises AdapterError, OSError."""
    weights, factors = load_file(base / WEIGHTS_FILE), load_file(adapter / ADAPTER_FILE)
    for name in factors:
        module, found, _ = name.removeprefix(NAME_PREFIX).partition(".lora_A.")
        if not found:
            continue
        target = f"{module}.weight"
        if target not in weights:
            raise AdapterError(f"{adapter} changes {target}, which {base} does not have")
        a, b = factors[name].float(), factors[name.replace(".lora_A.", ".lora_B.")].float()
        weights[target] = weights[target] + b @ a
    copy_description(base, folder)
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def _layers(names: Iterable[str]) -> list[int]:
    """Indices of the decoder layers whose tensors these are."""
    return sorted({int(name.partition(".layers.")[2].partition(".")[0]) for name in names})


def _differences(before: dict[str, Tensor], after: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    if before.keys() != after.keys():
        raise AdapterError(f"the fit has other tensors than its base: {min(before.keys() ^ after.keys())}")
    for name, old in sorted(before.items()):
        delta = after[name].float() - old.float()
        if float(delta.abs().max()) > _NOISE * float(old.abs().max()):
            yield name, delta


def _factors(name: str, delta: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """B [out, rank] and A [rank, in] with B A = delta; the singular values are divided between them."""
    torch.manual_seed(0)
    u, s, v = torch.svd_lowrank(delta, q=min(rank + _OVERSAMPLING, *delta.shape), niter=4)
    if float(s[rank:].sum()) > 1e-3 * float(s.sum()):
        raise AdapterError(f"the change of {name} has a rank above {rank}: fit with this LoRA rank")
    root = s[:rank].sqrt()
    return u[:, :rank] * root, (v[:, :rank] * root).T
