"""Trains a Bradley-Terry reward model on preference pairs.

Loss per comparison: -log sigmoid(r(chosen) - r(rejected)) (Bradley and Terry 1952; arXiv 2203.02155, equation 1). The
comparisons of one prompt are computed together and averaged, so that a prompt with many of them counts once (ibid.,
section 3.5).

Invariant: held-out prompts are drawn by a hash of their text, so no prompt is both trained on and measured, and the
same prompts are held out whatever else is in the file.
"""

import hashlib
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from trainer.distributed.device import chosen_device
from trainer.reward_models.preferences import RankedResponses
from trainer.step.language_models import autocast, device_of
from trainer.supervised.fit import FitProgress, FitReport, FitSettings, fit_loss, shuffled_epochs
from workers.judges.reward_model import (
    ROW_TOKENS,
    Responses,
    RewardModel,
    load_classifier,
    prepare_tokenizer,
    reward_positions,
    rewards_at,
)
from workers.models.shared_prefix import PackedRow, PrefixGroup, fill, pack

FULL_LEARNING_RATE, LORA_LEARNING_RATE = 1e-5, 1e-4
"""Peaks if none is given: Llama 2's (arXiv 2307.09288, section 3.2.2), and ten times that for an adapter."""


class NoPairsError(ValueError):
    """Nothing is left to train on; the text says why."""


@dataclass(frozen=True, slots=True)
class BradleyTerrySettings:
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=0, learning_rate=FULL_LEARNING_RATE))
    """With steps = 0, each training prompt is seen once: a second pass overfits (arXiv 2203.02155, appendix C.2)."""
    batch: int = 64
    """Prompts per step, as in arXiv 2203.02155."""
    heldout_share: float = 0.05
    """Fraction of the prompts that are measured and not trained on."""
    max_tokens: int = 2048
    """Longest conversation; a longer one is left out, since one that is cut has another preference."""
    centering: float = 0.01
    """Weight of (r(chosen) + r(rejected))^2 (arXiv 2312.09244). The loss fixes differences only; centred rewards give
    every prompt the same zero, from which a value model can start."""
    seed: int = 0
    """Seed of the new head and adapter, of the prompts' order, and of which of them are held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BradleyTerryReport(FitReport):
    comparisons: int
    """Comparisons to train on."""
    heldout_comparisons: int
    too_long: int
    """Comparisons that were left out because a conversation is longer than `max_tokens`."""
    heldout_accuracy: float | None
    """Fraction of held-out comparisons in which the chosen response has the higher reward; ties count half. None if
    nothing was held out."""
    heldout_loss: float | None
    accuracy_by_domain: dict[str, float]


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A packed row of L tokens with N responses, and C comparisons among them."""

    row: PackedRow
    positions: list[int]
    """[N]: where each response's reward is read."""
    better: list[int]
    worse: list[int]
    """[C]: indices of responses."""
    weights: list[float]
    """[C]: each comparison's weight in the step's mean."""


RankedStep = Sequence[RankedRow]
Encoded = tuple[RankedResponses, PrefixGroup]


def fit_reward_model(
    model_folder: Path,
    groups: Sequence[RankedResponses],
    out_folder: Path,
    settings: BradleyTerrySettings | None = None,
    progress: FitProgress | None = None,
) -> BradleyTerryReport:
    """Trains a reward model from a language model or a reward model, and saves it in `out_folder` as a sequence
    classifier with one label (float32), with its tokenizer.

    Raises NoPairsError, RewardModelError if the model cannot become one, OSError or ValueError if it does not load,
    DeviceError, and FloatingPointError if a loss is not finite.
    """
    settings = settings or BradleyTerrySettings()
    started, cpu = time.monotonic(), time.process_time()
    torch.manual_seed(settings.seed)  # the new head
    model = load_classifier(model_folder, torch.float32).to(chosen_device(settings.fit.device))
    judged = RewardModel(model, prepare_tokenizer(model_folder, model))
    kept, too_long = _encode(judged, groups, min(settings.max_tokens, judged.max_tokens))
    heldout = [one for one in kept if is_held_out(one[0], settings.heldout_share, settings.seed)]
    training = [one for one in kept if not is_held_out(one[0], settings.heldout_share, settings.seed)]
    if not training:
        raise NoPairsError(
            f"no pair to train on: of {sum(len(group.comparisons) for group in groups)} comparisons, {too_long} are "
            f"longer than {settings.max_tokens} tokens and {_count(heldout)} are held out"
        )
    steps = settings.fit.steps or math.ceil(len(training) / settings.batch)
    fit_settings = replace(settings.fit, steps=steps)
    order, size = shuffled_epochs(len(training), settings.seed), min(settings.batch, len(training))
    batches = [[training[next(order)] for _ in range(size)] for _ in range(steps)]
    backward = partial(_backward, centering=settings.centering)
    rows = map(ranked_step, batches)
    losses = fit_loss(model, backward, rows, fit_settings, progress, head=model.score, seed=settings.seed)
    with autocast(enabled=fit_settings.autocast, device=device_of(model)):
        accuracy, loss, by_domain = measure(judged, [group for group, _ in heldout])
    model.save_pretrained(out_folder)
    judged.tokenizer.save_pretrained(out_folder)
    return BradleyTerryReport(
        steps=len(losses),
        first_loss=losses[0],
        last_loss=losses[-1],
        seconds=time.monotonic() - started,
        cpu_seconds=time.process_time() - cpu,
        comparisons=_count(training),
        heldout_comparisons=_count(heldout),
        too_long=too_long,
        heldout_accuracy=accuracy,
        heldout_loss=loss,
        accuracy_by_domain=by_domain,
    )


