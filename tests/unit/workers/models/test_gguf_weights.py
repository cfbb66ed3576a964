"""Weights out of a GGUF file are those that transformers' own loader reads."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from workers.models.gguf_weights import read_llama_weights

HEADS, KEY_HEADS, HEAD, HIDDEN, INNER, LAYERS, VOCABULARY = 4, 2, 8, 32, 64, 2, 96


def write(path: Path, extra: str = "") -> Path:
    """A Llama model with drawn weights; its large matrices are quantised."""
    draw = np.random.default_rng(3)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HEAD)
    writer.add_vocab_size(VOCABULARY)

    def add(name: str, *shape: int) -> None:
        values = draw.normal(size=shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, values)
            return
        kind = gguf.GGMLQuantizationType.Q4_1
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)

    add("token_embd.weight", VOCABULARY, HIDDEN)
    add("output_norm.weight", HIDDEN)
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{name}.weight", HIDDEN)
        for name, rows in (("attn_q", HEADS * HEAD), ("attn_k", KEY_HEADS * HEAD), ("attn_v", KEY_HEADS * HEAD)):
            add(f"blk.{layer}.{name}.weight", rows, HIDDEN)
        add(f"blk.{layer}.attn_output.weight", HIDDEN, HEADS * HEAD)
        for name in ("ffn_gate", "ffn_up"):
            add(f"blk.{layer}.{name}.weight", INNER, HIDDEN)
        add(f"blk.{layer}.ffn_down.weight", HIDDEN, INNER)
    if extra:
        add(extra, HIDDEN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_numbers_are_those_of_transformers(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32).state_dict()
    ours = read_llama_weights(path, HEADS, KEY_HEADS)
    assert theirs.keys() - ours.keys() == {"lm_head.weight"}  # the embedding's
    assert all(torch.equal(theirs[name], tensor) for name, tensor in ours.items())


def test_a_tensor_of_another_family_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", extra="blk.0.ssm_conv1d.weight")
    with pytest.raises(ValueError, match=r"blk\.0\.ssm_conv1d\.weight is no tensor of a Llama model"):
        read_llama_weights(path, HEADS, KEY_HEADS)
