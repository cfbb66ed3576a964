"""Bytes that autograd keeps for a backward pass: the storages of saved tensors, each counted once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(slots=True)
class SavedStorages:
    own: set[int]
    """Addresses that do not count: those of the model's weights."""
    sizes: dict[int, int] = field(default_factory=dict)
    kept: list[Tensor] = field(default_factory=list)
    """Holds what is saved, so that no address is used twice."""

    def note(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.own and storage.data_ptr() not in self.sizes:
            self.sizes[storage.data_ptr()] = storage.nbytes()
            self.kept.append(tensor)
        return tensor

    @property
    def total(self) -> int:
        return sum(self.sizes.values())


@contextmanager
def saved_by(*models: nn.Module) -> Iterator[SavedStorages]:
    """Within the block, what forward passes of the models save."""
    weights = (parameter.untyped_storage().data_ptr() for model in models for parameter in model.parameters())
    found = SavedStorages(set(weights))
    with torch.autograd.graph.saved_tensors_hooks(found.note, lambda tensor: tensor):
        yield found
