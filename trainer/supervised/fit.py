"""Supervised fine-tuning on packed rows, of all weights, the upper layers or a LoRA adapter. The loss is cross-entropy
at chosen positions (SFT, the generative judge), or another one that its caller gives (the Bradley-Terry model).

Invariants: a fit is a function of its start, its data, its settings and its seed, on one machine with one number of
threads; weights are float32 and matrix products bfloat16 under autocast; logits exist only at the positions that
carry loss, so the vocabulary costs nothing elsewhere; a fitted model has its own class and parameter names again, since
an adapter is merged into the weights.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from infra.settings.learner import DeviceKind, LoraSettings
from trainer.distributed.device import chosen_device
from trainer.step.language_models import autocast, device_of, load_causal_lm
from trainer.weights import lora
from workers.models.packed_model import output_head, row_states
from workers.models.shared_prefix import PackedRow

S = TypeVar("S")

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
    lora_rank: int = 0
    """Rank of an adapter on every linear layer of these decoder layers, which is trained instead of the weights and
    merged into them at the end; 0 trains the weights. Gradients and optimizer then take a hundredth of the memory."""
    lora_alpha: int = 32
    """Scale of the adapter, which is multiplied by alpha / rank (`infra.settings.learner.LoraSettings`)."""
    device: DeviceKind = "auto"
    """Device of the fit, as `learner.device`."""


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
    seed: int = 0,
    progress: FitProgress | None = None,
) -> FitReport:
    """Fine-tunes the model in `model_folder`, and saves weights (float32) and tokenizer in `out_folder`.

    Raises OSError or ValueError if the model does not load, DeviceError if the host lacks the device, and
    FloatingPointError if a loss is not finite.
    """
    started, cpu = time.monotonic(), time.process_time()
    model = load_causal_lm(model_folder).to(chosen_device(settings.device))
    losses = fit(model, steps, settings, progress, seed=seed)
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


def states_at(body: Any, row: PackedRow, positions: Sequence[int]) -> Tensor:
    """Last hidden states of the decoder `body` at the N positions of the row, [N, D], on its device."""
    device = device_of(body)
    return row_states(body, row.to(device))[torch.tensor(positions, device=device)]


def logits_at(model: Any, row: PackedRow, positions: Sequence[int]) -> Tensor:
    """Logits of the token after each of the N positions of the row, float32 [N, vocabulary]."""
    return output_head(model)(states_at(model, row, positions)).float()


def backward_cross_entropy(model: Any, step: Step, settings: FitSettings) -> float:
    """Computes the step's loss, adds its gradient, and returns it."""
    device = device_of(model)
    weights = [torch.tensor(row.weights or [1.0] * len(row.targets), device=device) for row in step]
    total = sum(float(weights_N.sum()) for weights_N in weights)
    mean = 0.0
    for labelled, weights_N in zip(step, weights, strict=True):
        with autocast(enabled=settings.autocast, device=device):
            logits_NV = logits_at(model, labelled.row, labelled.positions)
        targets_N = torch.tensor(labelled.targets, device=device)
        losses_N = functional.cross_entropy(logits_NV, targets_N, reduction="none")
        loss = (losses_N * weights_N).sum() / total
        loss.backward()  # type: ignore[no-untyped-call]  # torch's, without types
        mean += loss.item()
    return mean


def fit(
    model: Any,
    steps: Iterable[Step],
    settings: FitSettings,
    progress: FitProgress | None = None,
    *,
    seed: int = 0,
) -> list[float]:
    """Trains a language model in place; returns the mean loss of each step. Raises FloatingPointError if a loss is not
    finite.
    """
    return fit_loss(model, backward_cross_entropy, steps, settings, progress, seed=seed)


def fit_loss(
    model: Any,
    backward: Callable[[Any, S, FitSettings], float],
    steps: Iterable[S],
    settings: FitSettings,
    progress: FitProgress | None = None,
    *,
    head: nn.Module | None = None,
    seed: int = 0,
) -> list[float]:
    """Trains in place under another loss; returns the loss of each step.

    `backward` computes a step's loss, adds its gradient to the model's, and returns it. `head` is trained whatever part
    of the decoder is. `seed` decides how a new adapter begins and what dropout the model has. Raises FloatingPointError
    if a loss is not finite.
    """
    torch.manual_seed(seed)
    parameters = _select_trained(model, settings, head)
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
        loss = backward(model, step, settings)
        if not math.isfinite(loss):
            raise FloatingPointError(f"loss {loss} at step {number + 1}; lower the learning rate")
        torch.nn.utils.clip_grad_norm_(parameters, settings.gradient_clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss)
        if progress:
            progress(number + 1, settings.steps, losses[-1])
    if settings.lora_rank:
        lora.merge(model.base_model)
    model.eval()
    return losses


def _select_trained(model: Any, settings: FitSettings, head: nn.Module | None) -> list[nn.Parameter]:
    """Freezes what is not trained, and returns the parameters to train. Raises ValueError if the settings fit no
    layer.
    """
    share, body = settings.upper_share, model.base_model
    if not 0 < share <= 1:
        raise ValueError(f"upper_share = {share}: give a share of the layers above 0 and up to 1")
    if settings.lora_rank:
        model.requires_grad_(requires_grad=False)
        targets = _linear_names(body, share) if share < 1 else ()
        lora.adapt(
            body, LoraSettings(rank=settings.lora_rank, alpha=settings.lora_alpha, target_modules=targets), Path()
        )
    elif share < 1:
        first = _first_trained(body, share)
        model.requires_grad_(requires_grad=False)
        for part in (*body.layers[first:], body.norm):
            part.requires_grad_(requires_grad=True)
    if head is not None:
        head.requires_grad_(requires_grad=True)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _first_trained(body: Any, share: float) -> int:
    """Index of the first decoder layer that is trained."""
    return len(body.layers) - math.ceil(share * len(body.layers))


def _linear_names(body: Any, share: float) -> tuple[str, ...]:
    """Names within `body` of the linear layers of the decoder layers that are trained."""
    trained = range(_first_trained(body, share), len(body.layers))
    return tuple(
        f"layers.{number}.{name}"
        for number in trained
        for name, part in body.layers[number].named_modules()
        if isinstance(part, nn.Linear)
    )


def schedule(step: int, settings: FitSettings) -> float:
    """Fraction of the peak learning rate at `step`, counted from 0: linear warm-up, then a half cosine."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    done = min(1.0, step / max(1, settings.steps))
    return warm * (settings.final_share + (1 - settings.final_share) * 0.5 * (1 + math.cos(math.pi * done)))
