"""The weights of a Llama model in a GGUF file, under the names and in the layout of transformers.

Invariant: the numbers are those that transformers' own loader gives, bit by bit, in a tenth of its time: each tensor is
dequantised at once, and no model is made first.
"""

from pathlib import Path

import torch
from gguf import GGUFReader, dequantize
from torch import Tensor

_WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_OF_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def read_llama_weights(gguf: Path, query_heads: int, key_heads: int) -> dict[str, Tensor]:
    """Returns float32 tensors by transformers' names. Raises OSError, and ValueError if a tensor is no Llama's."""
    heads = {"attn_q": query_heads, "attn_k": key_heads}
    found: dict[str, Tensor] = {}
    for stored in GGUFReader(gguf).tensors:
        tensor = torch.from_numpy(dequantize(stored.data, stored.tensor_type).copy()).float()
        if stored.name in _WHOLE:
            found[_WHOLE[stored.name]] = tensor
            continue
        block, layer, part, kind = (*stored.name.split("."), "", "", "")[:4]
        if block != "blk" or part not in _OF_LAYER:
            raise ValueError(f"{gguf}: {stored.name} is no tensor of a Llama model")
        if part in heads:
            tensor = _halves_of_pairs(tensor, heads[part])
        found[f"model.layers.{layer}.{_OF_LAYER[part]}.{kind}"] = tensor
    return found


def _halves_of_pairs(weight: Tensor, heads: int) -> Tensor:
    """GGUF keeps the two rows that rotate together next to each other; transformers keeps them half a head apart."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.transpose(1, 2).reshape(rows, columns).contiguous()
