"""A Llama of 200 kB with peaked random weights and a byte tokenizer: a real model folder that loads in no time."""

from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from workers.models.chat import load_tokenizer

END = 2
CONTEXT = 256


def save_tiny_model(folder: Path, seed: int, context: int = CONTEXT) -> Path:
    """Weights by seed, float32."""
    torch.manual_seed(seed)
    tokenizer = _byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        bos_token_id=1,
        eos_token_id=END,
        pad_token_id=END,
        initializer_range=0.15,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny_judge_model(folder: Path) -> Path:
    """The same with Yes and No as tokens of their own, for a fit."""
    save_tiny_model(folder, seed=4)
    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens([AddedToken(" Yes"), AddedToken(" No")])
    model = LlamaForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _byte_tokenizer() -> PreTrainedTokenizerFast:
    special = ["<unk>", "<|im_start|>", "<|im_end|>"]
    vocabulary = special + sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(vocabulary)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    unknown, begin, end = special
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token=unknown, bos_token=begin, eos_token=end, pad_token=end
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}: {{ m['content'] }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>{% endif %}"
    )
    return tokenizer
