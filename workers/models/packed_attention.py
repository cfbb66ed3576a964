"""Attention over packed rows, block by block: pairs of tokens that the tree mask forbids between blocks are not
computed.

Invariants:
- The result equals the model's own attention over each suffix after its prefix, up to rounding; sliding windows, capped
  scores (Gemma 2) and attention sinks (gpt-oss) included.
- Memory is linear in the row's length. A mask has at most `_MASK_ELEMENTS`; what would need a larger one runs causally
  without a mask, or in chunks of queries whose attention is computed again in the backward pass.
- Without a packed row it is transformers' own attention.

Shapes: H query heads, K key-value heads, G = H / K, L tokens of the row, T tokens and S keys of a block, W width of a
head.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface, AttentionMaskInterface, AutoConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from workers.models.shared_prefix import AttentionBlock

NAME = "rewardstream_packed"
_MASK_ELEMENTS = 1 << 20
"""Largest mask: 1 MiB. Two neighbouring blocks of a group have more than 256 tokens together, so masks that are kept
take at most 8 KiB per token, a small part of a layer's activations wherever a prefix is long enough to come near."""
_SCORE_ELEMENTS = 1 << 24
"""Largest matrix of scores that is written out, which is necessary for capped scores and sinks: 64 MiB in float32."""
_CAUSAL_WASTE = 3
"""A prefix of at most this many times a suffix's length is computed again as queries with it, since causal kernels need
neither a mask nor a second forward pass."""
_APPLIED = {"sliding_window", "softcap", "s_aux", "output_attentions", "use_cache", "position_ids", "is_causal"}
"""Keywords that change nothing, or whose meaning `packed_attention` applies."""


class UnknownAttentionError(ValueError):
    """The model's attention takes a keyword whose meaning is not known here; the text names it."""


@dataclass(slots=True)
class RowAttention:
    """A row's blocks, and the masks of its small blocks, which all layers of a forward pass share."""

    blocks: Sequence[AttentionBlock]
    device: torch.device
    calls: int = 0
    """Number of attention layers that have used it."""
    _masks: dict[tuple[AttentionBlock, int | None], Tensor] = field(default_factory=dict)

    def mask(self, block: AttentionBlock, window: int | None) -> Tensor:
        """Bool [T, S]: the whole mask of a block."""
        key = (block, window)
        if key not in self._masks:
            every = _Chunk(0, block.tokens, 0, 0)
            self._masks[key] = _chunk_mask(block, every, window, self.device)
        return self._masks[key]


