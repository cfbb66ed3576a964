"""Reads preference pairs from dataset files: of two responses to one prompt, which one people preferred.

Invariant: a row becomes either a pair or a rejection with file, line and reason; no row stops the others.

Columns `chosen` and `rejected`, as in TRL and in the hub's datasets, in one of these forms
    a prompt (`prompt`, `messages`, `question` or `instruction`, and perhaps `system`), and responses as text, as one
        assistant turn, or as whole conversations that begin with the prompt (ultrafeedback_binarized)
    whole conversations without a prompt, which differ in their last turn: lists of {role, content}, or texts with
        `Human:` and `Assistant:` (hh-rlhf)
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.prompts.dataset import Rejection
from trainer.prompts.dataset_errors import RowError
from trainer.prompts.dataset_files import raw_rows
from trainer.prompts.row_fields import chat_turns

_PROMPTS = ("prompt", "messages", "question", "instruction")
_DOMAINS = ("domain", "subset", "source")
"""Columns that name a kind of prompts: ours, RewardBench's, UltraFeedback's."""
_SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}

Turn = dict[str, str]


@dataclass(frozen=True, slots=True)
class PreferencePair:
    messages: tuple[Turn, ...]
    """The prompt; its last turn is the user's."""
    chosen: str
    rejected: str
    domain: str = ""


@dataclass(frozen=True, slots=True)
class RankedResponses:
    """All responses to one prompt, and which of them were preferred to which."""

    messages: tuple[Turn, ...]
    responses: tuple[str, ...]
    comparisons: tuple[tuple[int, int], ...]
    """(better, worse) as indices of responses."""
    domain: str = ""


@dataclass(slots=True)
class PreferenceData:
    pairs: list[PreferencePair] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    """Rows that are no pair."""


def read_preferences(paths: Iterable[Path]) -> PreferenceData:
    """Raises DatasetError if a file does not exist, or is neither JSONL nor Parquet."""
    found = PreferenceData()
    for path in paths:
        for line, raw, shown in raw_rows(path):
            try:
                found.pairs.append(parse_pair(raw() if callable(raw) else raw))
            except RowError as error:
                found.rejected.append(Rejection(str(path), line, str(error), shown[:1000]))
    return found


def parse_pair(raw: Any) -> PreferencePair:
    """Raises RowError."""
    if not isinstance(raw, Mapping):
        raise RowError(f"expected an object with columns, got {type(raw).__name__}")
    prompt = _prompt(raw)
    (messages, chosen), (other, rejected) = (_split(raw.get(name), prompt, name) for name in ("chosen", "rejected"))
    if messages != other:
        raise RowError("the two conversations differ before their last turn, so they answer different prompts")
    if not chosen.strip():
        raise RowError("the chosen response is empty")
    if chosen == rejected:
        raise RowError("the two responses are the same, which says nothing about either")
    domain = next((str(raw[name]) for name in _DOMAINS if raw.get(name)), "")
    return PreferencePair(messages, chosen, rejected, domain)


def by_prompt(pairs: Iterable[PreferencePair]) -> list[RankedResponses]:
    """Groups the pairs of one prompt, in the order of the prompts. A response that is in several pairs is one."""
    groups: dict[tuple[tuple[tuple[str, str], ...], ...], list[PreferencePair]] = {}
    for pair in pairs:
        groups.setdefault(tuple(tuple(sorted(turn.items())) for turn in pair.messages), []).append(pair)
    return [_rank(own) for own in groups.values()]


def _rank(pairs: Sequence[PreferencePair]) -> RankedResponses:
    places: dict[str, int] = {}
    comparisons = [
        (places.setdefault(pair.chosen, len(places)), places.setdefault(pair.rejected, len(places))) for pair in pairs
    ]
    return RankedResponses(
        pairs[0].messages, tuple(places), tuple(dict.fromkeys(comparisons)), next((p.domain for p in pairs), "")
    )


def _prompt(raw: Mapping[str, Any]) -> tuple[Turn, ...] | None:
    """The row's own prompt; None if it is part of the conversations."""
    value = next((raw[name] for name in _PROMPTS if raw.get(name)), None)
    if value is None:
        return None
    turns = chat_turns(value)
    system = raw.get("system")
    if isinstance(system, str) and system.strip() and turns[0]["role"] != "system":
        return ({"role": "system", "content": system}, *turns)
    return turns


def _split(value: Any, prompt: tuple[Turn, ...] | None, name: str) -> tuple[tuple[Turn, ...], str]:
    """Prompt and response of one side. Raises RowError."""
    if isinstance(value, str):
        return (prompt, value) if prompt is not None else _split_turns(_dialogue(value, name), name)
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list) or not value:
        raise RowError(f"{name} must be a text, or a list of turns with role and content, got {value!r:.100}")
    turns = [_turn(turn, name) for turn in value]
    if prompt is None:
        return _split_turns(turns, name)
    if len(turns) > 1 and not _continues(turns, prompt):
        raise RowError(f"{name} is a conversation that does not begin with the row's prompt")
    _, response = _split_turns(turns[-1:] if len(turns) == 1 else turns, name, has_prompt=len(turns) > 1)
    return prompt, response


def _continues(turns: Sequence[Turn], prompt: Sequence[Turn]) -> bool:
    """Whether the turns are the prompt's, with or without its system turn, and one more."""
    spoken = [turn for turn in prompt if turn["role"] != "system"]
    return any(list(turns[:-1]) == list(own) for own in (prompt, spoken))


def _split_turns(turns: Sequence[Turn], name: str, *, has_prompt: bool = True) -> tuple[tuple[Turn, ...], str]:
    if turns[-1]["role"] != "assistant":
        raise RowError(f"the last turn of {name} must be the assistant's, got {turns[-1]['role']!r}")
    return chat_turns(list(turns[:-1])) if has_prompt else (), turns[-1]["content"]


def _turn(turn: Any, name: str) -> Turn:
    if not isinstance(turn, Mapping) or not all(isinstance(turn.get(key), str) for key in ("role", "content")):
        raise RowError(f"a turn of {name} needs role and content as text, got {turn!r:.100}")
    return {"role": turn["role"], "content": turn["content"]}


def _dialogue(text: str, name: str) -> list[Turn]:
    """The turns of a text with `Human:` and `Assistant:` at the beginnings of its paragraphs."""
    parts = _SPEAKER.split(text)
    if parts[0].strip() or len(parts) < 3:
        raise RowError(
            f"{name} is a text, and the row has no prompt: add a column `prompt`, or give conversations as lists of "
            "turns or with `Human:` and `Assistant:`"
        )
    return [
        {"role": _ROLES[speaker], "content": said.strip()}
        for speaker, said in zip(parts[1::2], parts[2::2], strict=True)
    ]
