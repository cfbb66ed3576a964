"""Shaped rewards: the score minus a penalty near the token limit (DAPO 2503.14476, section 3.4).

Invariant: logs, measurements and filters use the raw scores, which shaping does not change. VERSION changes with the
formula, and each step's log names the shaping of its rewards.
"""

from math import ceil

import torch
from torch import Tensor

from infra.settings.objective import OverlongSettings
from trainer.step.batch import BatchOutline

VERSION = "overlong@1"


def overlong_penalty(tokens: int, limit: int, share: float) -> float:
    """0 up to limit - cache tokens, then linearly to 1 at the limit, with cache = ceil(share * limit) (equation 13)."""
    cache = ceil(share * limit)
    return min(1.0, max(0.0, (tokens - (limit - cache)) / cache))


def shaped_scores(batch: BatchOutline, settings: OverlongSettings) -> Tensor:
    """The rewards that a step trains on, float32 [B]."""
    scores = [
        t.score - (settings.penalty * overlong_penalty(t.targets, t.limit, settings.penalty_share) if t.limit else 0.0)
        for t in batch.responses
    ]
    return torch.tensor(scores)


def loss_mask(batch: BatchOutline, settings: OverlongSettings) -> Tensor:
    """True if the trajectory's tokens carry loss; bool [B]. A response without a token limit is never cut off."""
    return torch.tensor([not (settings.mask and t.cut_off) for t in batch.responses])


def shaping_of(settings: OverlongSettings) -> str:
    """The shaping's name in a step's log; empty if the rewards are the scores."""
    parts = [f"penalty={settings.penalty:g}", f"share={settings.penalty_share:g}"] if settings.penalty else []
    parts += ["mask"] if settings.mask else []
    return " ".join([VERSION, *parts]) if parts else ""
