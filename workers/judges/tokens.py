"""Tokenizes judge prompts, and finds the tokens of verdict words.

Invariant: prefix and suffix are tokenized separately, in training as in serving, so that the tokens of a prefix do not
depend on the candidate.
"""

from collections.abc import Sequence
from typing import Any

from workers.judges.prompt import JudgePrompt, PromptForm, PromptText
from workers.judges.verdicts import YES_NO, Scale
from workers.models.shared_prefix import PrefixGroup

YES, NO = YES_NO.spellings
_LEAST_FIELD_CHARS = 256
"""Fields are not cut below this many characters: the model's context is then too short to judge."""


def verdict_token_ids(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Returns ids of the single tokens that spell YES and NO, in any case, with and without a leading space. Raises
    ValueError if a side has none.
    """
    yes, no = scale_token_ids(tokenizer, YES_NO)
    return yes, no


def scale_token_ids(tokenizer: Any, scale: Scale) -> list[list[int]]:
    """Returns the ids of the single tokens that spell each word. Raises ValueError if a word has none."""
    sides = []
    for names in scale.spellings:
        ids = sorted(
            {number for name in names for space in (" ", "") for number in _single_token_ids(tokenizer, name, space)}
        )
        if not ids:
            raise ValueError(f"the tokenizer has no single token for any of {', '.join(names)}")
        sides.append(ids)
    return sides


def _single_token_ids(tokenizer: Any, name: str, space: str) -> list[int]:
    """Returns the token that spells `name`, or none. An unknown word has a token too, which spells something else."""
    ids = tokenizer.encode(space + name, add_special_tokens=False)
    return ids if len(ids) == 1 and tokenizer.decode(ids).strip() == name else []


def prefix_groups(
    tokenizer: Any, prompts: Sequence[JudgePrompt], max_field_chars: int | None = None, limit: int | None = None
) -> tuple[list[PrefixGroup], list[list[int]]]:
    """Groups prompts that share their prefix; returns the groups, and the indices of the prompts of each. Fields are
    cut to `max_field_chars` characters, and further if a prompt exceeds `limit` tokens.
    """
    suffixes: dict[tuple[int, ...], list[tuple[int, list[int]]]] = {}
    for index, prompt in enumerate(prompts):
        prefix, suffix = _encode_within(tokenizer, prompt, max_field_chars, limit)
        suffixes.setdefault(tuple(prefix), []).append((index, suffix))
    groups = [PrefixGroup(prefix, [suffix for _, suffix in own]) for prefix, own in suffixes.items()]
    return groups, [[index for index, _ in own] for own in suffixes.values()]


def _encode_within(
    tokenizer: Any, prompt: JudgePrompt, max_field_chars: int | None, limit: int | None
) -> tuple[list[int], list[int]]:
    """In the rubric form, fields are cut until the prompt fits, and the judge is told. A prompt that is still too long,
    or of the short form, loses the middle of its tokens, since the end of a suffix asks for the verdict.
    """
    prefix, suffix = _encode(tokenizer, prompt.render(max_field_chars))
    while limit is not None and len(prefix) + len(suffix) > limit and prompt.form is PromptForm.RUBRIC:
        max_field_chars = min(max_field_chars or prompt.longest, prompt.longest) // 2
        if max_field_chars < _LEAST_FIELD_CHARS:
            break
        prefix, suffix = _encode(tokenizer, prompt.render(max_field_chars))
    if limit is not None:
        prefix = _cut_middle(prefix, limit // 2)
        suffix = _cut_middle(suffix, limit - len(prefix))
    return prefix, suffix


def _encode(tokenizer: Any, prompt: PromptText) -> tuple[list[int], list[int]]:
    return tokenizer.encode(prompt.prefix), tokenizer.encode(prompt.suffix, add_special_tokens=False)


def _cut_middle(ids: list[int], max_tokens: int) -> list[int]:
    """Keeps `max_tokens` ids: two thirds from the beginning, the rest from the end."""
    if len(ids) <= max_tokens:
        return ids
    head = 2 * max_tokens // 3
    return ids[:head] + ids[len(ids) - (max_tokens - head) :]
