"""Assigns a mini-batch's rows to ranks and reduces their results.

Invariant: each row is `counted` on exactly one rank, and all ranks get the same number of rows, since every forward and
backward pass over a sharded model is a collective. A rank with fewer rows repeats a row without counting it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from trainer.step.batch import TrainingRow


class RowPartition(Protocol):
    gradient_scale: float
    """Factor on each loss that makes the reduced gradient that of the sum over all processes."""

    def assign(self, rows: Sequence[TrainingRow]) -> list[tuple[TrainingRow, bool]]:
        """The rows that this process computes, each with whether it is counted."""
        ...

    def all_reduce_sum(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sums each tensor over the processes, which all pass the same names and shapes."""
        ...

    def all_gather(self, values_N: Tensor) -> Tensor:
        """Concatenates the values of all processes; N may differ between them."""
        ...


class AllRows:
    """The partition of a single process, which computes every row."""

    gradient_scale = 1.0

    def assign(self, rows: Sequence[TrainingRow]) -> list[tuple[TrainingRow, bool]]:
        return [(row, True) for row in rows]

    def all_reduce_sum(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(tensors)

    def all_gather(self, values_N: Tensor) -> Tensor:
        return values_N


class RankRows:
    """The partition of process `rank` of `size`; `group` reduces small tensors on the CPU."""

    def __init__(self, rank: int, size: int, group: dist.ProcessGroup) -> None:
        self._rank = rank
        self._size = size
        self._group = group
        self.gradient_scale = float(size)  # FSDP averages gradients over the processes

    def assign(self, rows: Sequence[TrainingRow]) -> list[tuple[TrainingRow, bool]]:
        if not rows:
            return []
        parts = balance_lpt([len(row.packed.input_ids) for row in rows], self._size)
        own = [(rows[index], True) for index in parts[self._rank]]
        shortest = min(rows, key=lambda row: len(row.packed.input_ids))
        return own + [(shortest, False)] * (max(map(len, parts)) - len(own))

    def all_reduce_sum(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            copy = tensor.detach().cpu().clone()
            dist.all_reduce(copy, group=self._group)
            sums[name] = copy.to(tensor.device)
        return sums

    def all_gather(self, values_N: Tensor) -> Tensor:
        parts: list[Tensor] = [torch.empty(0)] * self._size
        dist.all_gather_object(parts, values_N.detach().cpu(), group=self._group)
        return torch.cat(parts)


def balance_lpt(costs: Sequence[int], parts: int) -> list[list[int]]:
    """Divides indices into parts of nearly equal total cost.

    Each index goes, in order of falling cost, to the part with the lowest sum so far (Graham's LPT rule: the largest
    part is at most 4/3 of the optimum). Within a part the order stays longest first, so that passes that wait for each
    other have similar lengths.
    """
    found: list[list[int]] = [[] for _ in range(parts)]
    sums = [0] * parts
    for index in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        least = sums.index(min(sums))
        found[least].append(index)
        sums[least] += costs[index]
    return found
