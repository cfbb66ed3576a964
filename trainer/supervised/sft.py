"""Supervised fine-tuning on prompts with responses: the warm start that gives PPO a signal to follow.

Invariant: loss over the response and its end token only; prompts are encoded by the chat template that engines use.
"""

import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.step.models import load_causal_lm
from trainer.supervised.fit import FitProgress, FitSettings, LabelledRow, Step, fit
from workers.engines.chat import encode_answer, encode_chat, load_tokenizer
from workers.models.shared_prefix import PrefixGroup, fill, pack

ROW_TOKENS = 1024
"""As the learner's: a step's memory is that of one such row, however many examples it has. A longer example has a row
of its own."""


class ExamplesError(ValueError):
    """The examples cannot be used; the text names file, line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Example:
    messages: tuple[dict[str, str], ...]
    response: str


@dataclass(frozen=True, slots=True)
class SftSettings:
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=24, learning_rate=6e-5))
    batch: int = 16
    """Examples in a step."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SftReport:
    steps: int
    examples: int
    response_tokens: int
    """Response tokens trained on, over all steps."""
    first_loss: float
    last_loss: float
    seconds: float
    cpu_seconds: float


def run_sft(
    model_folder: Path,
    examples: Sequence[Example],
    out_folder: Path,
    settings: SftSettings | None = None,
    progress: FitProgress | None = None,
) -> SftReport:
    """Fine-tune `model_folder` on the examples and save weights (float32) and tokenizer in `out_folder`.

    Raises ExamplesError where there is no example, OSError or ValueError where the model does not load.
    """
    if not examples:
        raise ExamplesError("no examples: give at least one prompt with its response")
    settings = settings or SftSettings()
    started, cpu = time.monotonic(), time.process_time()
    tokenizer = load_tokenizer(model_folder)
    model = load_causal_lm(model_folder)
    groups = [_encode(tokenizer, example) for example in examples]
    batches = _batches(groups, settings)
    losses = fit(model, map(sft_step, batches), settings.fit, progress)
    model.save_pretrained(out_folder)
    tokenizer.save_pretrained(out_folder)
    return SftReport(
        steps=len(losses),
        examples=len(examples),
        response_tokens=sum(len(s) for batch in batches for group in batch for s in group.suffixes),
        first_loss=losses[0],
        last_loss=losses[-1],
        seconds=time.monotonic() - started,
        cpu_seconds=time.process_time() - cpu,
    )


def read_examples(path: Path) -> list[Example]:
    """JSONL with `prompt` (text) or `messages` (chat turns), and `response`. Raises ExamplesError, OSError."""
    examples = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if line.strip():
            examples.append(_parse(line, f"{path}:{number}"))
    if not examples:
        raise ExamplesError(f"{path} holds no example; one a line, as {{'prompt': ..., 'response': ...}}")
    return examples


def sft_step(groups: Sequence[PrefixGroup]) -> Step:
    """Every token of every suffix is predicted, the first from the last token of its prefix."""
    rows = fill([group.tokens for group in groups], ROW_TOKENS)
    return [_labelled([groups[index] for index in row]) for row in rows]


def _labelled(groups: Sequence[PrefixGroup]) -> LabelledRow:
    row = pack(groups)
    positions: list[int] = []
    targets: list[int] = []
    for group, slices, last in zip(groups, row.suffix_slices, row.prefix_last, strict=True):
        for suffix, where in zip(group.suffixes, slices, strict=True):
            positions.extend([last, *range(where.start, where.stop - 1)])
            targets.extend(suffix)
    return LabelledRow(row, positions, targets)


def _batches(groups: Sequence[PrefixGroup], settings: SftSettings) -> list[list[PrefixGroup]]:
    """Of each step."""
    order, size = _endless(len(groups), random.Random(settings.seed)), min(settings.batch, len(groups))
    return [[groups[next(order)] for _ in range(size)] for _ in range(settings.fit.steps)]


def _endless(count: int, rng: random.Random) -> Iterator[int]:
    """Epochs of shuffled indices, one after another."""
    while True:
        yield from rng.sample(range(count), count)


def _encode(tokenizer: Any, example: Example) -> PrefixGroup:
    return PrefixGroup(encode_chat(tokenizer, example.messages), [encode_answer(tokenizer, example.response)])


def _parse(line: str, where: str) -> Example:
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
    return Example(tuple(messages), response)


def _is_chat(messages: Any) -> bool:
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(
            isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
            for turn in messages
        )
    )
