"""Builds language models that are sharded over several processes with FSDP2, layer by layer.

Invariants:
- No process holds a whole model. It is made on the meta device, sharded there, and filled with this process's slices of
  the safetensors files; what a process has at most is its part and one tensor of a file.
- Gathering the parts gives what a single process would hold, buffers included.
- Code that needs a sharded model's weights runs inside the model's own call (`inside`).
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import AutoConfig, PreTrainedModel

from trainer.step.layers import layers_of

T = TypeVar("T")

_INSIDE = "call_inside"
"""The method of a sharded model that runs a function inside the model's call."""


class Adapter(Protocol):
    """Layers that are put into a model before it is sharded, and whose weights its files do not have."""

    def insert(self, model: Any) -> None:
        """Puts the layers into the model, which is on the meta device."""
        ...

    def take_out(self, model: Any) -> None:
        """Gives the model the names of its files again."""
        ...

    def put_back(self, model: Any) -> None:
        """Undoes `take_out`, and initialises the layers."""
        ...


def load_sharded(
    auto: Any, folder: Path, mesh: DeviceMesh, attention: str | None, adapter: Adapter | None = None
) -> Any:
    """What `auto.from_pretrained` loads in float32, sharded over the mesh; every process of the mesh must call it.

    `auto` is a class such as AutoModelForCausalLM. Raises OSError or ValueError if the model does not load.
    """
    kind = _class_of(auto, folder)

    def distribute(_cls: type, model: Any, *_unused: Any) -> Any:
        model.__class__ = kind
        model.tie_weights(recompute_mapping=False)  # tied weights are one parameter before they are sharded
        if adapter is not None:
            adapter.insert(model)
        shard(model, model, mesh)
        type(model).__module__ = kind.__module__  # transformers initialises models of other modules differently
        if adapter is not None:
            adapter.take_out(model)
        return model

    # Transformers calls `maybe_distribute_model` between making the model and reading its files, and then reads of each
    # tensor what this process's DTensor holds.
    loader = type(kind.__name__, (kind,), {"maybe_distribute_model": classmethod(distribute)})
    model: Any = loader.from_pretrained(  # type: ignore[attr-defined]  # a PreTrainedModel, which `type` hides
        folder, dtype=torch.float32, attn_implementation=attention
    )
    if adapter is not None:
        adapter.put_back(model)
    for module in model.modules():  # parameters are there already; `device_map` would first allocate the whole model
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(mesh.device_type))
    return model


def shard(model: nn.Module, layered: Any | None, mesh: DeviceMesh) -> None:
    """Shards the layers of `layered`, which is the model or a part of it, and then the rest (embeddings, last norm,
    heads) as one unit. A part that is sharded already stays as it is.
    """
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")  # nothing writes into the view
    for layer in layers_of(layered) if layered is not None and not isinstance(layered, FSDPModule) else ():
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    setattr(model, _INSIDE, _call)
    register_fsdp_forward_method(model, _INSIDE)


def inside(model: nn.Module, function: Callable[..., T], *args: Any) -> T:
    """`function(*args)` with the model's weights whole, which those of a sharded model are only within its own call."""
    if not isinstance(model, FSDPModule):
        return function(*args)
    result: T = getattr(model, _INSIDE)(function, *args)
    return result


def reshard(model: nn.Module) -> None:
    """Frees the weights that a pass without a backward pass has left gathered."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def fill(module: nn.Module, name: str, whole: torch.Tensor) -> None:
    """Sets a parameter, which may be on the meta device if it is sharded, to `whole` or its part of it."""
    former = getattr(module, name)
    if isinstance(former, DTensor):
        mesh = former.device_mesh
        value: Any = distribute_tensor(whole.to(mesh.device_type), mesh, former.placements, src_data_rank=None)
    else:
        value = whole.to(former.device)
    setattr(module, name, nn.Parameter(value, requires_grad=former.requires_grad))


def _call(function: Callable[..., T], *args: Any) -> T:
    return function(*args)


def _class_of(auto: Any, folder: Path) -> type[PreTrainedModel]:
    """The class that `auto` would load. It is found by making the model on the meta device, which takes no memory."""
    with torch.device("meta"):
        return type(auto.from_config(AutoConfig.from_pretrained(folder)))
