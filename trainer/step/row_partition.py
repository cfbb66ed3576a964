"""Reduces results over the processes that share a step's rows (`trainer.step.row_plan`).

Invariant: every process calls each reduction, in the same order.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor


class RowPartition(Protocol):
    rank: int
    size: int
    """Number of processes."""
    gradient_scale: float
    """Factor on each loss that makes the reduced gradient that of the sum over all processes."""

    def all_reduce_sum(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sums each tensor over the processes, which all pass the same names and shapes."""
        ...

    def all_gather(self, values_N: Tensor) -> Tensor:
        """Concatenates the values of all processes; N may differ between them."""
        ...


class AllRows:
    """The partition of a single process, which computes every row."""

    rank = 0
    size = 1
    gradient_scale = 1.0

    def all_reduce_sum(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(tensors)

    def all_gather(self, values_N: Tensor) -> Tensor:
        return values_N


class RankRows:
    """The partition of process `rank` of `size`; `group` reduces small tensors on the CPU."""

    def __init__(self, rank: int, size: int, group: dist.ProcessGroup) -> None:
        self.rank = rank
        self.size = size
        self._group = group
        self.gradient_scale = float(size)  # FSDP averages gradients over the processes

    def all_reduce_sum(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            copy = tensor.detach().cpu().clone()
            dist.all_reduce(copy, group=self._group)
            sums[name] = copy.to(tensor.device)
        return sums

    def all_gather(self, values_N: Tensor) -> Tensor:
        parts: list[Tensor] = [torch.empty(0)] * self.size
        dist.all_gather_object(parts, values_N.detach().cpu(), group=self._group)
        return torch.cat(parts)
