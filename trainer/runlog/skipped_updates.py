"""Batches whose update was skipped: kept for inspection, counted, and the end of the run where they do not stop.

Invariant: at most `keep_batches` folders, each whole or absent. A group whose update was skipped was not trained on.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from infra.files.folders import atomic_folder
from infra.metrics import metrics
from infra.settings.learner import LearnerSettings
from trainer.step.batch import TrainingBatch
from trainer.step.report import SkippedUpdate

log = logging.getLogger(__name__)

FOLDER = "bad-batches"
REASON = "gradient_not_finite"
"""Of the closings of its groups, which are failed."""


class DivergedError(RuntimeError):
    """Gradients stay non-finite: no restart mends that. The text says what to do."""


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
    """Write each update that was skipped in the step from `version`, and count it. Raises OSError."""
    for update in skipped:
        metrics.learner_skipped_updates_total.inc()
        folder = run_folder / FOLDER / f"v{version:06d}-{update.minibatch}"
        kept = len([path for path in folder.parent.glob("v*") if path != folder]) if folder.parent.is_dir() else 0
        where = str(folder) if kept < settings.divergence_guard.keep_batches else "nowhere, enough are kept"
        log.warning(
            "version=%d minibatch=%d skipped: gradient norms policy=%g value=%g; saved in %s",
            version,
            update.minibatch,
            update.policy_gradient_norm,
            update.value_gradient_norm,
            where,
        )
        if kept < settings.divergence_guard.keep_batches:
            with atomic_folder(folder) as temporary:
                (temporary / "batch.json").write_bytes(_content(batch, update, group_ids, version, seed))


def require_sane(skips_in_a_row: int, run_folder: Path, settings: LearnerSettings) -> None:
    """Raises DivergedError at the limit."""
    if skips_in_a_row >= settings.divergence_guard.skips_in_a_row:
        raise DivergedError(
            f"{skips_in_a_row} updates in a row had a gradient that is not finite, so the run ends. The batches are in "
            f"{run_folder / FOLDER}, the last good weights in {run_folder / 'checkpoints'}. Lower "
            "learner.learning_rate or learner.gradient_clip, or look at log-probabilities and scores of the batches; "
            "learner.divergence_guard.skips_in_a_row is the limit"
        )


def _content(batch: TrainingBatch, update: SkippedUpdate, group_ids: Sequence[str], version: int, seed: int) -> bytes:
    """Everything the update saw, by group; norms as text, since JSON has no NaN."""
    groups = [
        {"group_id": group_ids[number], "trajectories": [batch.trajectories[i] for i in batch.groups[number]]}
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
