"""Skipped updates: saves their batches for inspection, counts them, and ends the run after too many in a row.

Invariant: there are at most `keep_batches` folders, each complete or absent. A group whose update was skipped was not
trained on.
"""

import logging
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from infra.files.folders import atomic_folder
from infra.metrics import metrics
from infra.settings.learner import LearnerSettings
from trainer.step.batch import TrainingBatch
from trainer.step.report import SkippedUpdate
from trainer.step.trajectory import Trajectory

log = logging.getLogger(__name__)

FOLDER = "bad-batches"
REASON = "gradient_not_finite"
"""Reason of the closings of a skipped update's groups, whose outcome is `failed`."""


class DivergedError(RuntimeError):
    """Gradients stay non-finite, which no restart repairs; the text says what to do."""


def keep(
    run_folder: Path,
    batch: TrainingBatch,
    skipped: Sequence[SkippedUpdate],
    group_ids: Sequence[str],
    settings: LearnerSettings,
    *,
    version: int,
    seed: int,
) -> None:
    """Saves and counts each update that was skipped in the step from `version`. Raises OSError."""
    for update in skipped:
        metrics.learner_skipped_updates_total.inc()
        folder = run_folder / FOLDER / f"v{version:06d}-{update.minibatch}"
        kept = len([path for path in folder.parent.glob("v*") if path != folder]) if folder.parent.is_dir() else 0
        saved_in = str(folder) if kept < settings.divergence_guard.keep_batches else "nowhere, enough are kept"
        log.warning(
            "version=%d minibatch=%d skipped: gradient norms policy=%g value=%g; saved in %s",
            version,
            update.minibatch,
            update.policy_gradient_norm,
            update.value_gradient_norm,
            saved_in,
        )
        if kept < settings.divergence_guard.keep_batches:
            with atomic_folder(folder) as temporary:
                (temporary / "batch.json").write_bytes(_content(batch, update, group_ids, version, seed))


def require_sane(skips_in_a_row: int, run_folder: Path, settings: LearnerSettings) -> None:
    """Raises DivergedError if the limit of skipped updates in a row is reached."""
    if skips_in_a_row >= settings.divergence_guard.skips_in_a_row:
        raise DivergedError(
            f"{skips_in_a_row} updates in a row had a gradient that is not finite, so the run ends. The batches are in "
            f"{run_folder / FOLDER}, the last good weights in {run_folder / 'checkpoints'}. Lower "
            "learner.learning_rate or learner.gradient_clip, or look at log-probabilities and scores of the batches; "
            "learner.divergence_guard.skips_in_a_row is the limit"
        )


def _content(batch: TrainingBatch, update: SkippedUpdate, group_ids: Sequence[str], version: int, seed: int) -> bytes:
    """Everything that entered the update, by group. Norms are text, since JSON has no NaN."""
    groups = [
        {"group_id": group_ids[number], "trajectories": [_plain(batch.trajectories[i]) for i in batch.groups[number]]}
        for number in update.groups
    ]
    return msgspec.json.encode(
        {
            "version": version,
            "minibatch": update.minibatch,
            "seed": seed,
            "policy_gradient_norm": str(update.policy_gradient_norm),
            "value_gradient_norm": str(update.value_gradient_norm),
            "groups": groups,
        }
    )


def _plain(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory's fields by name, with lists in place of arrays."""
    values = ((field.name, getattr(trajectory, field.name)) for field in fields(trajectory))
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values}
