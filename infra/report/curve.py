"""The held-out score over the run: what was measured beside training, between before and after. Pure.

Invariant: a point counts only with all prompts that any point has; a measurement that training's end cut short is told
apart, since other prompts have other scores.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from infra.report.collect import AFTER, BEFORE, EvaluationRow, RunRecord

OVERALL = "overall"


def heldout_curve(record: RunRecord) -> list[dict[str, Any]]:
    """By version: {version, label, seconds, prompts, complete, overall, by_domain}. `seconds`: from the start of
    training to the step that made the version; evaluating comes on top, and is no part of training.
    """
    by_label: dict[str, list[EvaluationRow]] = defaultdict(list)
    for row in record.evaluations:
        by_label[row.label].append(row)
    most = max((row.prompts for row in record.evaluations if row.domain == OVERALL), default=0)
    made = _seconds_by_version(record)
    points = [_point(label, rows, most, made) for label, rows in by_label.items()]
    return sorted(points, key=lambda point: (point["version"], point["label"] != BEFORE, point["label"] == AFTER))


def _point(label: str, rows: Sequence[EvaluationRow], most: int, made: Mapping[int, float]) -> dict[str, Any]:
    means = {row.domain: round(row.mean, 4) for row in rows}
    prompts = next(row.prompts for row in rows if row.domain == OVERALL)
    version = rows[0].version
    return {
        "version": version,
        "label": label,
        "seconds": 0.0 if version == 0 else made.get(version),
        "prompts": prompts,
        "complete": prompts == most,
        "overall": means.pop(OVERALL),
        "by_domain": dict(sorted(means.items())),
    }


def _seconds_by_version(record: RunRecord) -> dict[int, float]:
    """A step's groups close when its version is announced."""
    if record.train_started_at is None:
        return {}
    closings = [
        (group.version, (group.closed_at - record.train_started_at).total_seconds())
        for group in record.groups
        if group.outcome == "trained" and group.version is not None and group.closed_at is not None
    ]
    made: dict[int, float] = {}
    for version, seconds in closings:
        made[version] = round(min(seconds, made.get(version, seconds)), 1)
    return made
