"""Full fine-tuning by cross-entropy at chosen positions of packed rows; SFT and the judge's training use it.

Invariant: weights are float32 and matrix products bfloat16 under autocast; logits exist only at the positions that
carry loss, so the vocabulary costs nothing elsewhere.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trainer.step.language_models import load_causal_lm
from workers.models.shared_prefix import PackedRow, attention_mask

FitProgress = Callable[[int, int, float], None]
"""Called after each step with (steps done, total steps, loss)."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Settings of the optimiser of a short supervised fit."""

    steps: int
    learning_rate: float
    warmup_steps: int = 3
    """Steps of linear warm-up, because AdamW's second moments are noise in the first steps."""
    final_share: float = 0.1
    """Fraction of the peak learning rate to which a half cosine lowers it."""
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    autocast: bool = True
    upper_share: float = 1.0
    """Fraction of the decoder layers, counted from the last, that are trained together with the final norm; half of
    them take two thirds of the time. 1 trains everything, embeddings included."""


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A packed row of L tokens, and N positions in it with the token that each should predict."""

    row: PackedRow
    positions: list[int]
    targets: list[int]
    weights: list[float] | None = None
    """Weight of each position's loss in the step's weighted mean; None means 1 each. A soft label is its position
    twice, with the two tokens and their probabilities as weights."""


Step = Sequence[LabelledRow]
"""The rows of one optimiser step. They are computed one after the other, so the largest row bounds the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    steps: int
    first_loss: float
    last_loss: float
    seconds: float
    cpu_seconds: float
    """Times to load, train and save the model."""


def fit_folder(
    model_folder: Path,
    tokenizer: Any,
    steps: Iterable[Step],
    out_folder: Path,
    *,
    settings: FitSettings,
    progress: FitProgress | None = None,
) -> FitReport:
    """Fine-tunes the model in `model_folder`, and saves weights (float32) and tokenizer in `out_folder`.

    Raises OSError or ValueError if the model does not load, and FloatingPointError if a loss is not finite.
    """
    started, cpu = time.monotonic(), time.process_time()
    model = load_causal_lm(model_folder)
    losses = fit(model, steps, settings, progress)
    model.save_pretrained(out_folder)
    tokenizer.save_pretrained(out_folder)
    return FitReport(
        steps=len(losses),
        first_loss=losses[0],
        last_loss=losses[-1],
        seconds=time.monotonic() - started,
        cpu_seconds=time.process_time() - cpu,
    )


def shuffled_epochs(count: int, seed: int) -> Iterator[int]:
    """Endless indices below `count`: shuffled epochs, one after another."""
    draw = random.Random(seed)
    while True:
        yield from draw.sample(range(count), count)


def logits_at(model: Any, row: PackedRow, positions: list[int]) -> Tensor:
    """Logits of the token after each of the N positions of the row, float32 [N, vocabulary]."""
    hidden = model.base_model(
        input_ids=row.input_ids[None],
        position_ids=row.position_ids[None],
        attention_mask=attention_mask(row),
        packed_blocks=row.blocks,
        use_cache=False,
    ).last_hidden_state[0]
    logits: Tensor = model.get_output_embeddings()(hidden[torch.tensor(positions)])
    return logits.float()


def fit(model: Any, steps: Iterable[Step], settings: FitSettings, progress: FitProgress | None = None) -> list[float]:
    """Trains in place; returns the mean loss of each step. Raises FloatingPointError if a loss is not finite."""
    parameters = _select_trained(model, settings.upper_share)
    optimizer = torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    model.train()
    losses: list[float] = []
    for number, step in enumerate(steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * schedule(number, settings)
        loss = _backward(model, step, settings)
        if not math.isfinite(loss):
            raise FloatingPointError(f"loss {loss} at step {number + 1}; lower the learning rate")
        torch.nn.utils.clip_grad_norm_(parameters, settings.gradient_clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss)
        if progress:
            progress(number + 1, settings.steps, losses[-1])
    model.eval()
    return losses


def _select_trained(model: Any, upper_share: float) -> list[torch.nn.Parameter]:
    """Freezes the lower layers, and returns the parameters to train. Raises ValueError if the share is out of range."""
    if not 0 < upper_share <= 1:
        raise ValueError(f"upper_share = {upper_share}: give a share of the layers above 0 and up to 1")
    if upper_share < 1:
        body = model.base_model
        first = len(body.layers) - math.ceil(upper_share * len(body.layers))
        model.requires_grad_(requires_grad=False)
        for part in (*body.layers[first:], body.norm):
            part.requires_grad_(requires_grad=True)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _backward(model: Any, step: Step, settings: FitSettings) -> float:
    """Computes the step's loss, adds its gradient, and returns it."""
    weights = [torch.tensor(row.weights or [1.0] * len(row.targets)) for row in step]
    total = sum(float(weights_N.sum()) for weights_N in weights)
    mean = 0.0
    for labelled, weights_N in zip(step, weights, strict=True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.autocast):
            logits_NV = logits_at(model, labelled.row, labelled.positions)
        losses_N = functional.cross_entropy(logits_NV, torch.tensor(labelled.targets), reduction="none")
        loss = (losses_N * weights_N).sum() / total
        loss.backward()  # type: ignore[no-untyped-call]  # torch's, without types
        mean += loss.item()
    return mean


def schedule(step: int, settings: FitSettings) -> float:
    """Fraction of the peak learning rate at `step`, counted from 0: linear warm-up, then a half cosine."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    done = min(1.0, step / max(1, settings.steps))
    return warm * (settings.final_share + (1 - settings.final_share) * 0.5 * (1 + math.cos(math.pi * done)))
