"""Judge prompts as token ids, and the tokens that mean YES and NO.

Invariant: prefix and suffix are tokenised apart, in training as in serving, so that the tokens of a prefix do not
depend on the candidate.
"""

from collections.abc import Sequence
from typing import Any

from workers.judges.base import JudgeRequest
from workers.judges.prompt import PromptForm, judge_prompt
from workers.shared_prefix import PrefixGroup

YES = ("Yes", "yes", "YES")
NO = ("No", "no", "NO")


def verdict_token_ids(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Ids of the single tokens that spell YES and NO, in any case, with and without a leading space. Raises ValueError
    where a side has none.
    """
    sides = []
    for names in (YES, NO):
        ids = sorted({number for name in names for space in (" ", "") for number in _single(tokenizer, name, space)})
        if not ids:
            raise ValueError(f"the tokenizer has no single token for any of {', '.join(names)}")
        sides.append(ids)
    return sides[0], sides[1]


def _single(tokenizer: Any, name: str, space: str) -> list[int]:
    """The token that spells `name`, or none; an unknown word has a token too, which spells something else."""
    ids = tokenizer.encode(space + name, add_special_tokens=False)
    return ids if len(ids) == 1 and tokenizer.decode(ids).strip() == name else []


def prompt_tokens(
    tokenizer: Any, request: JudgeRequest, form: PromptForm = PromptForm.SHORT
) -> tuple[list[int], list[int]]:
    """Prefix and suffix. A start token goes first where the tokenizer has one of its own."""
    prompt = judge_prompt(request, form)
    prefix = tokenizer.encode(prompt.prefix)
    return prefix, tokenizer.encode(prompt.suffix, add_special_tokens=False)


def prefix_groups(
    tokenizer: Any, requests: Sequence[JudgeRequest], form: PromptForm = PromptForm.SHORT, limit: int | None = None
) -> tuple[list[PrefixGroup], list[list[int]]]:
    """Requests that share question and reference, together; beside each group, the indices of its requests. Where
    `limit` tokens are too few, what is too long loses its middle: the end of a suffix asks for the verdict.
    """
    suffixes: dict[tuple[int, ...], list[tuple[int, list[int]]]] = {}
    for index, request in enumerate(requests):
        prefix, suffix = prompt_tokens(tokenizer, request, form)
        if limit is not None:
            prefix = _without_middle(prefix, limit // 2)
            suffix = _without_middle(suffix, limit - len(prefix))
        suffixes.setdefault(tuple(prefix), []).append((index, suffix))
    groups = [PrefixGroup(prefix, [suffix for _, suffix in own]) for prefix, own in suffixes.items()]
    return groups, [[index for index, _ in own] for own in suffixes.values()]


def _without_middle(ids: list[int], room: int) -> list[int]:
    """Two thirds of the room for the beginning, the rest for the end."""
    if len(ids) <= room:
        return ids
    head = 2 * room // 3
    return ids[:head] + ids[len(ids) - (room - head) :]