@dataclass(frozen=True, slots=True)
class _Layer:
    """The options of one layer's attention."""

    scaling: float | None
    dropout: float
    window: int | None
    """Number of tokens to which a token attends, itself included; None for all."""
    softcap: float | None
    sinks_H: Tensor | None

    @property
    def explicit(self) -> bool:
        """Whether scores have to be written out, because no fused kernel computes them."""
        return self.softcap is not None or self.sinks_H is not None


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Queries `start` to `stop` of a block, and the first keys in the prefix and in the block to which any of them may
    attend.
    """

    start: int
    stop: int
    prefix_from: int
    own_from: int


def packed_attention(  # noqa: PLR0917 (transformers' interface)
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    packed_row: RowAttention | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """`query` is [1, H, L, W], `key` and `value` [1, K, L, W]; returns [1, L, H, W]. `packed_row` comes from the
    model's call; without it, the model attends under `attention_mask`. Raises UnknownAttentionError.
    """
    if packed_row is None:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
        return output, None
    unknown = [name for name, given in options.items() if given is not None and name not in _APPLIED]
    if unknown:
        raise UnknownAttentionError(f"{type(module).__name__} attends with {', '.join(unknown)}")
    packed_row.calls += 1
    layer = _Layer(scaling, dropout, options.get("sliding_window"), options.get("softcap"), options.get("s_aux"))
    kind, dtype = query.device.type, value.dtype
    if kind == "cpu":  # on a CPU, float32 takes two thirds of bfloat16's time on blocks this small
        query, key, value = query.float(), key.float(), value.float()
    heads, length, width = query.shape[1:]
    # Query heads of one key-value head are neighbours, so a view groups them without a copy.
    query_KGLW = query.reshape(key.shape[1], -1, length, width)
    with torch.autocast(kind, enabled=kind != "cpu" and torch.is_autocast_enabled(kind)):
        parts = list(_attend_row(query_KGLW, key[0], value[0], packed_row, layer))
    output = torch.cat(parts, dim=2).to(dtype)
    return output.reshape(1, heads, length, value.shape[-1]).transpose(1, 2), None


def _attend_row(
    query_KGLW: Tensor, key_KLW: Tensor, value_KLW: Tensor, row: RowAttention, layer: _Layer
) -> Iterator[Tensor]:
    """Yields [K, G, T, W] per block."""
    sizes = [block.tokens for block in row.blocks]  # `split` gathers gradients in one copy, slices add them one by one
    states = zip(*(torch.split(tensor, sizes, dim=-2) for tensor in (query_KGLW, key_KLW, value_KLW)), strict=True)
    first: tuple[Tensor, ...] = ()
    for block, own in zip(row.blocks, states, strict=True):
        if block.prefix == 0:
            first = own
        yield _attend_block(own, tuple(tensor[..., : block.prefix, :] for tensor in first), block, row, layer)


def _attend_block(
    own: tuple[Tensor, ...], prefix: tuple[Tensor, ...], block: AttentionBlock, row: RowAttention, layer: _Layer
) -> Tensor:
    """`own` and `prefix` are query, key and value of the block and of its group's prefix."""
    if _runs_causally(block, layer):
        query, key, value = own
        if block.prefix:
            query, key, value = (torch.cat(pair, dim=-2) for pair in zip(prefix, own, strict=True))
        return _attend(query, key, value, None, layer)[:, :, block.prefix :]
    rows = own[0].shape[0] * own[0].shape[1] if layer.explicit else 1
    limit = (_SCORE_ELEMENTS if layer.explicit else _MASK_ELEMENTS) // rows
    if block.tokens * block.keys <= min(limit, _MASK_ELEMENTS):
        key, value = (torch.cat(pair, dim=-2) for pair in zip(prefix[1:], own[1:], strict=True))
        return _attend(own[0], key, value, row.mask(block, layer.window), layer)
    parts = []
    for chunk in _chunks(block, layer.window, max(1, min(limit, _MASK_ELEMENTS) // block.keys)):
        run = _attend_chunk if not torch.is_grad_enabled() else _attend_chunk_again
        parts.append(run(own, prefix, block, chunk, layer))
    return torch.cat(parts, dim=2)


def _runs_causally(block: AttentionBlock, layer: _Layer) -> bool:
    """Whether a causal kernel without a mask computes the block."""
    if layer.explicit or len(block.segments) > 1 or (layer.window is not None and layer.window < block.keys):
        return False
    large = block.tokens * block.keys > _MASK_ELEMENTS and block.prefix <= _CAUSAL_WASTE * block.tokens
    return block.prefix == 0 or large


def _chunks(block: AttentionBlock, window: int | None, size: int) -> Iterator[_Chunk]:
    """Chunks of at most `size` queries. With one segment, keys that no query of a chunk can see are left out."""
    for start in range(0, block.tokens, size):
        stop = min(start + size, block.tokens)
        if window is None or len(block.segments) > 1:
            yield _Chunk(start, stop, 0, 0)
        else:
            oldest = block.prefix + start - window + 1
            yield _Chunk(start, stop, min(max(0, oldest), block.prefix), max(0, oldest - block.prefix))


def _attend_chunk_again(*arguments: Any) -> Tensor:
    """`_attend_chunk`, which the backward pass computes again, so that its mask is not kept."""
    output: Tensor = checkpoint(_attend_chunk, *arguments, use_reentrant=False, preserve_rng_state=False)
    return output


def _attend_chunk(
    own: tuple[Tensor, ...], prefix: tuple[Tensor, ...], block: AttentionBlock, chunk: _Chunk, layer: _Layer
) -> Tensor:
    own_to = chunk.stop if len(block.segments) == 1 else block.tokens
    key, value = (
        torch.cat([before[:, chunk.prefix_from :], after[:, chunk.own_from : own_to]], dim=1)
        for before, after in zip(prefix[1:], own[1:], strict=True)
    )
    mask = _chunk_mask(block, chunk, layer.window, key.device)
    return _attend(own[0][:, :, chunk.start : chunk.stop], key, value, mask, layer)


def _chunk_mask(block: AttentionBlock, chunk: _Chunk, window: int | None, device: torch.device) -> Tensor:
    """Bool [queries, keys]: which of the chunk's keys each of its queries attends to."""
    own_to = chunk.stop if len(block.segments) == 1 else block.tokens
    first = 1 if block.prefix else 0  # number of the block's first segment; 0 is the prefix
    lengths = torch.tensor(block.segments, device=device)
    numbers = torch.arange(first, first + len(block.segments), device=device)
    number_T = numbers.repeat_interleave(
        lengths, output_size=block.tokens
    )  # with its size, a GPU need not be waited for
    start_T = (torch.cumsum(lengths, 0) - lengths).repeat_interleave(lengths, output_size=block.tokens)
    within_T = torch.arange(block.tokens, device=device) - start_T
    prefix_length = block.prefix or block.segments[0]
    position_T = torch.where(number_T == 0, within_T, within_T + prefix_length)
    before = torch.arange(chunk.prefix_from, block.prefix, device=device)
    key_number = torch.cat([torch.zeros_like(before), number_T[chunk.own_from : own_to]])
    key_position = torch.cat([before, position_T[chunk.own_from : own_to]])
    query_number, query_position = number_T[chunk.start : chunk.stop, None], position_T[chunk.start : chunk.stop, None]
    visible = ((key_number == 0) | (key_number == query_number)) & (key_position <= query_position)
    return visible if window is None else visible & (query_position - key_position < window)


def _attend(query_KGTW: Tensor, key_KSW: Tensor, value_KSW: Tensor, mask_TS: Tensor | None, layer: _Layer) -> Tensor:
    """Returns [K, G, T, W]; without a mask, attention is causal."""
    if layer.explicit and mask_TS is not None:
        return _attend_explicitly(query_KGTW, key_KSW, value_KSW, mask_TS, layer)
    keys, values = (tensor[:, None].expand(-1, query_KGTW.shape[1], -1, -1) for tensor in (key_KSW, value_KSW))
    return scaled_dot_product_attention(
        query_KGTW,
        keys,
        values,
        attn_mask=mask_TS,
        is_causal=mask_TS is None,
        scale=layer.scaling,
        dropout_p=layer.dropout,
    )


def _attend_explicitly(
    query_KGTW: Tensor, key_KSW: Tensor, value_KSW: Tensor, mask_TS: Tensor, layer: _Layer
) -> Tensor:
    """Capped scores are cap * tanh(score / cap) (Gemma 2, arXiv 2408.00118); a sink is one more logit per head, which
    takes weight and has no value (gpt-oss).
    """
    scaling = query_KGTW.shape[-1] ** -0.5 if layer.scaling is None else layer.scaling
    scores = torch.matmul(query_KGTW, key_KSW[:, None].transpose(-1, -2)).float() * scaling
    if layer.softcap is not None:
        scores = layer.softcap * torch.tanh(scores / layer.softcap)
    scores = scores.masked_fill(~mask_TS, -torch.inf)
    if layer.sinks_H is not None:
        sinks = layer.sinks_H.float().reshape(*query_KGTW.shape[:2], 1, 1).expand(-1, -1, scores.shape[-2], -1)
        scores = torch.cat([scores, sinks], dim=-1)
    weights = scores.softmax(-1)[..., : key_KSW.shape[1]]
    if layer.dropout:
        weights = torch.nn.functional.dropout(weights, layer.dropout)
    return torch.matmul(weights.to(value_KSW.dtype), value_KSW[:, None])


def register() -> str:
    """Register the function with transformers; returns its name for `attn_implementation`."""
    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def implementation(folder: Path) -> str | None:
    """Returns `attn_implementation` for the model in `folder`: this one if its class takes any attention function, else
    None, which leaves the choice to transformers.

    Raises OSError or ValueError if the folder describes no model.
    """
    model: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(AutoConfig.from_pretrained(folder)), None)
    return register() if getattr(model, "_supports_attention_backend", False) else None
