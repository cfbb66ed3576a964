"""Supervised fine-tuning on prompts with responses: a warm start, after which PPO gets useful rewards.

Invariant: only the response and its end token carry loss; prompts are encoded with the chat template that engines use.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainer.supervised.fit import (
    FitProgress,
    FitReport,
    FitSettings,
    LabelledRow,
    Step,
    fit_folder,
    shuffled_epochs,
)
from workers.models.chat import encode_answer, encode_chat, load_tokenizer
from workers.models.shared_prefix import PrefixGroup, fill, pack

ROW_TOKENS = 1024
"""Token budget of a packed row, as in the learner. A step needs the memory of one row, however many examples it has. A
longer example gets a row of its own."""


class ExamplesError(ValueError):
    """The examples cannot be used; the text names the file, the line and the fault."""


@dataclass(frozen=True, slots=True)
class SFTExample:
    messages: tuple[dict[str, str], ...]
    response: str


@dataclass(frozen=True, slots=True)
class SftSettings:
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=24, learning_rate=6e-5))
    batch: int = 16
    """Examples per step."""
    seed: int = 0
    """Seed of the examples' order and of a new adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SftReport(FitReport):
    examples: int
    response_tokens: int
    """Response tokens trained on, over all steps."""


def run_sft(
    model_folder: Path,
    examples: Sequence[SFTExample],
    out_folder: Path,
    settings: SftSettings | None = None,
    progress: FitProgress | None = None,
) -> SftReport:
    """Fine-tunes `model_folder` on the examples, and saves weights (float32) and tokenizer in `out_folder`.

    Raises ExamplesError if there is no example, and OSError or ValueError if the model does not load.
    """
    if not examples:
        raise ExamplesError("no examples: give at least one prompt with its response")
    settings = settings or SftSettings()
    tokenizer = load_tokenizer(model_folder)
    batches = _batches([_encode(tokenizer, example) for example in examples], settings)
    report = fit_folder(
        model_folder,
        tokenizer,
        map(sft_step, batches),
        out_folder,
        settings=settings.fit,
        seed=settings.seed,
        progress=progress,
    )
    return SftReport(
        **asdict(report),
        examples=len(examples),
        response_tokens=sum(len(s) for batch in batches for group in batch for s in group.suffixes),
    )


def read_examples(path: Path) -> list[SFTExample]:
    """Reads JSONL with `prompt` (text) or `messages` (chat turns), and `response`. Raises ExamplesError, OSError."""
    examples = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if line.strip():
            examples.append(_parse(line, f"{path}:{number}"))
    if not examples:
        raise ExamplesError(f"{path} holds no example; write one per line, as {{'prompt': ..., 'response': ...}}")
    return examples


def sft_step(groups: Sequence[PrefixGroup]) -> Step:
    """The rows of a step. Every token of every suffix is a target; the last token of the prefix predicts the first."""
    rows = fill([group.tokens for group in groups], ROW_TOKENS)
    return [_label_row([groups[index] for index in row]) for row in rows]


def _label_row(groups: Sequence[PrefixGroup]) -> LabelledRow:
    row = pack(groups)
    positions: list[int] = []
    targets: list[int] = []
    for group, slices, last in zip(groups, row.suffix_slices, row.prefix_last, strict=True):
        for suffix, where in zip(group.suffixes, slices, strict=True):
            positions.extend([last, *range(where.start, where.stop - 1)])
            targets.extend(suffix)
    return LabelledRow(row, positions, targets)


def _batches(groups: Sequence[PrefixGroup], settings: SftSettings) -> list[list[PrefixGroup]]:
    """The examples of each step."""
    order, size = shuffled_epochs(len(groups), settings.seed), min(settings.batch, len(groups))
    return [[groups[next(order)] for _ in range(size)] for _ in range(settings.fit.steps)]


def _encode(tokenizer: Any, example: SFTExample) -> PrefixGroup:
    return PrefixGroup(encode_chat(tokenizer, example.messages), [encode_answer(tokenizer, example.response)])


def _parse(line: str, where: str) -> SFTExample:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ExamplesError(f"{where}: not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ExamplesError(f"{where}: expected an object with prompt and response, found {type(record).__name__}")
    response = record.get("response")
    if not isinstance(response, str) or not response.strip():
        raise ExamplesError(f"{where}: 'response' must be text that is not empty")
    messages = record.get("messages", [{"role": "user", "content": record.get("prompt")}])
    if not _is_chat(messages):
        raise ExamplesError(f"{where}: give 'prompt' as text, or 'messages' as a list of {{'role', 'content'}}")
    return SFTExample(tuple(messages), response)


def _is_chat(messages: Any) -> bool:
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(
            isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
            for turn in messages
        )
    )
