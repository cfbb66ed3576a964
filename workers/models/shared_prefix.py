"""Packs several prefix groups into one row: each prefix once, its suffixes after it, no padding.

Invariant: a suffix token attends to its own group's prefix and the earlier tokens of its own suffix, nothing else, and
has the position that it would have in a row of its own. Hidden states therefore equal those of separate passes, up to
rounding. The judge scores the candidates of one question this way, and the learner trains on groups this way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

_BLOCK_TOKENS = 256
"""Short suffixes share a block of at most this many tokens; in larger blocks, computing what the mask forbids costs
more than further calls."""


@dataclass(frozen=True, slots=True)
class PrefixGroup:
    """The token ids that all suffixes continue, and the suffixes. The prefix must not be empty."""

    prefix: Sequence[int]
    suffixes: Sequence[Sequence[int]]

    @property
    def tokens(self) -> int:
        """Number of tokens of the group in a packed row."""
        return len(self.prefix) + sum(len(suffix) for suffix in self.suffixes)


@dataclass(frozen=True, slots=True)
class AttentionBlock:
    """Neighbouring tokens of one group that attend only to themselves and the group's prefix."""

    tokens: int
    prefix: int
    """Length of the group's prefix; 0 for the group's first block, which begins with the prefix."""
    mask: Tensor
    """bool [tokens, prefix + tokens]: the row's mask for these tokens."""


@dataclass(frozen=True, slots=True)
class PackedRow:
    """A row of L tokens. The logits that predict a suffix's first token are at its group's `prefix_last`."""

    input_ids: Tensor
    """int64 [L]."""
    position_ids: Tensor
    """int64 [L]; positions restart at 0 for each group, and after the prefix for each suffix."""
    mask: Tensor
    """bool [L, L]; entry (i, j) says whether token i attends to token j."""
    suffix_slices: list[list[slice]]
    """[group][suffix]: the suffix's tokens in the row."""
    prefix_last: list[int]
    """[group]: index of the prefix's last token."""
    blocks: list[AttentionBlock]
    """Blocks of all its tokens, in order."""

    def to(self, device: torch.device) -> Self:
        """Returns the row with its tensors on `device`."""
        return replace(
            self,
            input_ids=self.input_ids.to(device),
            position_ids=self.position_ids.to(device),
            mask=self.mask.to(device),
            blocks=[replace(block, mask=block.mask.to(device)) for block in self.blocks],
        )


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
    ids: list[int] = []
    positions: list[int] = []
    owners: list[tuple[int, int]] = []  # (group, segment) of each token; segment 0 is the prefix
    slices: list[list[slice]] = []
    prefix_last: list[int] = []
    for number, group in enumerate(groups):
        if not group.prefix:
            raise ValueError(f"group {number} has an empty prefix; its suffixes would have nothing to continue")
        slices.append([])
        for segment, tokens in enumerate((group.prefix, *group.suffixes)):
            start = len(group.prefix) if segment else 0
            where = slice(len(ids), len(ids) + len(tokens))
            ids.extend(tokens)
            positions.extend(range(start, start + len(tokens)))
            owners.extend([(number, segment)] * len(tokens))
            if segment:
                slices[-1].append(where)
            else:
                prefix_last.append(where.stop - 1)
    mask = _tree_mask(torch.tensor(owners, dtype=torch.long))
    prefixes = [slice(last + 1 - len(group.prefix), last + 1) for last, group in zip(prefix_last, groups, strict=True)]
    return PackedRow(
        input_ids=torch.tensor(ids, dtype=torch.long),
        position_ids=torch.tensor(positions, dtype=torch.long),
        mask=mask,
        suffix_slices=slices,
        prefix_last=prefix_last,
        blocks=[block for own in zip(prefixes, slices, strict=True) for block in _cut_blocks(mask, *own)],
    )


def _cut_blocks(mask: Tensor, prefix: slice, suffixes: Sequence[slice]) -> Iterator[AttentionBlock]:
    start, stop = prefix.start, prefix.stop
    for suffix in suffixes:
        if suffix.stop - start > _BLOCK_TOKENS:
            yield _make_block(mask, slice(start, stop), prefix)
            start = suffix.start
        stop = suffix.stop
    yield _make_block(mask, slice(start, stop), prefix)


def _make_block(mask: Tensor, tokens: slice, prefix: slice) -> AttentionBlock:
    size, shared = tokens.stop - tokens.start, prefix.stop - prefix.start
    if tokens.start == prefix.start:
        return AttentionBlock(size, 0, mask[tokens, tokens].clone())
    return AttentionBlock(size, shared, torch.cat([mask[tokens, prefix], mask[tokens, tokens]], dim=1))


def attention_mask(row: PackedRow) -> Tensor:
    """Returns the mask as Hugging Face models with sdpa take it: bool [1, 1, L, L]."""
    return row.mask[None, None]


def _tree_mask(owners: Tensor) -> Tensor:
    """`owners` is int64 [L, 2]: group and segment of each token."""
    group, segment = owners.unbind(dim=1)
    same_group = group[:, None] == group[None, :]
    visible = (segment[None, :] == 0) | (segment[:, None] == segment[None, :])
    return (same_group & visible).tril()
