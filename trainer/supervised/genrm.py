"""Trains a generative reward model: cross-entropy on the word that follows the judge's prompt, Yes or No.

Invariant: the judge is trained on exactly the tokens that it gets in service (`workers.judges.tokens`). Candidates with
the same question and reference share their prefix in a packed row. A soft label p becomes the two words with weights p
and 1 - p.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from streams.messages import Question
from trainer.step.language_models import load_causal_lm
from trainer.supervised.fit import (
    FitProgress,
    FitReport,
    FitSettings,
    LabelledRow,
    Step,
    fit_folder,
    logits_at,
    shuffled_epochs,
)
from workers.judges.base import JudgeRequest
from workers.judges.has_content import content_free
from workers.judges.prompt import make_prompt
from workers.judges.tokens import NO, YES, prefix_groups, verdict_token_ids
from workers.models.chat import load_tokenizer
from workers.models.shared_prefix import PackedRow, PrefixGroup, fill, pack

ROW_TOKENS = 1024
"""Token budget of a packed row, as in SFT; it bounds the memory of a step. A longer group gets a row of its own."""


@dataclass(frozen=True, slots=True)
class Triple:
    """One candidate response to a group's question, and its label."""

    response: str
    right: float
    """Label: the probability that the verdict is Yes, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class TripleGroup:
    """Candidates that share question and reference (or ground truth)."""

    question: Question
    triples: tuple[Triple, ...]
    domain: str = ""


@dataclass(frozen=True, slots=True)
class JudgeFitSettings:
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=40, learning_rate=5e-5))
    groups: int = 11
    """Groups per step."""
    seed: int = 0
    """Seed of the groups' order and of a new adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeFitReport(FitReport):
    triples: int
    """Triples trained on, over all steps."""


def fit_judge(
    model_folder: Path,
    groups: Sequence[TripleGroup],
    out_folder: Path,
    settings: JudgeFitSettings | None = None,
    progress: FitProgress | None = None,
) -> JudgeFitReport:
    """Fine-tunes `model_folder` as a judge, and saves weights (float32) and tokenizer in `out_folder`.

    Raises ValueError if there is no triple, and OSError or ValueError if the model does not load.
    """
    settings = settings or JudgeFitSettings()
    tokenizer = load_tokenizer(model_folder)
    words = _verdict_words(tokenizer)
    limit = AutoConfig.from_pretrained(model_folder).get_text_config().max_position_embeddings
    encoded = [(group, found) for group in groups if (found := _encode(tokenizer, group, limit)).suffixes]
    if not encoded:
        raise ValueError("no triple to train the judge on: every group is empty or without content")
    order = shuffled_epochs(len(encoded), settings.seed)
    steps = [_step([encoded[next(order)] for _ in range(settings.groups)], words) for _ in range(settings.fit.steps)]
    report = fit_folder(
        model_folder, tokenizer, steps, out_folder, settings=settings.fit, seed=settings.seed, progress=progress
    )
    triples = sum(len(set(row.positions)) for step in steps for row in step)
    return JudgeFitReport(**asdict(report), triples=triples)


class FittedJudge:
    """A judge in bfloat16, as in service, to measure it on triples."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError or ValueError if the folder does not load."""
        self._tokenizer = load_tokenizer(folder)
        self._model = load_causal_lm(folder).to(torch.bfloat16)
        self._yes, self._no = verdict_token_ids(self._tokenizer)
        self._limit = self._model.config.get_text_config().max_position_embeddings

    def scores(self, groups: Sequence[TripleGroup], row_groups: int = 12) -> list[list[float]]:
        """Scores as [group][triple]: P(Yes) / (P(Yes) + P(No)) over spelling variants; 0 for a response without
        content.

        `row_groups` is the number of groups that are judged in one packed row.
        """
        found: list[list[float]] = []
        for start in range(0, len(groups), row_groups):
            chunk = groups[start : start + row_groups]
            judged = iter(self._judge([_encode(self._tokenizer, group, self._limit) for group in chunk]))
            found += [[0.0 if _is_empty(group, one) else next(judged) for one in group.triples] for group in chunk]
        return found

    def _judge(self, encoded: Sequence[PrefixGroup]) -> list[float]:
        kept = [group for group in encoded if group.suffixes]
        if not kept:
            return []
        row = pack(kept)
        with torch.inference_mode():
            probabilities = torch.softmax(logits_at(self._model, row, _verdict_positions(row)), dim=-1)
        yes, no = (probabilities[:, ids].sum(-1) for ids in (self._yes, self._no))
        scores: list[float] = (yes / (yes + no)).tolist()
        return scores


def _step(chosen: Sequence[tuple[TripleGroup, PrefixGroup]], words: tuple[int, int]) -> Step:
    """A step's rows. Each verdict is in its row twice, once per word, unless its label is 0 or 1."""
    rows = fill([found.tokens for _, found in chosen], ROW_TOKENS)
    return [_label_row([chosen[index] for index in row], words) for row in rows]


def _label_row(chosen: Sequence[tuple[TripleGroup, PrefixGroup]], words: tuple[int, int]) -> LabelledRow:
    row = pack([found for _, found in chosen])
    labels = [one.right for group, _ in chosen for one in group.triples if not _is_empty(group, one)]
    positions: list[int] = []
    targets: list[int] = []
    weights: list[float] = []
    for position, right in zip(_verdict_positions(row), labels, strict=True):
        for word, weight in zip(words, (right, 1 - right), strict=True):
            if weight:
                positions.append(position)
                targets.append(word)
                weights.append(weight)
    return LabelledRow(row, positions, targets, weights)


def _verdict_positions(row: PackedRow) -> list[int]:
    """Position of the last token of every suffix."""
    return [where.stop - 1 for slices in row.suffix_slices for where in slices]


def _verdict_words(tokenizer: Any) -> tuple[int, int]:
    """The tokens of the two words that training teaches. Raises ValueError if a word is not a single token."""
    ids = [tokenizer.encode(f" {names[0]}", add_special_tokens=False) for names in (YES, NO)]
    if any(len(found) != 1 for found in ids):
        raise ValueError(f"the tokenizer splits ' {YES[0]}' or ' {NO[0]}'; a judge needs a word that is one token")
    return ids[0][0], ids[1][0]


def _encode(tokenizer: Any, group: TripleGroup, limit: int) -> PrefixGroup:
    """A group's tokens, cut to `limit` as in service. Responses without content are left out, since in service they
    never reach a judge.
    """
    kept = [one for one in group.triples if not _is_empty(group, one)]
    prompts = [make_prompt(JudgeRequest(group.question, one.response)) for one in kept]
    groups, places = prefix_groups(tokenizer, prompts, None, limit)
    suffixes = {
        place: found
        for own, at in zip(groups, places, strict=True)
        for place, found in zip(at, own.suffixes, strict=True)
    }
    return PrefixGroup(groups[0].prefix if groups else [], [suffixes[place] for place in range(len(kept))])


def _is_empty(group: TripleGroup, one: Triple) -> bool:
    return content_free(JudgeRequest(group.question, one.response)) is not None
