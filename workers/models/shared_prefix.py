"""Packs several prefix groups into one row: each prefix once, its suffixes after it, no padding.

Invariant: a suffix token attends to its own group's prefix and the earlier tokens of its own suffix, nothing else, and
has the position that it would have in a row of its own. Hidden states therefore equal those of separate passes, up to
rounding. The judge scores the candidates of one question this way, and the learner trains on groups this way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_BLOCK_TOKENS = 256
"""Short suffixes share a block of at most this many tokens; in larger blocks, computing what the mask forbids costs
more than further calls. A longer suffix has a block of its own."""


TokenIds = Sequence[int] | npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class PrefixGroup:
    """The token ids that all suffixes continue, and the suffixes. The prefix must not be empty."""

    prefix: TokenIds
    suffixes: Sequence[TokenIds]

    @property
    def tokens(self) -> int:
        """Number of tokens of the group in a packed row."""
        return len(self.prefix) + sum(len(suffix) for suffix in self.suffixes)


@dataclass(frozen=True, slots=True)
class AttentionBlock:
    """Neighbouring tokens of one group that attend to the group's prefix and to earlier tokens of their own segment. A
    segment is the prefix or a suffix.
    """

    prefix: int
    """Length of the group's prefix; 0 for the group's first block, whose first segment is the prefix."""
    segments: tuple[int, ...]
    """Lengths of the block's segments, in order; none is 0."""

    @property
    def tokens(self) -> int:
        return sum(self.segments)

    @property
    def keys(self) -> int:
        """Number of tokens to which any of the block's tokens may attend."""
        return self.prefix + self.tokens


@dataclass(frozen=True, slots=True)
class PackedRow:
    """A row of L tokens, described by lengths: its memory is linear in L. The logits that predict a suffix's first
    token are at its group's `prefix_last`.
    """

    input_ids: Tensor
    """int64 [L]."""
    position_ids: Tensor
    """int64 [L]; positions restart at 0 for each group, and after the prefix for each suffix."""
    prefix_slices: list[slice]
    """[group]: the prefix's tokens in the row."""
    suffix_slices: list[list[slice]]
    """[group][suffix]: the suffix's tokens in the row."""
    blocks: list[AttentionBlock]
    """Blocks of all its tokens, in order."""

    @property
    def prefix_last(self) -> list[int]:
        """[group]: index of the prefix's last token."""
        return [where.stop - 1 for where in self.prefix_slices]

    def to(self, device: torch.device) -> Self:
        """Returns the row with its tensors on `device`."""
        return replace(self, input_ids=self.input_ids.to(device), position_ids=self.position_ids.to(device))


def fill(sizes: Sequence[int], budget: int) -> list[list[int]]:
    """Returns indices per row, in the given order: a row takes the next items while their sizes add up to at most
    `budget`. A larger item has a row of its own.
    """
    rows: list[list[int]] = []
    room = 0
    for index, size in enumerate(sizes):
        if not rows or size > room:
            rows.append([])
            room = budget
        rows[-1].append(index)
        room -= size
    return rows


def pack(groups: Sequence[PrefixGroup]) -> PackedRow:
    """Raises ValueError if there is no group or a prefix is empty."""
    if not groups:
        raise ValueError("pack needs at least one group")
    ids: list[npt.NDArray[np.int64]] = []
    positions: list[npt.NDArray[np.int64]] = []
    end = 0
    prefixes: list[slice] = []
    suffixes: list[list[slice]] = []
    for number, group in enumerate(groups):
        if not len(group.prefix):
            raise ValueError(f"group {number} has an empty prefix; its suffixes would have nothing to continue")
        own: list[slice] = []
        for segment, tokens in enumerate((group.prefix, *group.suffixes)):
            start = len(group.prefix) if segment else 0
            own.append(slice(end, end + len(tokens)))
            ids.append(np.asarray(tokens, np.int64))
            positions.append(np.arange(start, start + len(tokens)))
            end += len(tokens)
        prefixes.append(own[0])
        suffixes.append(own[1:])
    return PackedRow(
        input_ids=torch.from_numpy(np.concatenate(ids)),
        position_ids=torch.from_numpy(np.concatenate(positions)),
        prefix_slices=prefixes,
        suffix_slices=suffixes,
        blocks=[block for group in groups for block in _cut_blocks(group)],
    )


def _cut_blocks(group: PrefixGroup) -> Iterator[AttentionBlock]:
    prefix, segments = 0, [len(group.prefix)]
    for suffix in group.suffixes:
        if not len(suffix):
            continue
        if sum(segments) + len(suffix) > _BLOCK_TOKENS:
            yield AttentionBlock(prefix, tuple(segments))
            prefix, segments = len(group.prefix), []
        segments.append(len(suffix))
    yield AttentionBlock(prefix, tuple(segments))
