"""Which rows of a mini-batch this process computes, and how what it found becomes what all of them found.

Invariant: the shares of all processes hold each row once as `counted`, and equally many rows, since every forward and
backward pass over a sharded model is collective. A process with fewer rows repeats one that is not counted.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from trainer.step.batch import TrainingRow


class RowPartition(Protocol):
    gradient_scale: float
    """What a loss is multiplied by, so that the gradient is that of the sum over all processes."""

    def assign(self, rows: Sequence[TrainingRow]) -> list[tuple[TrainingRow, bool]]:
        """Those to compute here, and whether each counts."""
        ...

    def all_reduce_sum(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each summed over the processes, which all give the same names and shapes."""
        ...

    def all_gather(self, values_N: Tensor) -> Tensor:
        """All processes' values, one after the other; N may differ."""
        ...


class AllRows:
    """One process has everything."""

    gradient_scale = 1.0

    def assign(self, rows: Sequence[TrainingRow]) -> list[tuple[TrainingRow, bool]]:
        return [(row, True) for row in rows]

    def all_reduce_sum(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(tensors)

    def all_gather(self, values_N: Tensor) -> Tensor:
        return values_N


class RankRows:
    """Process `rank` of `size`; `group` reduces small tensors on the CPU."""

    def __init__(self, rank: int, size: int, group: dist.ProcessGroup) -> None:
        self._rank = rank
        self._size = size
        self._group = group
        self.gradient_scale = float(size)  # FSDP averages gradients over the processes

    def assign(self, rows: Sequence[TrainingRow]) -> list[tuple[TrainingRow, bool]]:
        if not rows:
            return []
        shares = balance_lpt([len(row.packed.input_ids) for row in rows], self._size)
        own = [(rows[index], True) for index in shares[self._rank]]
        shortest = min(rows, key=lambda row: len(row.packed.input_ids))
        return own + [(shortest, False)] * (max(map(len, shares)) - len(own))

    def all_reduce_sum(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            copy = tensor.detach().cpu().clone()
            dist.all_reduce(copy, group=self._group)
            found[name] = copy.to(tensor.device)
        return found

    def all_gather(self, values_N: Tensor) -> Tensor:
        parts: list[Tensor] = [torch.empty(0)] * self._size
        dist.all_gather_object(parts, values_N.detach().cpu(), group=self._group)
        return torch.cat(parts)


def balance_lpt(costs: Sequence[int], parts: int) -> list[list[int]]:
    """Indices by part: the longest first, each to the part that has least (Graham's LPT rule, at most 4/3 of the best
    division). Within a part they stay longest first, so that passes that wait for each other are of like length.
    """
    shares: list[list[int]] = [[] for _ in range(parts)]
    sums = [0] * parts
    for index in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        least = sums.index(min(sums))
        shares[least].append(index)
        sums[least] += costs[index]
    return shares
