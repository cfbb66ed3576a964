"""Plans a step over the rows of a batch: mini-batches, and which process computes which row.

Invariants:
- The plan is a function of (outline, settings, seed, version, number of processes), so all processes make the same one.
- Each row is computed and counted by one process, in every pass of the step, so no other process needs its tokens.
- All processes make the same number of passes over a mini-batch, since every pass over a sharded model is a collective.
  A process with fewer rows repeats the shortest row that it has, which is not counted.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from infra.settings.learner import LearnerSettings
from trainer.step import shaping
from trainer.step.batch import BatchOutline


@dataclass(frozen=True, slots=True)
class RowPlan:
    outline: BatchOutline
    minibatches: list[list[int]]
    """Numbers of the rows of each mini-batch; rows without loss are in none."""
    owners: list[int]
    """[row]: the process that computes it."""
    processes: int

    def rows_of(self, rank: int) -> list[int]:
        """The rows that a process needs: its own, or the shortest of all if it has none."""
        own = [number for number, owner in enumerate(self.owners) if owner == rank]
        return own or [self._shortest(range(len(self.owners)))]

    def passes(self, numbers: Sequence[int], rank: int) -> list[tuple[int, bool]]:
        """The rows that a process computes in a pass over `numbers`, each with whether it is counted. The longest comes
        first, so that passes that wait for each other have similar lengths.
        """
        shares = [[number for number in numbers if self.owners[number] == owner] for owner in range(self.processes)]
        own = sorted(shares[rank], key=lambda number: -self.outline.rows[number].tokens)
        spare = (self._shortest(self.rows_of(rank)), False)
        return [(number, True) for number in own] + [spare] * (max(map(len, shares)) - len(own))

    def _shortest(self, numbers: Sequence[int]) -> int:
        return min(numbers, key=lambda number: self.outline.rows[number].tokens)


def plan_rows(outline: BatchOutline, settings: LearnerSettings, *, version: int, seed: int, processes: int) -> RowPlan:
    """The plan of the step from `version`."""
    counts = shaping.loss_mask(outline, settings.overlong).tolist()
    with_loss = [n for n, row in enumerate(outline.rows) if any(counts[index] for index in row.trajectories)]
    targets = [sum(outline.responses[index].targets for index in row.trajectories) for row in outline.rows]
    minibatches = split_rows(with_loss, targets, settings.minibatches, random.Random(f"{seed}:{version}"))
    owners = [0] * len(outline.rows)
    without_loss = sorted(set(range(len(outline.rows))) - set(with_loss))
    for numbers in (*minibatches, without_loss):
        parts = balance_lpt([outline.rows[number].tokens for number in numbers], processes)
        for rank, part in enumerate(parts):
            for place in part:
                owners[numbers[place]] = rank
    return RowPlan(outline, minibatches, owners, processes)


def split_rows(numbers: Sequence[int], targets: Sequence[int], parts: int, draw: random.Random) -> list[list[int]]:
    """Splits rows into at most `parts` mini-batches, none of them empty, with nearly equal numbers of targets.
    `targets` has the number of each row.
    """
    order = list(numbers)
    draw.shuffle(order)
    order.sort(key=lambda number: -targets[number])  # stable: ties stay in drawn order
    bins: list[list[int]] = [[] for _ in range(min(parts, len(order)))]
    for number in order:
        min(bins, key=lambda members: sum(targets[member] for member in members)).append(number)
    draw.shuffle(bins)
    return bins


def balance_lpt(costs: Sequence[int], parts: int) -> list[list[int]]:
    """Divides indices into parts of nearly equal total cost.

    Each index goes, in order of falling cost, to the part with the lowest sum so far (Graham's LPT rule: the largest
    part is at most 4/3 of the optimum).
    """
    found: list[list[int]] = [[] for _ in range(parts)]
    sums = [0] * parts
    for index in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        least = sums.index(min(sums))
        found[least].append(index)
        sums[least] += costs[index]
    return found
