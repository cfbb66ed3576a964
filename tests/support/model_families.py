"""One tiny random configuration per model family, with every feature of the family that changes a distribution."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

_SMALL = {
    "vocab_size": 128,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "first_k_dense_replace": 1}
_WINDOW = {"sliding_window": 8}
_MLA = {"kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
_LINEAR = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
}
_MAMBA = {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8}

PACKED: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen2 (window)": {"use_sliding_window": True, "max_window_layers": 1, **_WINDOW},
    "qwen3": {"head_dim": 8},
    "qwen3_moe": {"head_dim": 8, **_EXPERTS},
    "mistral": _WINDOW,
    "mixtral": {"num_local_experts": 4},
    "phi3": _WINDOW,
    "gemma2": {"head_dim": 8, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0, **_WINDOW},
    "gemma3_text": {"head_dim": 8, **_WINDOW},
    "granite": {"logits_scaling": 4.0, "embedding_multiplier": 3.0},
    "cohere": {"logit_scale": 0.25},
    "cohere2": {"logit_scale": 0.25, **_WINDOW},
    "olmo2": {},
    "smollm3": {},
    "glm4": {"head_dim": 8},
    "glm4_moe": {"head_dim": 8, **_ROUTED},
    "gpt_oss": {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, **_WINDOW},
    "deepseek_v3": {"num_key_value_heads": 4, "n_group": 1, "topk_group": 1, **_MLA, **_ROUTED},
}
"""Families whose rows run in one pass."""
SEPARATE: dict[str, dict[str, Any]] = {
    "lfm2": {"full_attn_idxs": [1], "block_ff_dim": 64},
    "qwen3_next": {"head_dim": 8, "shared_expert_intermediate_size": 16, **_EXPERTS, **_LINEAR},
    "falcon_h1": {"head_dim": 8, "lm_head_multiplier": 0.5, **_MAMBA},
    "llama4_text": {"head_dim": 8, "num_local_experts": 2, "attention_chunk_size": 8, "intermediate_size_mlp": 64},
    "falcon": {},
}
"""Families whose responses run in passes of their own."""
FAMILIES = PACKED | SEPARATE


def save_family(name: str, folder: Path) -> Path:
    """Saves a model of the family with peaked random weights by a fixed seed, as its authors' files name them."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(name.split(maxsplit=1)[0], **(_SMALL | FAMILIES[name]))
    model = AutoModelForCausalLM.from_config(config).float()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder
