"""The held-out score over the run: before training, at versions while training continued, and after it. Pure.

Invariant: only points with the same number of prompts are comparable. A point with fewer prompts, because training
ended during its evaluation, is marked as incomplete.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from infra.report.collect import AFTER, BEFORE, EvaluationRow, RunRecord
from infra.report.summary_statistics import Pauses, seconds_up
from trainer.evaluation.results import OVERALL


def heldout_curve(record: RunRecord, pauses: Pauses = ()) -> list[dict[str, Any]]:
    """Returns points by version: {version, label, seconds, prompts, complete, overall, overall_ci95, by_domain,
    by_domain_ci95}. `seconds` is the time from the start of training to the step that made the version; it does not
    include the evaluation, nor `pauses`.
    """
    by_label: dict[str, list[EvaluationRow]] = defaultdict(list)
    for row in record.evaluations:
        by_label[row.label].append(row)
    most = max((row.prompts for row in record.evaluations if row.domain == OVERALL), default=0)
    made = _seconds_by_version(record, pauses)
    points = [_point(label, rows, most, made) for label, rows in by_label.items()]
    return sorted(points, key=lambda point: (point["version"], point["label"] != BEFORE, point["label"] == AFTER))


def _point(label: str, rows: Sequence[EvaluationRow], most: int, made: Mapping[int, float]) -> dict[str, Any]:
    means = {row.domain: round(row.mean, 4) for row in rows}
    intervals = {row.domain: _interval(row) for row in rows}
    prompts = next(row.prompts for row in rows if row.domain == OVERALL)
    version = rows[0].version
    return {
        "version": version,
        "label": label,
        "seconds": 0.0 if version == 0 else made.get(version),
        "prompts": prompts,
        "complete": prompts == most,
        "overall": means.pop(OVERALL),
        "overall_ci95": intervals.pop(OVERALL),
        "by_domain": dict(sorted(means.items())),
        "by_domain_ci95": dict(sorted(intervals.items())),
    }


def _interval(row: EvaluationRow) -> list[float] | None:
    return None if row.low is None or row.high is None else [round(row.low, 4), round(row.high, 4)]


def _seconds_by_version(record: RunRecord, pauses: Pauses) -> dict[int, float]:
    """Seconds until each version was announced, which is when the groups of its step close."""
    if record.train_started_at is None:
        return {}
    closings = [
        (group.version, seconds_up(record.train_started_at, group.closed_at, pauses))
        for group in record.groups
        if group.outcome == "trained" and group.version is not None and group.closed_at is not None
    ]
    made: dict[int, float] = {}
    for version, seconds in closings:
        made[version] = round(min(seconds, made.get(version, seconds)), 1)
    return made
