"""The key-value cache of the running batch: one slot per row, filled from the left, never re-allocated for a token.

Invariant: the first `rows` slots are in use, each up to its own length. Values beyond a row's length are finite, so
that a mask hides them (a masked NaN would not stay hidden). If rows leave, later rows move into their slots.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

_FIRST_COLUMNS = 128
"""Enough for short chats; doubled when a row outgrows it."""

Buffers = list[torch.Tensor]


class KVSlots:
    """Keys and values of every layer, each [slots, heads, columns, width]: attention uses slots and heads as one batch
    dimension, without a copy.
    """

    def __init__(self, slots: int, device: torch.device) -> None:
        self.slots = slots
        self.device = device
        self.lengths: list[int] = []
        self.width = 0
        """Number of columns that the token being written attends to."""
        self._columns = 0
        self._keys: Buffers = []
        self._values: Buffers = []
        self._where = torch.empty(0, dtype=torch.long)

    @property
    def rows(self) -> int:
        return len(self.lengths)

    def join(self, keys: Buffers, values: Buffers, copies: Sequence[int], lengths: Sequence[int]) -> None:
        """Append `copies[i]` rows for row i of the prefilled layers, which are [prompts, heads, padded, width],
        left-padded, and have `lengths[i]` real tokens in row i.
        """
        source = [i for i, count in enumerate(copies) for _ in range(count)]
        joining = [lengths[i] for i in source]
        padded = keys[0].shape[2]
        pick = torch.tensor(source, device=self.device)[:, None]
        shift = padded - torch.tensor(joining, device=self.device)[:, None]
        columns = (torch.arange(padded, device=self.device)[None] + shift).clamp_(max=padded - 1)
        if not self._keys:
            self._keys, self._values = ([self._allocate(like, 0) for like in layers] for layers in (keys, values))
        self._reserve(padded)
        first, last = self.rows, self.rows + len(joining)
        for buffer, new in zip(self._keys + self._values, keys + values, strict=True):
            buffer[first:last, :, :padded] = new.transpose(1, 2)[pick, columns].transpose(1, 2)
        self.lengths += joining

    def advance(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Make room for one token per row; returns their positions [rows, 1] and the mask [rows, 1, 1, width]."""
        self.width = max(self.lengths) + 1
        self._reserve(self.width)
        positions = torch.tensor(self.lengths, device=self.device)
        heads = self._keys[0].shape[1]
        starts = torch.arange(self.rows * heads, device=self.device) * self._columns
        self._where = starts + positions.repeat_interleave(heads)
        self.lengths = [length + 1 for length in self.lengths]
        mask = torch.arange(self.width, device=self.device)[None, None, None] <= positions[:, None, None, None]
        return positions[:, None], mask

    def write(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Store one token per row, [rows, heads, 1, width]; returns all of the rows, [rows, heads, columns, width]."""
        views = []
        for buffer, new in ((self._keys[layer], keys), (self._values[layer], values)):
            buffer.view(-1, buffer.shape[-1]).index_copy_(0, self._where, new.flatten(0, 2))
            views.append(buffer[: self.rows, :, : self.width])
        return views[0], views[1]

    def leave(self, finished: Sequence[int]) -> list[int]:
        """Drop rows; returns, for each slot still in use, the row that is now in it."""
        gone = set(finished)
        remaining = self.rows - len(gone)
        movers = [row for row in range(remaining, self.rows) if row not in gone]
        holes = [slot for slot in range(remaining) if slot in gone]
        order = list(range(remaining))
        for hole, mover in zip(holes, movers, strict=True):
            order[hole] = mover
        if holes:
            columns = max(self.lengths)
            to, origin = torch.tensor(holes, device=self.device), torch.tensor(movers, device=self.device)
            for buffer in self._keys + self._values:
                buffer[to, :, :columns] = buffer[origin, :, :columns]
        self.lengths = [self.lengths[row] for row in order]
        return order

    def _reserve(self, columns: int) -> None:
        if columns <= self._columns:
            return
        size = max(_FIRST_COLUMNS, self._columns)
        while size < columns:
            size *= 2
        for buffers in (self._keys, self._values):
            for layer, old in enumerate(buffers):
                buffers[layer] = self._allocate(old, size)
                buffers[layer][:, :, : self._columns] = old
        self._columns = size

    def _allocate(self, like: torch.Tensor, columns: int) -> torch.Tensor:
        """`like` is [rows, heads, columns, width]."""
        return torch.zeros((self.slots, like.shape[1], columns, like.shape[3]), dtype=like.dtype, device=self.device)


class _SlotLayer(CacheLayerMixin):
    """One layer of the slots, behind the interface of transformers' caches."""

    def __init__(self, slots: KVSlots, layer: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers ships no types for it
        self._slots = slots
        self._layer = layer

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self._slots.write(self._layer, key_states, value_states)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Does nothing: slots are allocated when rows join."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._slots.width - 1 + query_length, 0

    def get_seq_length(self) -> int:
        return self._slots.width - 1

    def get_max_length(self) -> int:
        return -1


def as_past(slots: KVSlots, layers: int) -> Cache:
    """Returns the slots as the model's `past_key_values`."""
    return Cache(layers=[_SlotLayer(slots, layer) for layer in range(layers)])
