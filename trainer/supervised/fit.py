"""Full fine-tuning by cross-entropy at chosen positions of packed rows: what SFT and the judge's fit share.

Invariant: float32 master weights; matrix products in bfloat16 under autocast; logits exist only at the positions that
carry loss, so the vocabulary costs nothing elsewhere.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from workers.models.shared_prefix import PackedRow, attention_mask

FitProgress = Callable[[int, int, float], None]
"""Called after each step with (steps done, steps in all, loss)."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """The optimiser of a short supervised fit."""

    steps: int
    learning_rate: float
    warmup_steps: int = 3
    """AdamW's second moments are noise in the first steps."""
    final_share: float = 0.1
    """The learning rate falls along a half cosine to this share of its peak."""
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    autocast: bool = True
    upper_share: float = 1.0
    """Share of the decoder layers, from the last down, that are trained with the final norm; half of them take two
    thirds of the time. 1 trains everything, embeddings included."""


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A packed row of L tokens, and N positions in it with the token each should predict."""

    row: PackedRow
    positions: list[int]
    targets: list[int]
    weights: list[float] | None = None
    """Of each position's loss, whose weighted mean over the step counts; None means 1 each. A soft label is its
    position twice, with the two tokens and their probabilities as weights."""


Step = Sequence[LabelledRow]
"""Of the optimiser. Its rows are computed one after the other, so that the largest one bounds the memory."""


def logits_at(model: Any, row: PackedRow, positions: list[int]) -> Tensor:
    """float32 [N, vocabulary]: what follows each of the N positions of the row."""
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
    """Train in place; returns the mean loss of each step. Raises FloatingPointError where a loss is not finite."""
    parameters = _trained(model, settings.upper_share)
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


def _trained(model: Any, upper_share: float) -> list[torch.nn.Parameter]:
    """Raises ValueError where the share is none."""
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
    """Adds the gradient of the step's loss, which it returns."""
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
    """Share of the peak learning rate at `step`, counted from 0: linear warm-up, then a half cosine."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    done = min(1.0, step / max(1, settings.steps))
    return warm * (settings.final_share + (1 - settings.final_share) * 0.5 * (1 + math.cos(math.pi * done)))
