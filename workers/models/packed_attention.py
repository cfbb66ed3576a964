"""Attention over packed rows, block by block: pairs of tokens that the tree mask forbids between blocks are not
computed.

Invariant: the result equals scaled dot-product attention under the row's whole mask, up to rounding. Without blocks it
is transformers' own attention.

Shapes: H query heads, K key-value heads, L tokens of the row, W width of a head.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, AutoConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from workers.models.shared_prefix import AttentionBlock

NAME = "rewardstream_packed"


def packed_attention(  # noqa: PLR0917 (transformers' interface)
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    packed_blocks: Sequence[AttentionBlock] | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """`query` is [1, H, L, W], `key` and `value` [1, K, L, W]; returns [1, L, H, W]. `packed_blocks` comes from the
    model's call, on its device; a model that does not pass it on attends under `attention_mask`.
    """
    if packed_blocks is None:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
        return output, None
    kind, dtype = query.device.type, value.dtype
    if kind == "cpu":  # on a CPU, float32 takes two thirds of bfloat16's time on blocks this small
        query, key, value = query.float(), key.float(), value.float()
    heads, length, width = query.shape[1:]
    # Query heads of one key-value head are neighbours, so a view groups them without a copy.
    query_KGLW = query.reshape(key.shape[1], -1, length, width)
    attend = partial(scaled_dot_product_attention, scale=scaling, dropout_p=dropout)
    with torch.autocast(kind, enabled=kind != "cpu" and torch.is_autocast_enabled(kind)):
        parts = _attend_blocks(query_KGLW, key[0], value[0], packed_blocks, attend)
    output = torch.cat(parts, dim=2).to(dtype)
    return output.reshape(1, heads, length, width).transpose(1, 2), None


def _attend_blocks(
    query_KGLW: Tensor,
    key_KLW: Tensor,
    value_KLW: Tensor,
    blocks: Sequence[AttentionBlock],
    attend: Callable[..., Tensor],
) -> list[Tensor]:
    """Returns [K, H / K, tokens, W] per block."""
    sizes = [block.tokens for block in blocks]  # `split` gathers gradients in one copy, slices add them up one by one
    states = zip(*(torch.split(tensor, sizes, dim=-2) for tensor in (query_KGLW, key_KLW, value_KLW)), strict=True)
    found: list[Tensor] = []
    first: tuple[Tensor, ...] = ()
    for block, (own_query, own_key, own_value) in zip(blocks, states, strict=True):
        seen: tuple[Tensor, ...] = (own_key, own_value)
        if block.prefix == 0:
            first = seen
        else:
            seen = tuple(torch.cat([a[:, : block.prefix], b], dim=1) for a, b in zip(first, seen, strict=True))
        keys, values = (tensor[:, None].expand(-1, query_KGLW.shape[1], -1, -1) for tensor in seen)
        found.append(attend(own_query, keys, values, attn_mask=block.mask))
    return found


def register() -> str:
    """Register the function with transformers; returns its name for `attn_implementation`."""
    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def implementation(folder: Path) -> str:
    """Returns `attn_implementation` for the model in `folder`: this one if its class takes any function that computes
    what sdpa does, else transformers' sdpa, which refuses to load what it cannot compute, such as the sinks of gpt-oss.

    Raises OSError or ValueError if the folder describes no model.
    """
    model: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(AutoConfig.from_pretrained(folder)), None)
    fits = all(getattr(model, name, False) for name in ("_supports_sdpa", "_supports_attention_backend"))
    return register() if fits else "sdpa"