def is_held_out(group: RankedResponses, share: float, seed: int) -> bool:
    key = f"{seed}/{[sorted(turn.items()) for turn in group.messages]}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) < share * 2**64


def measure(
    model: RewardModel, groups: Sequence[RankedResponses]
) -> tuple[float | None, float | None, dict[str, float]]:
    """Accuracy and mean loss over all comparisons, and accuracy by domain; None if there are none."""
    won: dict[str, list[float]] = defaultdict(list)
    losses: list[float] = []
    rewards = model.rewards([Responses(group.messages, group.responses) for group in groups])
    for group, own in zip(groups, rewards, strict=True):
        for better, worse in group.comparisons:
            margin = own[better] - own[worse]
            won[group.domain].append(1.0 if margin > 0 else 0.5 * (margin == 0))
            losses.append(math.log1p(math.exp(-abs(margin))) + max(0.0, -margin))
    every = [one for own in won.values() for one in own]
    if not every:
        return None, None, {}
    by_domain = {domain: sum(own) / len(own) for domain, own in sorted(won.items()) if domain}
    return sum(every) / len(every), sum(losses) / len(losses), by_domain


def ranked_step(batch: Sequence[Encoded]) -> RankedStep:
    """The rows of a step: each prompt once, its responses after it."""
    rows = fill([tokens.tokens for _, tokens in batch], ROW_TOKENS)
    return [_rank_row([batch[index] for index in row]) for row in rows]


def _rank_row(batch: Sequence[Encoded]) -> RankedRow:
    row = pack([tokens for _, tokens in batch])
    better: list[int] = []
    worse: list[int] = []
    weights: list[float] = []
    first = 0
    for group, _ in batch:
        better += [first + one for one, _ in group.comparisons]
        worse += [first + other for _, other in group.comparisons]
        weights += [1 / len(group.comparisons)] * len(group.comparisons)
        first += len(group.responses)
    return RankedRow(row, reward_positions(row), better, worse, weights)


def _backward(model: Any, step: RankedStep, settings: FitSettings, *, centering: float) -> float:
    """Computes the step's loss, adds its gradient, and returns it."""
    device = device_of(model)
    total = sum(sum(row.weights) for row in step)
    mean = 0.0
    for ranked in step:
        with autocast(enabled=settings.autocast, device=device):
            rewards_N = rewards_at(model, ranked.row, ranked.positions)
        better_C, worse_C = rewards_N[ranked.better], rewards_N[ranked.worse]
        weights_C = torch.tensor(ranked.weights, device=device)
        losses_C = -functional.logsigmoid(better_C - worse_C) + centering * (better_C + worse_C) ** 2
        loss = (losses_C * weights_C).sum() / total
        loss.backward()  # type: ignore[no-untyped-call]  # torch's, without types
        mean += loss.item()
    return mean


def _encode(model: RewardModel, groups: Sequence[RankedResponses], limit: int) -> tuple[list[Encoded], int]:
    """The groups with their tokens, and the number of comparisons that were left out because they are too long."""
    kept: list[Encoded] = []
    left_out = 0
    for group in groups:
        tokens = model.encode(group.messages, group.responses)
        fits = [len(tokens.prefix) + len(suffix) <= limit for suffix in tokens.suffixes]
        comparisons = tuple(pair for pair in group.comparisons if all(fits[index] for index in pair))
        left_out += len(group.comparisons) - len(comparisons)
        if comparisons:
            kept.append(_without_unused(replace(group, comparisons=comparisons), tokens))
    return kept, left_out


def _without_unused(group: RankedResponses, tokens: PrefixGroup) -> Encoded:
    """Leaves out responses that are in no comparison."""
    used = sorted({index for pair in group.comparisons for index in pair})
    place = {index: number for number, index in enumerate(used)}
    ranked = replace(
        group,
        responses=tuple(group.responses[index] for index in used),
        comparisons=tuple((place[better], place[worse]) for better, worse in group.comparisons),
    )
    return ranked, PrefixGroup(tokens.prefix, [tokens.suffixes[index] for index in used])


def _count(encoded: Sequence[Encoded]) -> int:
    return sum(len(group.comparisons) for group, _ in encoded)
