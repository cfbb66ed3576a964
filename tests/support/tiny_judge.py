"""A judge of twenty words with random weights: what an endpoint's top 20 shows is then its whole distribution."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = (
    *("[UNK]", "Yes", "No", "yes", "Question:", "Task:", "Reference:", "Answer:", "Response:", "Correct?", "Better?"),
    *("Paris", "London", "Rome", "France", "Italy", "capital", "bright", "sea", "Verdict:"),
)
THREE_VERDICTS = ("Correct", "Incorrect", "Invalid", "Better", "Worse")
"""More words, for judges with three verdicts."""
UNKNOWN = WORDS[0]


def save_tiny_judge(folder: Path, more: tuple[str, ...] = ()) -> Path:
    vocabulary = (*WORDS, *more)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(vocabulary)}, unk_token=UNKNOWN))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token=UNKNOWN).save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
