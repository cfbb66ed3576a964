"""Text to token ids and back, in one place: engines, SFT and tests share these functions, so that no two parts tokenize
the same conversation differently. The chat template is the one in the model's folder.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig

Message = dict[str, str]


def load_tokenizer(folder: Path) -> Any:
    """Raises OSError or ValueError if the folder holds no tokenizer."""
    return AutoTokenizer.from_pretrained(folder)


def encode_chat(tokenizer: Any, messages: Sequence[Message]) -> tuple[int, ...]:
    """Returns the token ids that the policy continues: the turns and the assistant's header."""
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def encode_answer(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Returns an assistant's turn as the policy should have written it: its tokens and the end token."""
    return (*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id)


def decode(tokenizer: Any, token_ids: Sequence[int]) -> str:
    """Returns the text without special tokens."""
    text: str = tokenizer.decode(list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


def end_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Returns every token that ends a generation: those of generation_config.json, and the tokenizer's."""
    found = {tokenizer.eos_token_id}
    if (folder / "generation_config.json").is_file():
        listed = GenerationConfig.from_pretrained(folder).eos_token_id
        found.update(listed if isinstance(listed, list) else [listed])
    return frozenset(token for token in found if token is not None)
